"""The HTTP API, called in this process."""

import csv
import io
import json
import threading
import time
import zipfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from fastapi.testclient import TestClient

from spam_classifier import Classifier, Prediction, serve
from spam_classifier.serving.pages import PAGE
from spam_classifier.serving.web_app import Service, web_app

TEXTS = [f"{'call now ' * (number % 9)}message {number}" for number in range(40)]
FILE = {"content-type": "application/octet-stream"}
LIMITS = {"max_body": 100_000, "max_texts": 50, "max_rows": 60, "max_characters": 1_000}


def client_of(classifier: Any, **settings: Any) -> TestClient:
    service = Service(**{**LIMITS, **settings}, classifier=classifier)
    return TestClient(web_app(service), base_url="http://127.0.0.1", raise_server_exceptions=False)


def classify(client: TestClient, *texts: str) -> Any:
    return client.post("/predict", json={"texts": texts})


def refused(answer: Any, status: int, reason: str) -> None:
    assert answer.status_code == status
    assert reason in answer.json()["detail"]
    assert answer.json()["detail"].isprintable()


@pytest.fixture
def client(trained: Callable[..., Classifier]) -> Iterator[TestClient]:
    with client_of(trained()) as client:
        yield client


class Spy:
    """Stands in for the model: counts texts, and may take long or fail."""

    labels = ("ham", "spam")
    threshold = 0.5

    def __init__(self, seconds: float = 0.0) -> None:
        self.batches: list[list[str]] = []
        self.seconds = seconds
        self.begun = threading.Event()

    def check_threshold(self, threshold: float | None) -> None:
        pass

    def predict(self, texts: Sequence[str]) -> list[Prediction]:
        self.batches.append(list(texts))
        self.begun.set()
        time.sleep(self.seconds)
        if "poison" in texts:
            raise RuntimeError("the model can't bear it")
        return [Prediction("ham", len(text) / 100, {"ham": 0.75, "spam": 0.25}, 0.5, False) for text in texts]


@pytest.mark.parametrize("threshold", [None, 0.0, 1.0])
def test_answers_are_those_of_the_classifier(
    client: TestClient, trained: Callable[..., Classifier], threshold: float | None
) -> None:
    answer = client.post("/predict", json={"texts": TEXTS, "threshold": threshold}).json()
    assert answer["threshold"] == (trained().threshold if threshold is None else threshold)
    expected = [prediction._asdict() for prediction in trained().predict(TEXTS, threshold)]
    assert [{**own, "threshold": answer["threshold"]} for own in answer["predictions"]] == expected


def test_waiting_requests_are_computed_together() -> None:
    spy = Spy(0.2)
    with client_of(spy, batch=30) as client, ThreadPoolExecutor(50) as threads:
        first = threads.submit(classify, client, "first")
        spy.begun.wait()
        others = [threads.submit(classify, client, "a", "a" * n) for n in range(1, 41)]
        assert first.result().status_code == 200
        for number, request in enumerate(others, start=1):
            found = [own["probability"] for own in request.result().json()["predictions"]]
            assert found == [1 / 100, number / 100]
    assert spy.batches[0] == ["first"]
    assert max(len(batch) for batch in spy.batches) <= 30
    assert len(spy.batches) < 20


def test_large_request_is_dropped_when_its_client_has_timed_out() -> None:
    spy = Spy(0.2)
    with client_of(spy, batch=2, timeout=0.5) as client:
        assert classify(client, *map(str, range(50))).status_code == 504
        time.sleep(0.5)
        spy.seconds = 0.0
        assert classify(client, *map(str, range(9))).status_code == 200
    classified = [text for batch in spy.batches for text in batch]
    assert len(classified) < 25
    assert classified[-9:] == [*map(str, range(9))]


