"""``python -m spam_classifier.serve``."""

import contextlib
import http.client
import json
import os
import re
import shlex
import signal
import socket
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from fastapi.testclient import TestClient

from spam_classifier import Classifier, serve
from spam_classifier.serving.web_app import Service, web_app


def asked(url: str, body: Any = None, **headers: str) -> tuple[int, Any]:
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, {"content-type": "application/json", **headers})
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


@pytest.mark.slow
def test_server_answers_until_it_is_stopped(
    trained: Callable[..., Classifier], forked: Callable, wait_until: Callable, tmp_path: Path
) -> None:
    classifier, key = trained(), {"Authorization": "Bearer open sesame"}
    flags = ["--port", 0, "--ckpt_path", classifier.checkpoint]
    server = forked("spam_classifier.serve", *flags, cwd=tmp_path, fresh=True, SPAM_CLASSIFIER_API_KEY="open sesame")
    wait_until(lambda: "loading the model" in server.out.read_text())
    url = re.findall(r"http://127\.0\.0\.1:\d+", server.out.read_text())[0]
    while asked(f"{url}/health") != (200, {"status": "ready"}):
        time.sleep(0.05)
    body = {"texts": [f"message {number}" for number in range(1_000)]}
    assert asked(f"{url}/predict", body)[0] == 401
    status, answer = asked(f"{url}/predict", body, **key)
    assert status == 200
    assert [own["label"] for own in answer["predictions"]] == [own.label for own in classifier.predict(body["texts"])]
    address = urlsplit(url)
    connections = [http.client.HTTPConnection(str(address.hostname), address.port, timeout=30) for _ in range(6)]
    for connection in connections:
        connection.request("POST", "/predict", json.dumps(body), {"content-type": "application/json", **key})
    assert connections[0].getresponse().status == 200  # every request had been sent before the first was answered
    os.kill(server.pid, signal.SIGTERM)
    assert [connection.getresponse().status for connection in connections[1:]] == [200] * 5
    assert server.wait(timeout=10) in (0, -signal.SIGTERM)
    assert server.out.read_text().endswith("ready\n")
    assert server.err.read_text() == "stopped\n"
    with pytest.raises(urllib.error.URLError):
        asked(f"{url}/health")


@pytest.mark.slow
@pytest.mark.parametrize("times", [1, 2, 5])
def test_ctrl_c_ends_it_without_a_traceback(
    trained: Callable[..., Classifier], forked: Callable, wait_until: Callable, tmp_path: Path, times: int
) -> None:
    """The first waits for the requests, the second does not."""
    server = forked("spam_classifier.serve", "--port", 0, "--ckpt_path", trained().checkpoint, cwd=tmp_path, fresh=True)
    wait_until(lambda: "ready" in server.out.read_text())
    url = re.findall(r"http://127\.0\.0\.1:\d+", server.out.read_text())[0]
    address = urlsplit(url)
    with socket.create_connection((address.hostname, address.port)) as connection:
        head = (
            "POST /predict HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: 16\r\n\r\n"
        )
        answer = b""
        connection.sendall(head.encode() + b'{"texts":')  # the request is under way until the rest arrives
        time.sleep(0.2)
        for _ in range(times):
            os.kill(server.pid, signal.SIGINT)
            time.sleep(0.05)
        with contextlib.suppress(ConnectionError):
            connection.sendall(b' ["a"]}')
            answer = connection.recv(100)
    assert answer.startswith(b"HTTP/1.1 200") == (times == 1)
    assert server.wait(timeout=10) == 130
    assert server.err.read_text() == "stopped\n"


def test_addresses_are_brought_into_one_form(monkeypatch: pytest.MonkeyPatch) -> None:
    given = "--allow_host Spam.Example.com. --allow_host localhost --allow_origin HTTPS://A.example:443/"
    monkeypatch.setattr(sys, "argv", ["serve", *given.split(), "--allow_origin", "http://b.example:8080"])
    arguments = serve.parse()
    assert arguments.allow_host == ["spam.example.com", "localhost"]
    assert arguments.allow_origin == ["https://a.example", "http://b.example:8080"]


def test_mistakes_end_in_one_line(
    trained: Callable[..., Classifier], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: Callable
) -> None:
    monkeypatch.chdir(tmp_path)
    own = ["--ckpt_path", trained().checkpoint]
    (tmp_path / "no.ckpt").write_bytes(b"nothing")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        for code, error, arguments in (
            (1, "fit --config quickstart", []),
            (1, "name another --host or --port", [*own, "--port", taken.getsockname()[1]]),
            (1, "--port", [*own, "--port", 99_999]),
            (1, "--accelerator", [*own, "--accelerator", "abacus"]),
            (2, "--timeout", [*own, "--timeout", 0]),
            (2, "give it alone, as in spam.example.com", [*own, "--allow_host", "https://spam.example.com"]),
            (2, "give it alone, as in spam.example.com", [*own, "--allow_host", "*"]),
            (2, "give one as in https://app.example.com", [*own, "--allow_origin", "app.example.com"]),
            (2, "give one as in https://app.example.com", [*own, "--allow_origin", "https://app.example.com/a"]),
            (2, "give one as in https://app.example.com", [*own, "--allow_origin", "*"]),
            (1, "not a checkpoint", ["--ckpt_path", tmp_path / "no.ckpt"]),
        ):
            done = call(serve.main, *arguments)
            assert done.code == code
            assert error in done.err.splitlines()[-1]


@pytest.mark.parametrize(
    ("missing", "package"), [("uvicorn", "fastapi"), ("prometheus_client", r"(prometheus-client|\[metrics\])")]
)
def test_without_the_extra_it_says_what_to_install(
    trained: Callable[..., Classifier], monkeypatch: pytest.MonkeyPatch, call: Callable, missing: str, package: str
) -> None:
    for name in [name for name in sys.modules if name.startswith("spam_classifier.serving")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, missing, None)
    done = call(serve.main, "--metrics", "--ckpt_path", trained().checkpoint)
    assert done.code == 1
    assert f"{missing} is missing: " in done.err
    assert re.search(rf" -m pip install .*{package}", done.err)


def test_server_answers_the_documented_requests(
    trained: Callable[..., Classifier], monkeypatch: pytest.MonkeyPatch
) -> None:
    page = Path(__file__).parents[2].joinpath("docs/serving.md").read_text(encoding="utf-8")
    command = re.findall(r"^python -m spam_classifier\.serve.*", page, flags=re.MULTILINE)[0]
    monkeypatch.setattr(sys, "argv", shlex.split(command)[2:])
    arguments = serve.parse()
    requests = [shlex.split(line)[1:] for line in re.findall(r"^curl .*", page, flags=re.MULTILINE)]
    assert len(requests) == 4
    with TestClient(web_app(Service(classifier=trained()))) as client:
        for url, *rest in requests:
            address = urlsplit(url)
            assert (address.hostname, address.port) == (arguments.host, arguments.port)
            if not rest:
                assert client.get(address.path).status_code == 200
                continue
            *flags, body = rest
            kind = "application/json" if flags == ["--json"] else flags[1].removeprefix("content-type: ")
            content = "text\nsee you\n" if body == "@inbox.csv" else body
            path = f"{address.path}?{address.query}"
            assert client.post(path, content=content, headers={"content-type": kind}).status_code == 200
