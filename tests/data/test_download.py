"""The download of the SMS Spam Collection, against a real HTTP server on 127.0.0.1."""

import hashlib
import io
import threading
import time
import zipfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from spam_classifier.data import download
from spam_classifier.data.download import (
    ARCHIVE_NAME,
    ExpectedFile,
    cache_directory,
    fetch_collection,
    read_archive,
    read_collection,
)
from spam_classifier.errors import UserError

COLLECTION = b'ham\tAre you there?\nspam\t"WIN a prize now\n' * 50
DAMAGED = b"X" + COLLECTION[1:]
NAME = "SMSSpamCollection"

Answer = Callable[[BaseHTTPRequestHandler], None]


def zipped(members: dict[str, bytes], compression: int = zipfile.ZIP_DEFLATED) -> bytes:
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", compression) as writer:
        for name, data in members.items():
            writer.writestr(name, data)
    return archive.getvalue()


ARCHIVE = zipped({NAME: COLLECTION, "readme": b"about"})
BAD_BYTES = ARCHIVE[:45] + b"damage" + ARCHIVE[51:]


def answer(content: bytes = b"", status: int = 200, **headers: str) -> Answer:
    def send(request: BaseHTTPRequestHandler) -> None:
        request.send_response(status)
        for name, value in {"Content-Length": str(len(content)), **headers}.items():
            request.send_header(name.replace("_", "-"), value)
        request.end_headers()
        request.wfile.write(content)

    return send


def endless(piece: bytes, pause: float) -> Answer:
    def send(request: BaseHTTPRequestHandler) -> None:
        request.send_response(200)
        request.end_headers()
        with suppress(OSError):  # until the client is gone
            while True:
                request.wfile.write(piece)
                time.sleep(pause)

    return send