@pytest.mark.slow
def test_one_request_that_fails_leaves_its_neighbours_alone(caplog: pytest.LogCaptureFixture) -> None:
    spy = Spy(0.2)
    with client_of(spy) as client, ThreadPoolExecutor(10) as threads:
        first = threads.submit(classify, client, "first")
        spy.begun.wait()
        texts = ["a", "poison", "b", "c"]
        others = [threads.submit(classify, client, text) for text in texts]
        assert first.result().status_code == 200
        assert [request.result().status_code for request in others] == [200, 500, 200, 200]
        assert list(others[1].result().json()) == ["detail"]
        assert classify(client, "after it").status_code == 200
    assert max(len(batch) for batch in spy.batches) > 1
    assert "the model can't bear it" in caplog.text
    assert "poison" not in caplog.text.split("can't bear it")[1]


def test_time_runs_out_with_504_and_too_much_waiting_with_503() -> None:
    spy = Spy(1.0)
    limits = {"timeout": 0.3, "max_waiting": 3}
    with client_of(spy, **limits) as client, ThreadPoolExecutor(10) as threads:
        first = threads.submit(classify, client, "first")
        spy.begun.wait()
        late = threads.submit(classify, client, "a", "b", "c")
        time.sleep(0.1)
        full = classify(client, "d")
        assert full.status_code == 503
        assert int(full.headers["retry-after"]) > 0
        assert first.result().status_code == late.result().status_code == 504
        time.sleep(1.0)  # until the first is out of the way
        spy.seconds = 0.0
        assert classify(client, "after it").status_code == 200
    assert "a" not in [text for batch in spy.batches for text in batch]  # no one waited for it any longer


def test_health_tells_loading_from_ready(trained: Callable[..., Classifier]) -> None:
    service = Service(**LIMITS)
    with TestClient(web_app(service)) as client:
        health = client.get("/health")
        assert (health.status_code, health.json()) == (503, {"status": "loading"})
        for answer in (client.get("/model"), classify(client, "a")):
            assert answer.status_code == 503
            assert "loading" in answer.json()["detail"]
            assert "retry-after" in answer.headers
        assert client.get("/").status_code == 200
        service.classifier = trained()
        health = client.get("/health")
        assert (health.status_code, health.json()) == (200, {"status": "ready"})
        model = client.get("/model").json()
        assert (model["labels"], model["threshold"]) == (["ham", "spam"], trained().threshold)
        assert model["needs_key"] is False
        assert model["limits"] == {"texts": 50, "rows": 60, "characters": 1_000, "body_bytes": 100_000}


@pytest.mark.parametrize(
    ("body", "status", "reason"),
    [
        (b"", 422, "body"),
        (b"not json", 422, "not JSON"),
        (b"[" * 50_000, 400, "body"),
        (b"[1, 2]", 422, "the body"),
        (b'{"texts": []}', 422, "texts"),
        (b'{"texts": [1, null]}', 422, "text 1: the text is not a string; text 2: no text"),
        (b'{"texts": ["a"], "treshold": 0.5}', 422, "treshold"),
        (b'{"texts": ["a"], "threshold": 2}', 422, "threshold"),
        (b'{"texts": ["a"], "threshold": NaN}', 422, "threshold"),
        (b'{"texts": ["a", " \\n ", "b", ""]}', 422, "texts 2 and 4: no text"),
        (b'{"texts": ["\\ud800"]}', 422, "text 1: "),
        (
            json.dumps({"texts": [""] * 40 + ["b" * 1_001]}).encode(),
            422,
            "9, 10 and 30 more: no text; text 41: more than 1",
        ),
        (json.dumps({"texts": ["a"] * 51}).encode(), 413, "51 texts"),
        (json.dumps({"texts": ["a", "b" * 1_001]}).encode(), 413, "text 2: more than 1,000 characters"),
        (json.dumps({"texts": ["a" * 100_000]}).encode(), 413, "100,000 bytes"),
    ],
)
def test_bad_bodies_are_refused_in_one_line(client: TestClient, body: bytes, status: int, reason: str) -> None:
    refused(client.post("/predict", content=body, headers={"content-type": "application/json"}), status, reason)


