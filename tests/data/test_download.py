"""The download of the SMS Spam Collection, against a real HTTP server on 127.0.0.1."""

import hashlib
import io
import os
import signal
import socket
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
NAME = "SMSSpamCollection"


def zipped(members: dict[str, bytes], compression: int = zipfile.ZIP_DEFLATED) -> bytes:
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", compression) as writer:
        for name, data in members.items():
            writer.writestr(name, data)
    return archive.getvalue()


ARCHIVE = zipped({NAME: COLLECTION, "readme": b"about"})
DAMAGED = b"X" + COLLECTION[1:]

Answer = Callable[[BaseHTTPRequestHandler], None]


def body(content: bytes, declared: int | None = None) -> Answer:
    """Send the content, with another length in the header if declared."""

    def answer(request: BaseHTTPRequestHandler) -> None:
        request.send_response(200)
        request.send_header("Content-Length", str(len(content) if declared is None else declared))
        request.end_headers()
        request.wfile.write(content)

    return answer


def status(code: int) -> Answer:
    return lambda request: request.send_error(code)


def redirect(place: str) -> Answer:
    def answer(request: BaseHTTPRequestHandler) -> None:
        request.send_response(302)
        request.send_header("Location", place)
        request.send_header("Content-Length", "0")
        request.end_headers()

    return answer


def press_ctrl_c(request: BaseHTTPRequestHandler) -> None:
    """Interrupt the downloading main thread in the middle of the body."""
    request.send_response(200)
    request.send_header("Content-Length", str(len(ARCHIVE)))
    request.end_headers()
    request.wfile.write(ARCHIVE[:100])
    signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)
    request.rfile.read(1)  # until the client is gone


class Servers:
    """A server with the URLs /first and /mirror, each giving its answers in turn and the last for ever."""

    def __init__(self) -> None:
        self.answers: dict[str, list[Answer]] = {"/first": [body(ARCHIVE)], "/mirror": [body(ARCHIVE)]}
        self.requests: list[str] = []
        servers = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                servers.requests.append(self.path)
                answers = servers.answers[self.path]
                (answers.pop(0) if len(answers) > 1 else answers[0])(self)

            def log_message(self, *args: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.urls = tuple(f"http://127.0.0.1:{self.server.server_port}{path}" for path in self.answers)
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.01}).start()

    def stop(self) -> None:
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture(autouse=True)
def tiny_collection(monkeypatch: pytest.MonkeyPatch) -> None:
    expected = ExpectedFile(NAME, len(COLLECTION), hashlib.sha256(COLLECTION).hexdigest())
    monkeypatch.setattr(download, "MEMBER", expected)
    monkeypatch.setattr(download, "PAUSE", 0.0)
    monkeypatch.setattr(download, "TIMEOUT", 5.0)
    monkeypatch.delenv(download.CACHE_VARIABLE, raising=False)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


@pytest.fixture
def servers(monkeypatch: pytest.MonkeyPatch) -> Iterator[Servers]:
    running = Servers()
    monkeypatch.setattr(download, "UCI_URLS", running.urls)
    yield running
    running.stop()


@pytest.fixture
def no_server(monkeypatch: pytest.MonkeyPatch) -> tuple[str, ...]:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    urls = tuple(f"http://127.0.0.1:{port}/{name}" for name in ("first", "mirror"))
    monkeypatch.setattr(download, "UCI_URLS", urls)
    return urls


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


def test_first_url_fills_the_cache(servers: Servers, cache: Path) -> None:
    fetch_collection(str(cache))
    assert contents(cache) == {NAME: COLLECTION}
    assert read_collection(str(cache)) == COLLECTION
    assert servers.requests == ["/first"]


def test_cached_file_needs_no_request(servers: Servers, cache: Path) -> None:
    cache.mkdir()
    (cache / NAME).write_bytes(COLLECTION)
    fetch_collection(str(cache))
    assert servers.requests == []


