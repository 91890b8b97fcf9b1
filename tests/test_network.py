"""Downloads that certificates, proxies or the network stop: real servers and proxies on 127.0.0.1."""

import hashlib
import io
import json
import os
import shutil
import socket
import ssl
import subprocess
import sys
import threading
import zipfile
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import huggingface_hub as hub
import pytest
from huggingface_hub import constants

from spam_classifier.data import download
from spam_classifier.errors import UserError
from spam_classifier.models import pretrained
from spam_classifier.network import obstacle

VARIABLES = ("SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
OFFLINE = ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE")
CONTENT = b"ham\tAre you there?\n"
SHA256 = hashlib.sha256(CONTENT).hexdigest()


class Server(ThreadingHTTPServer):
    """Serves ``CONTENT``, zipped under /zip, redirects elsewhere, or as a proxy refuses; records who connects."""

    daemon_threads = True

    def __init__(self, certificate: Path | None = None, refuses: int = 0) -> None:
        super().__init__(("127.0.0.1", 0), Answer)
        self.refuses = refuses
        self.elsewhere = ""
        self.connections = 0
        self.requests: list[str] = []
        self.address = f"127.0.0.1:{self.server_port}"
        self.url = f"http{'s' if certificate else ''}://{self.address}"
        if certificate:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate)
            self.socket = context.wrap_socket(self.socket, server_side=True, do_handshake_on_connect=False)
        threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()

    def process_request(self, *args: object) -> None:
        self.connections += 1
        super().process_request(*args)

    def handle_error(self, *args: object) -> None: ...  # a client that ends the handshake


class Answer(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        self.server.requests.append(f"{self.command} {self.path}")
        archive = io.BytesIO()
        with zipfile.ZipFile(archive, "w") as writer:
            writer.writestr("SMSSpamCollection", CONTENT)
        body = archive.getvalue() if self.path == "/zip" else CONTENT
        self.send_response(self.server.refuses or (302 if self.server.elsewhere else 200))
        headers = {"ETag": f'"{SHA256}"', "X-Repo-Commit": self.path.split("/")[4] if "resolve" in self.path else ""}
        headers |= {"Location": self.server.elsewhere} if self.server.elsewhere else {}
        for header in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(*header)
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)

    do_HEAD = do_CONNECT = do_GET  # noqa: N815  # http.server's own naming

    def log_message(self, format: str, *args: object) -> None: ...


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A self-signed certificate for 127.0.0.1, and its key."""
    openssl, path = shutil.which("openssl"), tmp_path_factory.mktemp("tls") / "certificate.pem"
    if openssl is None:
        pytest.skip("makes its certificate with the command openssl")
    made = ["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=127.0.0.1"]
    made += ["-addext", "subjectAltName=IP:127.0.0.1", "-keyout", "key.pem", "-out", "own.pem"]
    subprocess.run([openssl, *made], cwd=path.parent, check=True, capture_output=True)
    path.write_bytes((path.parent / "own.pem").read_bytes() + (path.parent / "key.pem").read_bytes())
    return path


@pytest.fixture
def started() -> Iterator[Callable[..., Server]]:
    servers: list[Server] = []

    def started(*arguments: object, **options: int) -> Server:
        servers.append(Server(*arguments, **options))
        return servers[-1]

    yield started
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.fixture(autouse=True)
def bare(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """No variable that leads elsewhere, an empty cache, and a client that is made anew."""
    for name in list(os.environ):
        if name.lower().endswith("_proxy") or name in VARIABLES + OFFLINE:
            monkeypatch.delenv(name)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(download, "MEMBER", download.ExpectedFile("SMSSpamCollection", len(CONTENT), SHA256))
    hub.close_session()
    yield
    hub.close_session()


@pytest.fixture
def refusals(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[[str], list[str]]:
    """What the corpus and GPT-2 say of a server that can't be used."""

    def refusals(url: str) -> list[str]:
        monkeypatch.setattr(download, "UCI_URLS", (f"{url}/zip", f"{url}/mirror"))
        monkeypatch.setattr(pretrained.hub, "hf_hub_url", lambda *_, **__: f"{url}/file")
        messages = []
        for fetch in (
            lambda: download.fetch_collection(str(tmp_path / "cache")),
            lambda: pretrained.fetch_weights("gpt2"),
        ):
            with pytest.raises(UserError) as caught:
                fetch()
            messages.append(str(caught.value))
        corpus, weights = messages
        assert f"({url}/zip and {url}/mirror: " in corpus
        assert "or place sms+spam+collection.zip in" in corpus
        assert f"{url}/file (" in weights
        assert "or give --model.weights the DIRECTORY of a downloaded copy" in weights
        assert not any("\n" in message or "secret" in message for message in messages)
        return messages

    return refusals


def assert_said(messages: list[str], cause: str, remedy: str) -> None:
    for message in messages:
        assert f"{cause}): {remedy}, or " in message