class Server(ThreadingHTTPServer):
    """The URLs /first and /mirror, and who asked for them."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.answers = {"/first": answer(ARCHIVE), "/mirror": answer(ARCHIVE)}
        self.requests: list[str] = []
        self.urls = tuple(f"http://127.0.0.1:{self.server_port}{path}" for path in self.answers)
        threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.01}).start()


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        self.server.requests.append(self.path)
        self.server.answers[self.path](self)

    def log_message(self, *args: object) -> None: ...


@pytest.fixture(autouse=True)
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    expected = ExpectedFile(NAME, len(COLLECTION), hashlib.sha256(COLLECTION).hexdigest())
    monkeypatch.setattr(download, "MEMBER", expected)
    monkeypatch.delenv(download.CACHE_VARIABLE, raising=False)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with Server() as server:
        monkeypatch.setattr(download, "UCI_URLS", server.urls)
        yield server
        server.shutdown()


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "cache"


def contents(directory: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in directory.iterdir()} if directory.exists() else {}


def refusal(action: Callable[[], object]) -> str:
    with pytest.raises(UserError) as caught:
        action()
    message = str(caught.value)
    assert "\n" not in message
    return message


def test_downloaded_once(server: Server, cache: Path) -> None:
    message = refusal(lambda: read_collection(str(cache)))  # reading never downloads
    assert f"{cache / NAME}: No such file" in message
    assert server.requests == []
    for _ in range(2):
        fetch_collection(str(cache))
        assert contents(cache) == {NAME: COLLECTION}
    assert server.requests == ["/first"]
    usual = cache / "usual"
    usual.touch()
    assert (cache / NAME).stat().st_mode == usual.stat().st_mode


@pytest.mark.parametrize(
    ("broken", "reason"),
    [
        pytest.param(answer(status=404), "HTTP 404", id="not found"),
        pytest.param(answer(ARCHIVE[:200], Content_Length="999"), "RemoteProtocolError", id="closed in the middle"),
        pytest.param(answer(b"<html>sign in to this network</html>"), "not a readable zip archive", id="no archive"),
        pytest.param(answer(zipped({NAME: DAMAGED})), "has the SHA-256", id="wrong hash"),
        pytest.param(answer(status=302, Location="file:///etc/passwd"), "UnsupportedProtocol", id="to a file"),
        pytest.param(answer(status=302, Location="/first"), "TooManyRedirects", id="to itself"),
        pytest.param(lambda request: request.rfile.read(1), "ReadTimeout", id="stalled"),
    ],
)
def test_broken_server_is_named_and_the_mirror_steps_in(
    server: Server, cache: Path, broken: Answer, reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(download, "TIMEOUT", 0.3)
    server.answers = {"/first": broken, "/mirror": answer(status=503)}
    message = refusal(lambda: fetch_collection(str(cache)))
    for part in (f"{server.urls[0]}: {reason}", f"{server.urls[1]}: HTTP 503", ARCHIVE_NAME, str(cache)):
        assert part.replace(": has", ": SMSSpamCollection has") in message
    assert "--data.corpus PATH.zip, or use --data.corpus sample" in message
    assert contents(cache) == {}
    server.answers["/mirror"] = answer(ARCHIVE)
    fetch_collection(str(cache))
    assert contents(cache) == {NAME: COLLECTION}


def test_archive_without_end_is_not_downloaded(server: Server, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(download, "LIMIT", 0.5)
    server.answers = {"/first": endless(bytes(2**20), 0), "/mirror": endless(b"x", 0.05)}
    message = refusal(lambda: fetch_collection(str(cache)))
    assert f"{server.urls[1]}: not here after 0 seconds" in message
    monkeypatch.setattr(download, "LIMIT", 60)
    server.answers["/mirror"] = answer(status=404)
    assert f"{server.urls[0]}: over 10,000,000 bytes" in refusal(lambda: fetch_collection(str(cache)))
    assert contents(cache) == {}


def test_archive_placed_by_hand(server: Server, cache: Path) -> None:
    cache.mkdir()
    (cache / ARCHIVE_NAME).write_bytes(ARCHIVE)
    fetch_collection(str(cache))
    assert contents(cache) == {ARCHIVE_NAME: ARCHIVE, NAME: COLLECTION}
    assert server.requests == []


@pytest.mark.parametrize("damaged", [DAMAGED, COLLECTION[:-1], COLLECTION + b"\n", b""])
def test_damaged_files_are_named_and_replaced(server: Server, cache: Path, damaged: bytes) -> None:
    cache.mkdir()
    (cache / NAME).write_bytes(damaged)
    (cache / ARCHIVE_NAME).write_bytes(b"not a zip")
    server.answers = dict.fromkeys(server.answers, answer(status=503))
    message = refusal(lambda: fetch_collection(str(cache)))
    assert f"{cache / NAME} has " in message
    assert f"{cache / ARCHIVE_NAME}: not a readable zip archive" in message
    assert f"{cache / NAME} has " in refusal(lambda: read_collection(str(cache)))
    server.answers["/first"] = answer(ARCHIVE)
    fetch_collection(str(cache))
    assert read_collection(str(cache)) == COLLECTION


def test_many_at_once(cache: Path) -> None:
    """Each reads the complete file once it has fetched, while others replace it."""
    workers = 8
    barrier = threading.Barrier(workers)

    def fetch_and_read(_: int) -> bytes:
        barrier.wait()
        fetch_collection(str(cache))
        return read_collection(str(cache))

    with ThreadPoolExecutor(workers) as pool:
        assert set(pool.map(fetch_and_read, range(workers))) == {COLLECTION}
    assert contents(cache) == {NAME: COLLECTION}


def test_cache_directory_that_cannot_be_used(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "cache" / NAME).mkdir(parents=True)
    for cache in (tmp_path / "file" / "cache", tmp_path / "cache"):
        message = refusal(lambda cache=cache: fetch_collection(str(cache)))
        assert f"cannot use the cache directory {cache}" in message
        assert "--data.cache_dir" in message
    assert [path.name for path in (tmp_path / "cache").iterdir()] == [NAME]


def test_cache_directory_is_named_by_argument_or_variable(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_directory().name == "spam_classifier"
    monkeypatch.setenv(download.CACHE_VARIABLE, str(tmp_path / "variable"))
    assert cache_directory() == tmp_path / "variable"
    fetch_collection()
    assert read_collection() == COLLECTION
    assert cache_directory(str(tmp_path / "argument")) == tmp_path / "argument"
    assert cache_directory("~/messages") == Path.home() / "messages"


@pytest.mark.parametrize(
    ("archive", "reason"),
    [
        *((archive, "not a readable zip archive") for archive in (b"", ARCHIVE[:-30], BAD_BYTES)),
        *((zipped({f"{path}{NAME}": COLLECTION}), f"holds no file {NAME}") for path in ("../", "/tmp/")),
        (zipped({NAME: DAMAGED}), hashlib.sha256(DAMAGED).hexdigest()),
        (zipped({NAME: bytes(10**7)}), "has 10000000 bytes"),
        (zipped({NAME: COLLECTION}, zipfile.ZIP_BZIP2), "packed by another method"),
        (zipped({NAME: COLLECTION}, zipfile.ZIP_LZMA), "packed by another method"),
    ],
    ids=["empty", "cut", "damaged", "parent directory", "absolute path", "wrong hash", "bomb", "bzip2", "lzma"],
)
def test_refused_archives(archive: bytes, reason: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    message = refusal(lambda: read_archive(io.BytesIO(archive), "the archive"))
    assert message.startswith("the archive: ")
    assert reason in message
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("compression", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_other_members_do_not_matter(compression: int) -> None:
    archive = zipped({"../evil": b"x", "/evil": b"x", NAME: COLLECTION}, compression)
    assert read_archive(io.BytesIO(archive), "the archive") == COLLECTION
