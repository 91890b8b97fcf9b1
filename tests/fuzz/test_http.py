"""Hostile requests to the server."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from fastapi.testclient import TestClient
from hypothesis import event, given
from hypothesis import strategies as st

from spam_classifier.inference.classifier import Classifier
from spam_classifier.models.gpt2_classifier import GPT2Classifier
from spam_classifier.serving.web_app import Service, web_app
from spam_classifier.training.module import SpamClassifier

KEY = "the key"
LIMITS = {"max_body": 5_000, "max_texts": 5, "max_rows": 9, "max_characters": 200}


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    """A server over the smallest model there is."""
    settings = {
        **SpamClassifier("random", layers=1, width=1, heads=1, context=8).hparams,
        **{"label_names": ["ham", "spam"], "max_length": 8, "padded_length": 8, "keep": "head"},
    }
    model = GPT2Classifier.from_settings(settings)
    for parameter in model.parameters():
        parameter.data.zero_()
    classifier = Classifier(model, tmp_path_factory.mktemp("run") / "run/checkpoints/last.ckpt")
    service = Service(**LIMITS, api_key=KEY, host_names=["127.0.0.1"], classifier=classifier)
    with TestClient(web_app(service), base_url="http://127.0.0.1", raise_server_exceptions=False) as client:
        yield client


LEAVES = st.one_of(
    *(st.none(), st.booleans(), st.integers(), st.floats(), st.text(st.characters(), max_size=30)),
    st.sampled_from(["hello", "", " ", "\ud800", "\0", "x" * 300, "<|endoftext|>", "ham", 10**400, -(10**25), 0.5]),
)
VALUES = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=7) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
BODIES = st.one_of(
    st.fixed_dictionaries(
        {"texts": st.one_of(st.lists(st.sampled_from(["hello", "see you"]), min_size=1, max_size=6), VALUES)},
        optional={"threshold": LEAVES, "more": LEAVES},
    ),
    st.fixed_dictionaries({"text": st.one_of(st.just("hello you"), LEAVES)}, optional={"label": LEAVES}),
    VALUES,
)
TOKENS = (
    *(b"[" * 2_000, b'{"texts":' * 500, b"NaN", b"Infinity", b"1e9999", b"9" * 4_500, b"\\ud800", b'"texts"'),
    *(b"]", b"}", b",", b'{"texts": ["a"], "texts": 1}', b"x" * 6_000, b'"', b"\n", b"\xff", b"PAR1"),
)
NAMES = ["content-type", "authorization", "host", "accept", "origin", "content-encoding", "transfer-encoding", "x"]
HEADER_VALUES = [
    *("", "gzip", "chunked", "evil.example", "127.0.0.1", "127.0.0.1:99999", "é", "a" * 4_000, "\t"),
    *("Bearer", "Bearer wrong", "Basic Og==", f"Bearer {KEY}", "Bearer \xe9", "text/plain", "application/xml"),
    *("application/json", "application/json; charset=utf-16", "multipart/form-data; boundary=a"),
]
HEADERS = st.dictionaries(st.sampled_from(NAMES), st.sampled_from(HEADER_VALUES), max_size=3)
FILES = [f"/predict_file?name=a%0A.{kind}" for kind in ["csv", "tsv", "jsonl", "parquet", "txt", "eml", "exe"]]
PATHS = st.sampled_from(
    [*["/predict"] * 3, *["/explain"] * 2, *FILES, "/predict_file", "/model", "/nothing", "/../etc/passwd", "/predict/"]
)
METHODS = st.sampled_from(["POST"] * 9 + ["GET", "PUT", "DELETE", "OPTIONS", "HEAD"])
KINDS = st.sampled_from(["json", "json", "json", "damaged", "bytes"])


@given(data=st.data())
def test_requests(data: st.DataObject, client: TestClient, damaged: Callable, unharmed: Callable) -> None:
    method, path = data.draw(METHODS), data.draw(PATHS)
    kind = "octet-stream" if path in FILES else "json"
    headers: dict[str, Any] = {"content-type": f"application/{kind}", "authorization": f"Bearer {KEY}"}
    headers |= data.draw(HEADERS) if data.draw(st.booleans()) else {}
    kind = data.draw(KINDS)
    if kind == "json":
        body = json.dumps(data.draw(BODIES)).encode()
    elif kind == "damaged":
        whole = b"id,text\n1,see you\n" if path in FILES else b'{"texts": ["See you at seven?"], "threshold": 0.5}'
        body = data.draw(damaged(whole, TOKENS))
    else:
        body = data.draw(st.binary(max_size=200))
    sent = {name: value.encode("utf-8") for name, value in headers.items()}
    answer = unharmed(lambda: client.request(method, path, content=body, headers=sent))
    event(f"status {answer.status_code}")
    assert answer.status_code < 500
    if method == "HEAD":
        return
    assert answer.headers["content-type"].startswith("application/json")
    content = answer.json()
    if answer.status_code >= 400:
        assert list(content) == ["detail"]
        assert isinstance(content["detail"], str)
        assert "\n" not in content["detail"]
    elif path in FILES:
        assert content["predictions"] or content["rejected"]
    elif path.startswith("/predict"):
        assert len(content["predictions"]) == len(json.loads(body)["texts"])