@pytest.mark.parametrize(
    "broken",
    [
        pytest.param(status(404), id="not found"),
        pytest.param(status(503), id="unavailable"),
        pytest.param(body(ARCHIVE[:200], declared=len(ARCHIVE)), id="connection closed in the middle"),
        pytest.param(body(ARCHIVE[:200]), id="truncated archive"),
        pytest.param(body(b"<html>sign in to this network</html>"), id="not an archive"),
        pytest.param(body(b""), id="empty"),
        pytest.param(body(zipped({NAME: DAMAGED})), id="wrong hash"),
        pytest.param(body(zipped({"readme": b"about"})), id="no such member"),
        pytest.param(lambda request: request.connection.close(), id="no answer"),
    ],
)
class TestBrokenUrl:
    def test_mirror_steps_in(self, servers: Servers, cache: Path, broken: Answer) -> None:
        servers.answers["/first"] = [broken]
        fetch_collection(str(cache))
        assert contents(cache) == {NAME: COLLECTION}
        assert servers.requests == ["/first", "/mirror"]

    def test_both_broken_leave_nothing(self, servers: Servers, cache: Path, broken: Answer) -> None:
        servers.answers = {"/first": [broken], "/mirror": [broken]}
        message = refusal(lambda: fetch_collection(str(cache)))
        for part in (
            *servers.urls,
            ARCHIVE_NAME,
            str(cache),
            "--data.corpus PATH.zip",
            "--data.corpus sample",
        ):
            assert part in message
        assert contents(cache) == {}


def test_passing_failure_is_tried_again(servers: Servers, cache: Path) -> None:
    servers.answers = {"/first": [status(503), body(ARCHIVE)], "/mirror": [status(503)]}
    fetch_collection(str(cache))
    assert servers.requests == ["/first", "/mirror", "/first"]
    assert contents(cache) == {NAME: COLLECTION}


def test_not_found_is_reported_once_for_each_url(servers: Servers, cache: Path) -> None:
    servers.answers = {"/first": [status(404)], "/mirror": [status(404)]}
    message = refusal(lambda: fetch_collection(str(cache)))
    assert message.count("HTTP 404") == 2


def test_stalled_server_is_given_up(servers: Servers, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(download, "TIMEOUT", 0.2)
    servers.answers["/first"] = [lambda request: request.rfile.read(1)]
    fetch_collection(str(cache))
    assert contents(cache) == {NAME: COLLECTION}


def drip(request: BaseHTTPRequestHandler) -> None:
    """Send a byte now and then, never long enough apart to count as a stall."""
    request.send_response(200)
    request.send_header("Content-Length", str(len(ARCHIVE)))
    request.end_headers()
    with suppress(OSError):  # until the client is gone
        for place in range(len(ARCHIVE)):
            request.wfile.write(ARCHIVE[place : place + 1])
            time.sleep(0.05)


def send_for_ever(request: BaseHTTPRequestHandler) -> None:
    request.send_response(200)
    request.end_headers()
    with suppress(OSError):
        while True:
            request.wfile.write(bytes(2**16))


def test_dripping_server_is_given_up(servers: Servers, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(download, "LIMIT", 0.2)
    servers.answers = {"/first": [drip], "/mirror": [drip]}
    message = refusal(lambda: fetch_collection(str(cache)))
    assert message.count("not here after 0 seconds") == 2
    assert contents(cache) == {}
    monkeypatch.setattr(download, "LIMIT", 60.0)
    servers.answers["/mirror"] = [body(ARCHIVE)]
    servers.answers["/first"] = [status(503)]
    fetch_collection(str(cache))
    assert contents(cache) == {NAME: COLLECTION}


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        pytest.param(send_for_ever, "over 10,000,000 bytes", id="endless"),
        pytest.param(body(ARCHIVE, declared=len(ARCHIVE) - 10), "not a readable zip archive", id="longer than said"),
        pytest.param(redirect("file:///etc/passwd"), "InvalidSchema", id="redirect to a file"),
        pytest.param(redirect("/first"), "HTTP 302", id="redirect to itself"),
    ],
)
def test_what_no_archive_can_be_is_named(servers: Servers, cache: Path, answer: Answer, reason: str) -> None:
    servers.answers = {"/first": [answer], "/mirror": [status(404)]}
    assert f"{servers.urls[0]}: {reason}" in refusal(lambda: fetch_collection(str(cache)))
    assert contents(cache) == {}