@pytest.mark.parametrize(
    ("query", "content", "status", "reason"),
    [
        ("", b"a", 422, "name"),
        ("name=a.txt&column=b", b"a", 422, "column"),
        ("name=a.txt&threshold=2", b"a", 422, "threshold"),
        *((f"name={name}", b"a", 422, "unknown format") for name in ("a.pdf", "a%0Ab%1B.exe")),
        ("name=a.txt", b"", 422, "the body"),
        ("name=a.csv", b"text\n", 422, "holds no texts"),
        ("name=a.csv", b"words\na\n", 422, "'words'"),
        ("name=a.csv&encoding=utf-8", b"text\n\xe9\n", 422, "is not utf-8: correct encoding"),
        ("name=a.parquet", b"PAR1", 422, "Parquet"),
        ("name=a.txt", b"a\n" * 61, 413, "more than 60 rows"),
        ("name=a.txt", b"a" * 100_001, 413, "100,000 bytes"),
    ],
)
def test_bad_files_are_refused_in_one_line(
    client: TestClient, query: str, content: bytes, status: int, reason: str
) -> None:
    refused(client.post(f"/predict_file?{query}", content=content, headers=FILE), status, reason)


def test_explanation_has_every_part_of_the_text(client: TestClient) -> None:
    text = "  Call now, \n prize  "
    answer = client.post("/explain", json={"text": text}).json()
    assert "".join(part["text"] for part in answer["parts"]) == text
    assert [part["text"] for part in answer["parts"] if part["influence"] is not None] == ["Call", "now,", "prize"]
    assert answer["label"] == answer["prediction"]["label"]
    influences = [part["influence"] for part in answer["parts"] if part["influence"] is not None]
    assert answer["without_words"] + sum(influences) == pytest.approx(answer["log_odds"])
    assert [part["error"] for part in answer["parts"] if part["influence"] is not None] == [0, 0, 0]
    assert client.post("/explain", json={"text": text, "label": "ham"}).json()["label"] == "ham"
    assert client.post("/explain", json={"text": text, "label": "eggs"}).status_code == 422
    assert client.post("/explain", json={"text": " "}).status_code == 422


def test_key_is_asked_for(trained: Callable[..., Classifier]) -> None:
    with client_of(trained(), api_key="kéy") as client:
        body = {"texts": ["a"]}
        for headers in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": "Basic kéy".encode()}):
            answers = [client.post(f"/{at}", json=body, headers=headers) for at in ("predict", "explain")]
            answers += [client.post("/predict_file?name=a.txt", content=b"a", headers={**FILE, **headers})]
            for answer in answers:
                assert answer.status_code == 401
                assert answer.headers["www-authenticate"] == "Bearer"
        assert client.get("/health").status_code == client.get("/").status_code == 200
        assert client.get("/model").json()["needs_key"] is True
    with client_of(trained(), api_key="key") as client:
        assert client.post("/predict", json=body, headers={"Authorization": "Bearer key"}).status_code == 200


def test_unknown_addresses_say_where_to_go(client: TestClient) -> None:
    refused(client.get("/nothing"), 404, "the page is at /, the API's documentation at /docs")


def test_report_of_the_run_needs_the_key(tmp_path: Path) -> None:
    spy: Any = Spy()
    spy.checkpoint, spy.max_length = tmp_path / "checkpoints/best.ckpt", 24
    key = {"authorization": "Bearer open sesame"}
    with client_of(spy, api_key="open sesame") as client:
        refused(client.get("/report", headers=key), 404, "spam_classifier.train test writes one")
        assert not client.get("/model").json()["report"]
        (tmp_path / "report.html").write_text("The report", encoding="utf-8")
        refused(client.get("/report"), 401, "key")
        answer = client.get("/report", headers=key)
        assert client.get("/model").json()["report"]
    assert answer.text == "The report"
    assert "default-src 'none'" in answer.headers["content-security-policy"]