ITS_CERTIFICATE = (
    "set the environment variable SSL_CERT_FILE to a .pem file with the certificate of this network's proxy"
)


def test_a_certificate_nobody_trusts(
    certificate: Path,
    started: Callable[..., Server],
    refusals: Callable[[str], list[str]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    server = started(certificate)
    messages = refusals(server.url)
    for message in messages:
        assert "the certificate is not trusted: " in message
        assert f"): {ITS_CERTIFICATE} or, if this machine has no certificates, install the package ca-c" in message
    assert server.connections == 3  # both addresses of the corpus and that of the weights, once each
    for variable in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        hub.close_session()
        with monkeypatch.context() as patch:
            patch.setenv(variable, str(certificate))
            for message in refusals(server.url):
                assert f"): set the environment variable SSL_CERT_FILE to {certificate}, too: {variable} is" in message


def test_other_certificates_than_the_server_s(
    certificate: Path,
    started: Callable[..., Server],
    refusals: Callable[[str], list[str]],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    server = started(certificate)
    monkeypatch.setenv("SSL_CERT_DIR", str(tmp_path))
    for message in refusals(server.url):
        assert f", and SSL_CERT_DIR names {tmp_path}, which does not hold it): {ITS_CERTIFICATE}, or " in message
    hub.close_session()
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    localhost = refusals(server.url.replace("127.0.0.1", "localhost"))
    for message in localhost:
        assert "the certificate belongs to another server: " in message
        assert "): sign in to this network with a browser, or set the environment variable HTTPS_PROXY" in message
    other = tmp_path / "other.pem"
    directory = tmp_path / "another"
    directory.mkdir()
    made = ["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=other", "-keyout", "key.pem", "-out", other]
    subprocess.run(["openssl", *made], cwd=directory, check=True, capture_output=True)
    hub.close_session()
    monkeypatch.setenv("SSL_CERT_FILE", str(other))
    for message in refusals(server.url):
        assert f"): add the proxy's certificate to {other}, the file that SSL_CERT_FILE names, or " in message


@pytest.mark.parametrize(
    ("contents", "fault"),
    [(None, "which cannot be read (No such file or directory)"), (b"", "which holds no certificate")],
)
def test_a_file_of_certificates_that_cannot_be_used(
    contents: bytes | None,
    fault: str,
    refusals: Callable[[str], list[str]],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    path = tmp_path / "certificates.pem"
    if contents is not None:
        path.write_bytes(contents)
    monkeypatch.setenv("SSL_CERT_FILE", str(path))
    remedy = "set the environment variable SSL_CERT_FILE to a .pem file of certificates, or remove it"
    assert_said(refusals("https://127.0.0.1:9"), f"SSL_CERT_FILE names {path}, {fault}", remedy)


def closed_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


@pytest.mark.parametrize("variable", ["HTTPS_PROXY", "https_proxy", "ALL_PROXY"])
def test_a_proxy_that_is_not_there(
    variable: str, refusals: Callable[[str], list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    address = f"127.0.0.1:{closed_port()}"
    monkeypatch.setenv(variable, f"http://user:secret@{address}/")
    if os.name == "nt":  # where variables have no case
        variable = variable.upper()
    cause = f"the proxy {address}, which {variable} names, cannot be reached ("
    for message in refusals("https://127.0.0.1:9"):
        assert cause in message
        assert f"): correct the environment variable {variable}, or remove it if no proxy is needed, or" in message


@pytest.mark.parametrize(
    ("status", "user", "answer", "remedy"),
    [
        (407, "", "407 Proxy Authentication Required", "set {} to http://USER:PASSWORD@{}"),
        (407, "user:secret@", "407 Proxy Authentication Required", "correct user and password in {}"),
        (403, "user:secret@", "403 Forbidden", "have the proxy allow 127.0.0.1, or name another in {}"),
    ],
)
def test_a_proxy_that_refuses(
    status: int,
    user: str,
    answer: str,
    remedy: str,
    started: Callable[..., Server],
    refusals: Callable[[str], list[str]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    proxy = started(refuses=status)
    monkeypatch.setenv("HTTPS_PROXY", f"http://{user}{proxy.address}")
    cause = f"the proxy {proxy.address}, which HTTPS_PROXY names, answers {answer}"
    remedy = remedy.format("the environment variable HTTPS_PROXY", proxy.address)
    assert_said(refusals("https://127.0.0.1:9"), cause, remedy)
    assert proxy.requests == ["CONNECT 127.0.0.1:9"] * 3


def test_a_proxy_without_encryption(
    started: Callable[..., Server], refusals: Callable[[str], list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    server = started()
    for message in refusals(server.url.replace("http", "https")):
        assert "no encrypted connection (" in message
        assert "): sign in to this network with a browser, or set the environment variable HTTPS_PROXY" in message
    hub.close_session()
    monkeypatch.setenv("HTTPS_PROXY", f"https://user:secret@{server.address}")
    assert_said(
        refusals("https://127.0.0.1:9"),
        f"the proxy {server.address}, which HTTPS_PROXY names, gives no encrypted connection",
        f"write http://{server.address} in the environment variable HTTPS_PROXY if the proxy itself is not encrypted",
    )


@pytest.mark.parametrize(
    "address", ["http://user:sec:ret@127.0.0.1:secret", "ftp://user:secret@127.0.0.1:9", "http://"]
)
@pytest.mark.parametrize("variable", ["HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY"])
def test_an_address_that_is_no_proxy_s(
    variable: str, address: str, refusals: Callable[[str], list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, address)
    assert_said(
        refusals("https://127.0.0.1:9"),
        f"{variable} does not name a proxy as http://HOST:PORT",
        f"correct the environment variable {variable}, or remove it if no proxy is needed",
    )


def test_a_socks_proxy(refusals: Callable[[str], list[str]], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "socksio", None)
    monkeypatch.setenv("ALL_PROXY", "socks5://user:secret@127.0.0.1:9")
    cause = "the proxy 127.0.0.1:9, which ALL_PROXY names, needs the package socksio"
    assert_said(refusals("https://127.0.0.1:9"), cause, "install it: python -m pip install socksio")


def test_no_network(refusals: Callable[[str], list[str]], monkeypatch: pytest.MonkeyPatch) -> None:
    remedy = "set the environment variable HTTPS_PROXY to its address, http://HOST:PORT, or "
    port = closed_port()
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy.invalid:3128")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    for url in (f"https://127.0.0.1:{port}", f"http://127.0.0.1:{port}"):
        for message in refusals(url):
            assert "cannot be reached (" in message
            assert "proxy.invalid" not in message
            assert f"): check the network and run again or, if only a proxy leads out, {remedy}" in message


@pytest.mark.parametrize("variable", OFFLINE)
def test_offline_mode(variable: str, refusals: Callable[[str], list[str]], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(variable, "1")
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)  # which the hub's client reads as it is imported
    remedy = f"remove the environment variable {variable}"
    assert_said(refusals("https://127.0.0.1:9"), f"{variable} forbids downloads", remedy)


def test_weights_on_another_server(
    certificate: Path, started: Callable[..., Server], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The hub answers, and a server that it redirects to is not trusted, or a proxy refuses it."""
    hub_server, other, proxy = started(), started(certificate), started(refuses=403)
    hub_server.elsewhere = f"{other.url}/blob"
    monkeypatch.setattr(pretrained.hub, "hf_hub_url", lambda *_, **__: f"{hub_server.url}/file")
    with pytest.raises(UserError, match=r"the certificate is not trusted: .*SSL_CERT_FILE"):
        pretrained.fetch_weights("gpt2")
    assert other.connections == 1
    hub.close_session()
    monkeypatch.setenv("HTTPS_PROXY", f"http://{proxy.address}")
    hub_server.elsewhere = "https://elsewhere.invalid/blob"
    with pytest.raises(UserError, match=r"answers 403 Forbidden\): have the proxy allow elsewhere\.invalid, or"):
        pretrained.fetch_weights("gpt2")
    assert proxy.requests == ["CONNECT elsewhere.invalid:443"]


def test_certificates_that_are_not_valid_today() -> None:
    error = ssl.SSLCertVerificationError(1, "certificate verify failed")
    error.verify_code, error.verify_message = 10, "certificate has expired"
    cause, remedy = obstacle(error, "https://127.0.0.1:9") or ("", "")
    assert cause == "the certificate is not valid today: certificate has expired"
    assert remedy == "check the date of this machine"


def test_other_errors_are_not_the_network_s() -> None:
    for error in (PermissionError(13, "Permission denied"), ValueError("HTTP 404")):
        assert obstacle(error, "https://127.0.0.1:9") is None


FETCH = """
import json, sys
from spam_classifier.data import download
from spam_classifier.models import pretrained
url, cache, size, pretrained.GPT2_SHA256 = sys.argv[1:]
download.MEMBER = download.ExpectedFile("SMSSpamCollection", int(size), pretrained.GPT2_SHA256)
download.UCI_URLS = (f"{url}/zip",)
download.fetch_collection(cache)
pretrained.fetch_weights("gpt2")
print(json.dumps([download.read_collection(cache).decode(), *pretrained.weights_sha256("gpt2").values()]))
"""


@pytest.mark.slow
def test_one_variable_mends_both(certificate: Path, started: Callable[..., Server], tmp_path: Path) -> None:
    server = started(certificate)
    environment = {"SSL_CERT_FILE": str(certificate), "HF_ENDPOINT": server.url, "HF_HOME": str(tmp_path / "home")}
    arguments = [server.url, str(tmp_path / "cache"), str(len(CONTENT)), SHA256]
    run = subprocess.run(
        [sys.executable, "-c", FETCH, *arguments],
        env={**os.environ, **environment, "HF_HUB_DISABLE_XET": "1"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    assert json.loads(run.stdout) == [CONTENT.decode(), SHA256]
