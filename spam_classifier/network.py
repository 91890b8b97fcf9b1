"""Why a download failed and what mends it: the certificate, the proxy, or the network.

Tried: httpx 0.28 and httpx2 2.16 heed SSL_CERT_FILE, SSL_CERT_DIR, HTTPS_PROXY, ALL_PROXY and NO_PROXY, but neither
REQUESTS_CA_BUNDLE nor CURL_CA_BUNDLE; hf_xet 1.8 heeds SSL_CERT_FILE, SSL_CERT_DIR and HTTPS_PROXY.
"""

import os
import ssl
from collections.abc import Iterator
from typing import NamedTuple
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

CERTIFICATES = "SSL_CERT_FILE"
NOT_READ = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
WRONG_DATE = (9, 10)  # OpenSSL: not yet valid, expired
WRONG_HOST = (62, 64)  # OpenSSL: for another host name, for another IP address
PROXY_SCHEMES = ("http", "https", "socks5", "socks5h")
SIGN_IN = "sign in to this network with a browser, or set the environment variable HTTPS_PROXY to its proxy"


class Obstacle(NamedTuple):
    """What stopped a download, and what the user can do."""

    cause: str
    remedy: str


class Proxy(NamedTuple):
    """A proxy, and the environment variable that names it; "" if the system's settings do."""

    variable: str
    url: str

    @property
    def address(self) -> str:
        """Host and port, without user and password."""
        return self.url.rpartition("@")[2].rpartition("://")[2].rstrip("/")

    @property
    def named(self) -> str:
        """The subject of a sentence."""
        return f"the proxy {self.address}, which {self.variable or 'the system'} names,"

    @property
    def setting(self) -> str:
        """What to set."""
        return f"the environment variable {self.variable or 'HTTPS_PROXY'}"

    @property
    def is_valid(self) -> bool:
        """Whether the client can use the address."""
        try:
            parts = urlsplit(self.url if "://" in self.url else f"http://{self.url}")
            return parts.scheme in PROXY_SCHEMES and bool(parts.hostname) and (parts.port or 1) > 0
        except ValueError:  # such as a port that is no number
            return False


def obstacle(error: BaseException, url: str) -> Obstacle | None:
    """What stopped the download of a URL; None if it was neither a certificate, nor a proxy, nor the network.

    The error is what the hub's HTTP client raised, or one that it caused.
    """
    errors = list(_with_causes(error))
    names = {type(error).__name__ for error in errors}
    if "OfflineModeIsEnabled" in names:
        variable = "HF_HUB_OFFLINE" if os.environ.get("HF_HUB_OFFLINE") else "TRANSFORMERS_OFFLINE"
        return Obstacle(f"{variable} forbids downloads", f"remove the environment variable {variable}")
    # the client reads certificates and proxies before it connects, and its errors then name neither
    if found := _unreadable_certificates() or _invalid_proxy():
        return found
    url = next(filter(None, map(_requested, errors)), url)
    proxy = _proxy_for(url)
    if refused := next((error for error in errors if isinstance(error, ssl.SSLCertVerificationError)), None):
        return _refused_certificate(refused)
    if proxy and "ProxyError" in names:
        return _refusing_proxy(proxy, str(errors[-1]), urlsplit(url).hostname)
    if proxy and "ImportError" in names and proxy.url.startswith("socks"):
        return Obstacle(f"{proxy.named} needs the package socksio", "install it: python -m pip install socksio")
    if any(isinstance(error, ssl.SSLError) for error in errors):
        if proxy and proxy.url.startswith("https://"):
            remedy = f"write http://{proxy.address} in {proxy.setting} if the proxy itself is not encrypted"
            return Obstacle(f"{proxy.named} gives no encrypted connection", remedy)
        return Obstacle(f"no encrypted connection ({_reason(errors)})", SIGN_IN)
    if not names & {"ConnectError", "ConnectTimeout"}:
        return None
    if proxy:
        remedy = f"correct {proxy.setting}, or remove it if no proxy is needed"
        return Obstacle(f"{proxy.named} cannot be reached ({_reason(errors)})", remedy)
    return Obstacle(
        f"cannot be reached ({_reason(errors)})",
        "check the network and run again or, if only a proxy leads out, set the environment variable HTTPS_PROXY to "
        "its address, http://HOST:PORT",
    )