def test_no_network(no_server: tuple[str, ...], cache: Path) -> None:
    message = refusal(lambda: fetch_collection(str(cache)))
    for part in (*no_server, ARCHIVE_NAME, str(cache), "--data.corpus PATH.zip", "--data.corpus sample"):
        assert part in message
    assert contents(cache) == {}


def test_ctrl_c_leaves_nothing(servers: Servers, cache: Path) -> None:
    servers.answers["/first"] = [press_ctrl_c]
    # a process started in the background may have inherited that Ctrl-C is ignored
    former = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt):
            fetch_collection(str(cache))
    finally:
        signal.signal(signal.SIGINT, former)
    assert contents(cache) == {}


def test_archive_placed_by_hand(no_server: tuple[str, ...], cache: Path) -> None:
    cache.mkdir()
    (cache / ARCHIVE_NAME).write_bytes(ARCHIVE)
    fetch_collection(str(cache))
    assert contents(cache) == {ARCHIVE_NAME: ARCHIVE, NAME: COLLECTION}


def test_member_placed_by_hand(no_server: tuple[str, ...], cache: Path) -> None:
    cache.mkdir()
    (cache / NAME).write_bytes(COLLECTION)
    fetch_collection(str(cache))
    assert read_collection(str(cache)) == COLLECTION


def test_damaged_archive_placed_by_hand_is_passed_over(servers: Servers, cache: Path) -> None:
    cache.mkdir()
    (cache / ARCHIVE_NAME).write_bytes(ARCHIVE[:200])
    fetch_collection(str(cache))
    assert read_collection(str(cache)) == COLLECTION


@pytest.mark.parametrize("damaged", [DAMAGED, COLLECTION[:-1], COLLECTION + b"\n", b""])
def test_damaged_cached_file_is_replaced(servers: Servers, cache: Path, damaged: bytes) -> None:
    cache.mkdir()
    (cache / NAME).write_bytes(damaged)
    refusal(lambda: read_collection(str(cache)))
    fetch_collection(str(cache))
    assert contents(cache) == {NAME: COLLECTION}


def test_damaged_files_are_named_when_offline(no_server: tuple[str, ...], cache: Path) -> None:
    cache.mkdir()
    (cache / NAME).write_bytes(DAMAGED)
    (cache / ARCHIVE_NAME).write_bytes(b"not a zip")
    message = refusal(lambda: fetch_collection(str(cache)))
    assert f"{cache / NAME} has the SHA-256 {hashlib.sha256(DAMAGED).hexdigest()}" in message
    assert f"{cache / ARCHIVE_NAME}: not a readable zip archive" in message
    assert contents(cache) == {NAME: DAMAGED, ARCHIVE_NAME: b"not a zip"}


def test_reading_never_downloads(servers: Servers, cache: Path) -> None:
    message = refusal(lambda: read_collection(str(cache)))
    assert str(cache / NAME) in message
    assert "No such file" in message
    assert servers.requests == []


def test_many_at_once(servers: Servers, cache: Path) -> None:
    """Every thread, once it has fetched, reads the whole file, however many others replace it meanwhile."""
    workers = 8
    barrier = threading.Barrier(workers)

    def fetch_and_read(_: int) -> bytes:
        barrier.wait()
        fetch_collection(str(cache))
        return read_collection(str(cache))

    with ThreadPoolExecutor(workers) as pool:
        assert set(pool.map(fetch_and_read, range(workers))) == {COLLECTION}
    assert contents(cache) == {NAME: COLLECTION}


