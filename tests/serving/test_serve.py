"""``python -m spam_classifier.serve``."""

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
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from fastapi.testclient import TestClient

from spam_classifier import Classifier
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
def test_serves_until_it_is_told_to_end(
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
    with ThreadPoolExecutor(6) as clients:
        answers = [clients.submit(asked, f"{url}/predict", body, **key) for _ in range(6)]
        next(as_completed(answers))  # so the others have arrived
        os.kill(server.pid, signal.SIGTERM)
        assert [answer.result()[0] for answer in answers] == [200] * 6
    assert server.wait(timeout=10) in (0, -signal.SIGTERM)
    assert server.out.read_text().endswith("ready\n")
    assert server.err.read_text() == ""
    with pytest.raises(urllib.error.URLError):
        asked(f"{url}/health")


def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[Any, str]:
    from spam_classifier.serve import main

    monkeypatch.setattr(sys, "argv", ["serve", *map(str, arguments)])
    with pytest.raises(SystemExit) as stopped:
        main()
    return stopped.value.code, capsys.readouterr().err


def test_mistakes_end_in_one_line(
    trained: Callable[..., Classifier],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    code, error = run(monkeypatch, capsys)
    assert code == 1
    assert "configs/quickstart.yaml" in error
    checkpoint = trained().checkpoint
    with socket.create_server(("127.0.0.1", 0)) as taken:
        code, error = run(monkeypatch, capsys, "--ckpt_path", checkpoint, "--port", taken.getsockname()[1])
        assert code == 1
        assert "name another --host or --port" in error
    assert run(monkeypatch, capsys, "--ckpt_path", checkpoint, "--port", 99_999)[0] == 1
    assert run(monkeypatch, capsys, "--ckpt_path", checkpoint, "--device", "abacus")[0] == 1
    assert run(monkeypatch, capsys, "--ckpt_path", checkpoint, "--timeout", 0)[0] == 2
    (tmp_path / "no.ckpt").write_bytes(b"nothing")
    code, error = run(monkeypatch, capsys, "--ckpt_path", tmp_path / "no.ckpt")
    assert code == 1
    assert "not a checkpoint" in error


def test_without_the_extra_it_says_what_to_install(
    trained: Callable[..., Classifier], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in list(sys.modules):
        if name.startswith("spam_classifier.serving"):
            monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    code, error = run(monkeypatch, capsys, "--ckpt_path", trained().checkpoint)
    assert code == 1
    assert "pip install 'spam_classifier[serve]'" in error


def test_readme_asks_what_the_server_answers(
    trained: Callable[..., Classifier], monkeypatch: pytest.MonkeyPatch
) -> None:
    from spam_classifier import serve

    readme = Path(__file__).parents[2].joinpath("README.md").read_text(encoding="utf-8")
    (command,) = re.findall(r"^python -m spam_classifier\.serve.*", readme, flags=re.MULTILINE)
    monkeypatch.setattr(sys, "argv", shlex.split(command)[2:])
    arguments = serve.parse()
    requests = [shlex.split(line)[1:] for line in re.findall(r"^curl .*", readme, flags=re.MULTILINE)]
    assert len(requests) == 3
    with TestClient(web_app(Service(classifier=trained()))) as client:
        for url, *flags, body in requests:
            address = urlsplit(url)
            assert (address.hostname, address.port) == (arguments.host, arguments.port)
            kind = "application/json" if flags == ["--json"] else flags[1].removeprefix("content-type: ")
            content = "text\nsee you\n" if body == "@inbox.csv" else body
            path = f"{address.path}?{address.query}"
            assert client.post(path, content=content, headers={"content-type": kind}).status_code == 200