def test_pages_elsewhere_can_not_use_it(trained: Callable[..., Classifier]) -> None:
    """Neither by a form, nor by another name for this machine."""
    with client_of(trained(), host_names=["127.0.0.1"]) as client:
        body = b'{"texts": ["a"]}'
        for headers in ({}, {"content-type": "text/plain"}, {"content-type": "multipart/form-data; boundary=a"}):
            assert client.post("/predict", content=body, headers=headers).status_code == 422
            assert client.post("/predict_file?name=a.jsonl", content=body, headers=headers).status_code == 422
        headers = {"content-type": "application/json", "host": "evil.example"}
        refused(client.post("/predict", content=body, headers=headers), 400, "127.0.0.1")
        preflight = {"origin": "http://evil.example", "access-control-request-method": "POST"}
        assert "access-control-allow-origin" not in client.options("/predict", headers=preflight).headers


def test_bad_texts_are_answered_in_place_if_the_request_allows_them(client: TestClient) -> None:
    texts = ["", TEXTS[0], None, "x" * 1_001, TEXTS[1], 7]
    answer = client.post("/predict", json={"texts": texts, "allow_bad_texts": True}).json()["predictions"]
    good = classify(client, TEXTS[0], TEXTS[1]).json()["predictions"]
    assert [answer[1], answer[4]] == good
    assert [answer[place] for place in (0, 2, 3, 5)] == [
        {"label": None, "reason": "no text"},
        {"label": None, "reason": "no text"},
        {"label": None, "reason": "more than 1,000 characters"},
        {"label": None, "reason": "the text is not a string"},
    ]
    none = client.post("/predict", json={"texts": [" "], "allow_bad_texts": True, "threshold": 0.4})
    assert none.json()["predictions"] == [{"label": None, "reason": "no text"}]


@pytest.mark.parametrize("host", ["spam.example.com", "SPAM.Example.com.", "spam.example.com.:8443", "127.0.0.1:1"])
def test_server_goes_by_the_names_it_was_given(host: str) -> None:
    with client_of(Spy(), host_names=["127.0.0.1", "spam.example.com"]) as client:
        assert client.get("/health", headers={"host": host}).status_code == 200