def _with_causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _requested(error: BaseException) -> str | None:
    """The address of the request that failed: after a redirect another than the first."""
    try:
        return str(error.request.url)  # type: ignore[attr-defined]
    except (AttributeError, RuntimeError):  # RuntimeError: the client has not set it
        return None


def _reason(errors: list[BaseException]) -> str:
    """The innermost error in the system's words, such as "Connection refused"."""
    for error in reversed(errors):
        if isinstance(error, OSError) and error.strerror:
            return error.strerror
    return type(errors[0]).__name__


def _unreadable_certificates() -> Obstacle | None:
    path = os.environ.get(CERTIFICATES)
    if not path:
        return None
    try:
        ssl.create_default_context(cafile=path)
        return None
    except ssl.SSLError:
        fault = "which holds no certificate"
    except OSError as error:
        fault = f"which cannot be read ({error.strerror})"
    remedy = f"set the environment variable {CERTIFICATES} to a .pem file of certificates, or remove it"
    return Obstacle(f"{CERTIFICATES} names {path}, {fault}", remedy)


def _refused_certificate(error: ssl.SSLCertVerificationError) -> Obstacle:
    reason = getattr(error, "verify_message", None) or error.reason
    code = getattr(error, "verify_code", None)
    if code in WRONG_DATE:
        return Obstacle(f"the certificate is not valid today: {reason}", "check the date of this machine")
    if code in WRONG_HOST:
        return Obstacle(f"the certificate belongs to another server: {reason}", SIGN_IN)
    cause = f"the certificate is not trusted: {reason}"
    if path := os.environ.get(CERTIFICATES):
        return Obstacle(cause, f"add the proxy's certificate to {path}, the file that {CERTIFICATES} names")
    for variable in NOT_READ:
        if os.path.isfile(path := os.environ.get(variable, "")):  # noqa: PTH113  # a Path would be printed otherwise
            return Obstacle(
                cause, f"set the environment variable {CERTIFICATES} to {path}, too: {variable} is not read here"
            )
    remedy = f"set the environment variable {CERTIFICATES} to a .pem file with the certificate of this network's proxy"
    if folder := os.environ.get("SSL_CERT_DIR"):
        return Obstacle(f"{cause}, and SSL_CERT_DIR names {folder}, which does not hold it", remedy)
    return Obstacle(cause, f"{remedy} or, if this machine has no certificates, install the package ca-certificates")


def _invalid_proxy() -> Obstacle | None:
    """The first proxy whose address the client cannot use. It is not printed: it may hold a password."""
    for kind in ("http", "https", "all"):
        if (proxy := _named_proxy(kind)) and not proxy.is_valid:
            fault = f"{proxy.variable or 'the system'} does not name a proxy as http://HOST:PORT"
            return Obstacle(fault, f"correct {proxy.setting}, or remove it if no proxy is needed")
    return None


def _proxy_for(url: str) -> Proxy | None:
    parts = urlsplit(url)
    if not parts.hostname or proxy_bypass(parts.hostname):
        return None
    return _named_proxy(parts.scheme) or _named_proxy("all")


def _named_proxy(kind: str) -> Proxy | None:
    """The proxy for a scheme, or for ``all``."""
    url = getproxies().get(kind)
    if not url:
        return None
    names = (f"{kind}_proxy".upper(), f"{kind}_proxy")
    return Proxy(next((name for name in names if os.environ.get(name) == url), ""), url)


def _refusing_proxy(proxy: Proxy, answer: str, host: str | None) -> Obstacle:
    cause = f"{proxy.named} answers {answer}"
    if not answer.startswith("407"):
        return Obstacle(cause, f"have the proxy allow {host}, or name another in {proxy.setting}")
    if "@" in proxy.url:
        return Obstacle(cause, f"correct user and password in {proxy.setting}")
    return Obstacle(cause, f"set {proxy.setting} to http://USER:PASSWORD@{proxy.address}")
