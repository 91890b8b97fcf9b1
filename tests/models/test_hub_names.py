"""ORGANISATION/NAME[@REVISION]: found, downloaded and verified, from a hub on 127.0.0.1."""

import hashlib
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from transformers import GPT2Config, GPT2Model

COMMIT = "0123456789abcdef0123456789abcdef01234567"
RESOLVE = """
import json, sys, time
from spam_classifier.errors import UserError
from spam_classifier.models import pretrained
time.sleep = lambda seconds: None
try:
    weights = pretrained.resolve_weights(sys.argv[1])
    shape = pretrained.resolve_shape(weights)
    directory = pretrained.tokenizer_directory(weights)
    print(json.dumps([weights, shape.layers, sorted(file.name for file in directory.iterdir())]))
except UserError as error:
    print(json.dumps(str(error)))
"""


class Hub(ThreadingHTTPServer):
    """Serves a repository's files by their names."""

    def __init__(self, repository: str, files: dict[str, bytes]) -> None:
        super().__init__(("127.0.0.1", 0), Answer)
        self.repository, self.files = repository, files
        self.etags = {name: _etag(name, content) for name, content in files.items()}
        self.requests: list[str] = []
        threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()


def _etag(name: str, content: bytes) -> str:
    if name.endswith(".safetensors"):
        return hashlib.sha256(content).hexdigest()
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()  # as git names it


class Answer(BaseHTTPRequestHandler):
    server: Hub

    def do_HEAD(self) -> None:
        hub = self.server
        hub.requests.append(f"{self.command} {self.path}")
        name = self.path.rpartition("/")[2]
        content = hub.files.get(name, b"")
        headers = {"X-Error-Code": "RepoNotFound"}
        found = self.path == f"/api/models/{hub.repository}/revision/main"
        if found:
            siblings = [{"rfilename": name} for name in hub.files]
            content = json.dumps({"id": hub.repository, "sha": COMMIT, "siblings": siblings}).encode()
            headers = {"Content-Type": "application/json"}
        elif found := self.path == f"/{hub.repository}/resolve/{COMMIT}/{name}" and name in hub.files:
            headers = {"ETag": f'"{hub.etags[name]}"', "X-Repo-Commit": COMMIT}
        self.send_response(200 if found else 404)
        for header in {**headers, "Content-Length": str(len(content) if found else 0)}.items():
            self.send_header(*header)
        self.end_headers()
        if found and self.command == "GET":
            self.wfile.write(content)

    do_GET = do_HEAD  # noqa: N815  # http.server's own naming

    def log_message(self, format: str, *args: object) -> None: ...


@pytest.fixture
def files(tmp_path: Path) -> dict[str, bytes]:
    GPT2Model(GPT2Config(n_layer=1, n_embd=8, n_head=2, n_positions=16)).save_pretrained(tmp_path / "made")
    made = {path.name: path.read_bytes() for path in (tmp_path / "made").iterdir()}
    return {**made, "README.md": b"not needed", "pytorch_model.bin": b"not read"}


@pytest.fixture
def hub(files: dict[str, bytes]) -> Iterator[Hub]:
    with Hub("distilbert/distilgpt2", files) as hub:
        yield hub
        hub.shutdown()


def resolve(hub: Hub, weights: str, home: Path, **environment: str) -> list | str:
    address = f"http://127.0.0.1:{hub.server_port}"
    environment = {"HF_HUB_DISABLE_XET": "1", "HF_HUB_ETAG_TIMEOUT": "2", "HF_ENDPOINT": address, **environment}
    environment = {**os.environ, "HF_HOME": str(home), **environment}
    command = [sys.executable, "-c", RESOLVE, weights]
    run = subprocess.run(command, env=environment, cwd=home, capture_output=True, text=True, timeout=120, check=False)
    assert run.returncode == 0, run.stderr
    return json.loads(run.stdout)


@pytest.mark.slow
def test_a_revision_is_resolved_and_kept(hub: Hub, tmp_path: Path) -> None:
    expected = [f"distilbert/distilgpt2@{COMMIT}", 1, ["config.json", "model.safetensors"]]
    assert resolve(hub, "distilgpt2", tmp_path) == expected
    assert not any("README" in request or "pytorch_model" in request for request in hub.requests)
    hub.requests.clear()
    assert resolve(hub, expected[0], tmp_path, HF_HUB_OFFLINE="1") == expected
    assert hub.requests == []


@pytest.mark.slow
def test_damaged_weights_are_refused(hub: Hub, tmp_path: Path) -> None:
    name = "model.safetensors"
    hub.files[name] = hub.files[name][:-1] + b"\0"
    told = resolve(hub, "distilbert/distilgpt2", tmp_path)
    assert f"not {hub.etags[name]}, after a second download, too" in told


@pytest.mark.slow
def test_what_the_hub_has_not(hub: Hub, tmp_path: Path) -> None:
    for weights in ("nobody/nothing", "distilbert/distilgpt2@branch"):
        told = resolve(hub, weights, tmp_path)
        assert f"--model.weights {weights}: no such file or directory, and cannot find it on the hub at http://" in told
        assert "\n" not in told
    del hub.files["model.safetensors"]
    assert "only safetensors is read: a pickle checkpoint is converted" in resolve(hub, "distilgpt2", tmp_path)