@pytest.mark.parametrize(
    ("host", "remedy"),
    [
        ("localhost.localdomain:80", "start the server with --allow_host localhost.localdomain"),
        ("[FE80::1]:8000", "start the server with --allow_host [fe80::1]"),
        ("xn--bcher-kva.example", "start the server with --allow_host xn--bcher-kva.example"),
        ("a b; rm -rf", "use 127.0.0.1"),
        ("", "use 127.0.0.1"),
    ],
)
def test_refused_name_is_the_one_to_allow(host: str, remedy: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with client_of(Spy(), host_names=["127.0.0.1"]) as client:
        answer = client.get("/health", headers={"host": host})
    refused(answer, 400, remedy)
    if "--allow_host" in remedy:  # it can be typed
        monkeypatch.setattr("sys.argv", ["serve", *remedy.split()[-2:]])
        assert serve.parse().allow_host == [remedy.split()[-1]]
    else:
        assert "--allow_host" not in answer.json()["detail"]


def test_only_named_origins_may_use_it() -> None:
    asks = {"access-control-request-method": "POST", "access-control-request-headers": "authorization,content-type"}
    with client_of(Spy(), allow_origin=["https://app.example.com"], max_body=100) as client:
        own, other = ({"origin": f"https://{name}.example.com"} for name in ("app", "evil"))
        allowed = client.options("/predict", headers={**own, **asks})
        assert allowed.status_code == 200
        assert allowed.headers["access-control-allow-origin"] == "https://app.example.com"
        for body in ({"texts": ["a"]}, {"texts": ["a" * 200]}):  # answers and refusals can be read
            answer = client.post("/predict", json=body, headers=own)
            assert answer.headers["access-control-allow-origin"] == "https://app.example.com"
        assert answer.status_code == 413
        assert "access-control-allow-origin" not in client.options("/predict", headers={**other, **asks}).headers
        assert "access-control-allow-origin" not in classify(client, "a").headers
        assert client.post("/predict", content=b"{}", headers={**own, "content-type": "text/plain"}).status_code == 422
    with client_of(Spy()) as client:
        assert client.options("/predict", headers={**own, **asks}).status_code == 405


def test_metrics() -> None:
    pytest.importorskip("prometheus_client")
    spy = Spy(0.3)
    key = {"authorization": "Bearer open sesame"}

    def metrics(client: TestClient) -> dict[str, float]:
        lines = client.get("/metrics", headers=key).text.splitlines()
        return {name: float(value) for name, _, value in (line.rpartition(" ") for line in lines if line[0] != "#")}

    def ask(*texts: str) -> Any:
        return client.post("/predict", json={"texts": texts}, headers=key)

    settings = {"metrics": True, "api_key": "open sesame"}
    with client_of(spy, **settings) as client, ThreadPoolExecutor(2) as threads:
        refused(client.get("/metrics"), 401, "key")
        first = threads.submit(ask, "first")
        spy.begun.wait()
        second = threads.submit(ask, "a", "b", "c")
        while not (found := metrics(client))["spam_classifier_queue_texts"]:
            time.sleep(0.01)
        assert found["spam_classifier_queue_texts"] == 3
        assert first.result().status_code == second.result().status_code == 200
        assert ask("").status_code == 422
        assert ask("poison").status_code == 500
        assert ask("a" * 100_000).status_code == 413
        for name in ("a", "b"):
            client.get(f"/{name}")
        found = metrics(client)
    requests = {name: value for name, value in found.items() if "requests_total" in name and "/metrics" not in name}
    assert requests == {
        'spam_classifier_requests_total{route="/predict",status="200"}': 2,
        'spam_classifier_requests_total{route="/predict",status="422"}': 1,
        'spam_classifier_requests_total{route="/predict",status="500"}': 1,
        'spam_classifier_requests_total{route="/predict",status="413"}': 1,
        'spam_classifier_requests_total{route="other",status="404"}': 2,
    }
    assert found['spam_classifier_texts_total{label="ham"}'] == 4
    assert found["spam_classifier_queue_texts"] == 0
    assert found['spam_classifier_batch_texts_bucket{le="2.0"}'] == 2  # first and poison
    assert (found["spam_classifier_batch_texts_count"], found["spam_classifier_batch_texts_sum"]) == (3, 5)
    assert found['spam_classifier_request_seconds_count{route="/predict"}'] == 5
    assert found['spam_classifier_request_seconds_bucket{le="0.25",route="/predict"}'] == 2  # 422 and 413
    with client_of(Spy()) as client:
        assert client.get("/metrics").status_code == 404


def test_page_and_documentation_need_nothing_from_elsewhere(client: TestClient) -> None:
    for page in map(client.get, PAGE):
        assert page.status_code == 200
        assert "default-src 'none'" in page.headers["content-security-policy"]
        assert "://" not in page.text.replace("http://www.w3.org/2000/svg", "")
    documentation = client.get("/docs").text
    assert "https://" not in documentation
    paths = client.get("/openapi.json").json()["paths"]
    assert set(paths) == {"/predict", "/predict_file", "/explain", "/health", "/model"}
    assert {"401", "413", "422", "503", "504"} <= set(paths["/predict"]["post"]["responses"])


def test_three_classes_have_no_threshold(trained: Callable[..., Classifier]) -> None:
    with client_of(trained(corpus="three_classes")) as client:
        assert client.get("/model").json()["threshold"] is None
        answer = classify(client, "a goal").json()
        assert len(answer["predictions"][0]["probabilities"]) == 3
        refused(client.post("/predict", json={"texts": ["a"], "threshold": 0.5}), 422, "divides two classes")


def files_of(texts: Sequence[str], directory: Path) -> dict[str, bytes]:
    """The texts as a file in each format that holds many."""
    table = io.StringIO()
    csv.writer(table).writerows([("id", "text"), *enumerate(texts)])
    objects = "".join(json.dumps({"text": text, "id": number}) + "\n" for number, text in enumerate(texts))
    files = {"a.CSV": table.getvalue().encode(), "a.jsonl": objects.encode(), "a.ndjson": objects.encode()}
    files["a.tsv"] = "".join(f"ham\t{text}\n" for text in texts).encode()
    files["a.txt"] = "\ufeff{}".format("\r\n".join(texts)).encode()
    pd.DataFrame({"text": texts}).to_parquet(directory / "a")
    return files | {"a.parquet": (directory / "a").read_bytes()}


def test_files_of_all_formats_get_the_labels_of_the_classifier(
    client: TestClient, trained: Callable[..., Classifier], tmp_path: Path
) -> None:
    texts = [f'{text}, "quoted" é' for text in TEXTS]
    expected = trained().predict(texts, 0.4)
    for name, content in files_of(texts, tmp_path).items():
        answer = client.post(f"/predict_file?name={name}&threshold=0.4", content=content, headers=FILE).json()
        assert (answer["labels"], answer["threshold"], answer["rejected"]) == (["ham", "spam"], 0.4, [])
        first = {"a.CSV": ("line", 2), "a.parquet": ("row", 1)}.get(name, ("line", 1))
        assert (answer["unit"], answer["predictions"][0]["place"]) == first
        for own, text, other in zip(answer["predictions"], texts, expected, strict=True):
            assert (own["text"], own["label"], own["truncated"]) == (text, other.label, other.truncated)
            assert own["probabilities"] == pytest.approx(other.probabilities, abs=1e-6)


def test_rows_and_rejected_rows_have_their_place(client: TestClient) -> None:
    mail = b"Subject: You won\nContent-Type: text/html\n\n<p>call <b>now</b>"
    answer = client.post("/predict_file?name=a.eml", content=mail, headers=FILE).json()
    assert answer["unit"] == "file"
    assert [(own["place"], own["text"]) for own in answer["predictions"]] == [("a.eml", "You won\ncall now")]
    content = b"id,WORDS\n1,see you\n2, \n3,caf\xe9\n4,a,b\n5," + b"x" * 1_001 + b"\n,\n6,call\n"
    answer = client.post("/predict_file?name=a.csv&text_column=words", content=content, headers=FILE).json()
    assert [(own["place"], own["text"]) for own in answer["predictions"]] == [(2, "see you"), (4, "café"), (8, "call")]
    assert [own["place"] for own in answer["rejected"]] == [3, 5, 6]
    assert answer["rejected"][2]["reason"] == "1,001 characters, more than 1,000"
    assert answer["notes"] == "read as windows-1252, a guess (encoding); blank rows dropped: 1"


def test_columns_of_a_file_can_be_joined(client: TestClient) -> None:
    query = "name=a.csv&text_column=subject&text_column=body"
    answer = client.post(f"/predict_file?{query}", content=b"subject,body\nHi,see you\n", headers=FILE).json()
    assert [own["text"] for own in answer["predictions"]] == ["Hi\nsee you"]
    assert answer["notes"] == ""


def test_file_lets_other_requests_take_their_turn() -> None:
    spy = Spy(0.05)
    with client_of(spy, batch=5) as client, ThreadPoolExecutor(2) as threads:
        content = "".join(f"row {number}\n" for number in range(60)).encode()
        file = threads.submit(client.post, "/predict_file?name=a.txt", content=content, headers=FILE)
        spy.begun.wait()
        assert classify(client, "other").status_code == 200
        assert not file.done()
        assert len(file.result().json()["predictions"]) == 60


@pytest.mark.slow
def test_real_corpus_is_a_file_within_the_defaults(trained: Callable[..., Classifier], uci_archive: Path) -> None:
    content = zipfile.ZipFile(uci_archive).read("SMSSpamCollection")
    texts = [line.split("\t", 1)[1] for line in content.decode().split("\n") if line]
    with TestClient(web_app(Service(classifier=trained()))) as client:
        answer = client.post("/predict_file?name=spam.tsv", content=content, headers=FILE).json()
    assert len(answer["predictions"]) == 5_574
    assert [own["label"] for own in answer["predictions"]] == [own.label for own in trained().predict(texts)]