@pytest.mark.skipif(os.name != "posix", reason="POSIX permissions")
def test_cached_file_has_the_usual_permissions(servers: Servers, cache: Path) -> None:
    fetch_collection(str(cache))
    usual = cache / "usual"
    usual.touch()
    assert (cache / NAME).stat().st_mode == usual.stat().st_mode


def test_cache_directory_that_cannot_be_made(servers: Servers, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    message = refusal(lambda: fetch_collection(str(tmp_path / "file" / "cache")))
    assert str(tmp_path / "file" / "cache") in message
    assert "--data.cache_dir" in message


def test_directory_under_the_name_of_the_file(servers: Servers, cache: Path) -> None:
    (cache / NAME).mkdir(parents=True)
    assert str(cache) in refusal(lambda: fetch_collection(str(cache)))
    assert [path.name for path in cache.iterdir()] == [NAME]


def test_cache_directory_is_argument_then_variable_then_the_users(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert cache_directory().name == "spam_classifier"
    monkeypatch.setenv(download.CACHE_VARIABLE, str(tmp_path / "variable"))
    assert cache_directory() == tmp_path / "variable"
    assert cache_directory(str(tmp_path / "argument")) == tmp_path / "argument"
    assert cache_directory("~/messages") == Path.home() / "messages"


def test_variable_is_used_for_download_and_reading(
    servers: Servers, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(download.CACHE_VARIABLE, str(cache))
    fetch_collection()
    assert read_collection() == COLLECTION
    assert contents(cache) == {NAME: COLLECTION}


@pytest.mark.parametrize(
    ("archive", "reason"),
    [
        pytest.param(b"", "not a readable zip archive", id="empty"),
        pytest.param(b"PK\x03\x04 and no more", "not a readable zip archive", id="not a zip"),
        pytest.param(ARCHIVE[:-30], "not a readable zip archive", id="truncated"),
        pytest.param(ARCHIVE[:45] + b"damage" + ARCHIVE[51:], "not a readable zip archive", id="bad bytes"),
        pytest.param(zipped({}), f"holds no file {NAME}", id="no member"),
        pytest.param(zipped({f"../{NAME}": COLLECTION}), f"holds no file {NAME}", id="parent directory"),
        pytest.param(zipped({f"/tmp/{NAME}": COLLECTION}), f"holds no file {NAME}", id="absolute path"),
        pytest.param(zipped({NAME: DAMAGED}), hashlib.sha256(DAMAGED).hexdigest(), id="wrong hash"),
        pytest.param(zipped({NAME: bytes(10**7)}), "has 10000000 bytes", id="bomb"),
        pytest.param(zipped({NAME: b""}), "has 0 bytes", id="empty member"),
    ],
)
def test_refused_archives(archive: bytes, reason: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    message = refusal(lambda: read_archive(io.BytesIO(archive), "the archive"))
    assert message.startswith("the archive: ")
    assert reason in message
    assert not list(tmp_path.iterdir())


def test_bomb_that_declares_the_expected_size() -> None:
    archive = zipped({NAME: bytes(10**7)})
    size = (10**7).to_bytes(4, "little")
    assert archive.count(size) == 2
    lying = archive.replace(size, len(COLLECTION).to_bytes(4, "little"))
    refusal(lambda: read_archive(io.BytesIO(lying), "the archive"))


@pytest.mark.parametrize("compression", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_stored_or_deflated(compression: int) -> None:
    assert read_archive(io.BytesIO(zipped({NAME: COLLECTION}, compression)), "the archive") == COLLECTION


@pytest.mark.parametrize("compression", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_packed_so_that_it_may_unpack_to_any_size(compression: int) -> None:
    message = refusal(lambda: read_archive(io.BytesIO(zipped({NAME: COLLECTION}, compression)), "the archive"))
    assert "packed by another method" in message


def test_other_members_do_not_matter() -> None:
    archive = zipped({"../evil": b"x", "/evil": b"x", NAME: COLLECTION})
    assert read_archive(io.BytesIO(archive), "the archive") == COLLECTION
