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
OF_CONNECTIONS = {"ConnectError", "ConnectTimeout", "ProxyError"}  # of the hub's HTTP client
OF_PROXY_SETTINGS = {"InvalidURL", "ImportError"}


class Obstacle(NamedTuple):
    """What stopped a download, and what the user can do."""

    cause: str
    remedy: str


def obstacle(error: BaseException, url: str) -> Obstacle | None:
    """What stopped the download of a URL; None if it was neither a certificate, nor a proxy, nor the network."""
    errors = list(_with_causes(error))
    names = {type(error).__name__ for error in errors}
    if "OfflineModeIsEnabled" in names:
        variable = "HF_HUB_OFFLINE" if os.environ.get("HF_HUB_OFFLINE") else "TRANSFORMERS_OFFLINE"
        return Obstacle(f"{variable} forbids downloads", f"remove the environment variable {variable}")
    remedy = f"set the environment variable {CERTIFICATES} to a .pem file with the certificate of this network's proxy"
    if (path := os.environ.get(CERTIFICATES)) and not _holds_certificates(path):
        return Obstacle(f"{CERTIFICATES} names {path}, which holds no certificate", f"{remedy}, or remove it")
    for refused in errors:
        if isinstance(refused, ssl.SSLCertVerificationError):
            cause = f"the certificate is not trusted: {getattr(refused, 'verify_message', '') or refused.reason}"
            return Obstacle(
                cause, f"{remedy} or, if this machine has no certificates, install the package ca-certificates"
            )
    setting = any(isinstance(one, ValueError) and "proxy" in str(one).lower() for one in errors)
    setting = setting or bool(names & OF_PROXY_SETTINGS)
    connecting = bool(names & OF_CONNECTIONS) or any(isinstance(one, ssl.SSLError) for one in errors)
    if not (setting or connecting):
        return None
    requested = next(filter(None, map(_requested, errors)), url)
    if proxy := _proxy_variable(requested, any_scheme=setting):
        return Obstacle(  # its address may hold a password
            f"the proxy that {proxy} names cannot be used ({_reason(errors)})",
            f"correct the environment variable {proxy}, http://USER:PASSWORD@HOST:PORT, or remove it if no proxy is "
            "needed",
        )
    if not connecting:
        return None
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


def _holds_certificates(path: str) -> bool:
    try:
        ssl.create_default_context(cafile=path)
    except OSError:  # of the file, or an SSLError of its contents
        return False
    return True


def _proxy_variable(url: str, *, any_scheme: bool) -> str | None:
    """The environment variable of the proxy for a URL, or of the first one: the client reads all as it is made."""
    parts = urlsplit(url)
    schemes = [parts.scheme, "all"]
    if any_scheme:
        schemes += ["https", "http"]
    elif not parts.hostname or proxy_bypass(parts.hostname):
        return None
    kind = next((scheme for scheme in schemes if getproxies().get(scheme)), None)
    if kind is None:
        return None
    names = (f"{kind}_proxy".upper(), f"{kind}_proxy")
    return next((name for name in names if os.environ.get(name)), names[0])


def _reason(errors: list[BaseException]) -> str:
    """The innermost error in the system's words, such as "Connection refused"."""
    if type(errors[0]).__name__ == "ProxyError":
        return f"it answers {errors[-1]}"
    for error in reversed(errors):
        if isinstance(error, OSError) and error.strerror:
            return error.strerror
    return type(errors[0]).__name__
