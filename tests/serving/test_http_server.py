"""The server on a socket: slow, silent and malformed clients."""

import json
import socket
import threading
import time
from collections.abc import Iterator, Sequence
from types import SimpleNamespace
from typing import Any

import pytest

from spam_classifier import Prediction
from spam_classifier.serving.web_app import Service, http_server

BODY = b'{"texts": ["a"]}'
SLOW: list[int] = []  # batches of texts that take long
HEAD = b"POST /predict HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\n"


def predict(texts: Sequence[str]) -> list[Prediction]:
    if texts[0] == "slow":
        SLOW.append(len(texts))
        time.sleep(0.1)
    return [Prediction("ham", 0.75, {"ham": 0.75, "spam": 0.25}, 0.5, False) for _ in texts]


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    model: Any = SimpleNamespace(predict=predict, labels=["ham", "spam"], threshold=0.5, check_threshold=lambda _: None)
    server = http_server(Service(max_body=2**20, read_timeout=0.5, classifier=model))
    listening = socket.create_server(("127.0.0.1", 0))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
    thread.start()
    yield listening.getsockname()[1]
    server.should_exit = True
    thread.join()


def exchange(port: int, *pieces: bytes, pause: float = 0.0) -> tuple[int, bytes]:
    """Send the pieces with pauses between them; the answer's status, and its body."""
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        for number, piece in enumerate(pieces):
            time.sleep(pause if number else 0)
            try:
                connection.sendall(piece)
            except (BrokenPipeError, ConnectionResetError):  # it has been answered by now
                break
        received = b""
        while data := connection.recv(65536):
            received += data
            head, _, body = received.partition(b"\r\n\r\n")
            if body and b"content-length: %d" % len(body) in head:
                break
    head, _, body = received.partition(b"\r\n\r\n")
    return int(head.split()[1]), body


def whole(body: bytes = BODY) -> bytes:
    return HEAD + b"content-length: %d\r\n\r\n" % len(body) + body


@pytest.mark.parametrize(
    "pieces",
    [
        [HEAD],
        [b"P"],
        [b""],
        [HEAD[:5], *(bytes([byte]) for byte in HEAD[5:])],
        [HEAD + b"content-length: 100\r\n\r\n", BODY],
        [HEAD + b"content-length: 100\r\n\r\n", *(b" " for _ in range(99))],
        [HEAD + b"transfer-encoding: chunked\r\n\r\n", b"5\r\n{", b'"tex'],
    ],
    ids=["half a head", "a byte", "nothing", "drip of a head", "half a body", "drip of a body", "half a chunk"],
)
def test_slow_clients_get_408_within_the_limit(port: int, pieces: list[bytes]) -> None:
    assert exchange(port, *pieces, pause=0.05)[0] == 408
    assert exchange(port, whole())[0] == 200


def test_connection_that_is_kept_has_the_same_limit(port: int) -> None:
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        connection.sendall(whole())
        received = b""
        while not received.endswith(b"}]}"):
            received += connection.recv(65536)
        connection.sendall(b"POST /pre")
        assert b" 408 " in connection.recv(65536)
        assert connection.recv(65536) == b""


@pytest.mark.parametrize("length", ["content-length: 10485760", "transfer-encoding: chunked"])
def test_ten_megabytes_are_refused_and_read_no_further(port: int, length: str) -> None:
    text = b"a" * 10 * 2**20
    chunked = b"a00000\r\n" + text + b"\r\n0\r\n\r\n"
    status, body = exchange(port, HEAD + length.encode() + b"\r\n\r\n", text if "content" in length else chunked)
    assert status == 413
    assert "1,048,576 bytes" in json.loads(body)["detail"]
    assert exchange(port, whole())[0] == 200


def test_client_that_leaves_does_no_harm(port: int) -> None:
    file = b"POST /predict_file?name=a.txt HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/octet-stream\r\n"
    file += b"content-length: 40000\r\n\r\n" + b"slow\n" * 8_000  # in 32 batches
    for piece in (HEAD, whole()[:-3], whole(), file):
        with socket.create_connection(("127.0.0.1", port)) as connection:
            connection.sendall(piece)
            while piece == file and not SLOW:
                time.sleep(0.01)
    for _ in range(10):  # batch by batch, these and the file's would take turns
        assert exchange(port, whole())[0] == 200
    assert len(SLOW) < 5
