"""Names and addresses of the command line; each function is a ``type`` of argparse."""

import argparse
import ipaddress
import re

HOST = r"([a-z0-9._-]+|\[[0-9a-f:.]+\])"  # as in a Host header: an IPv6 address has brackets
PREFIX = r"(/[A-Za-z0-9._~-]+)+"


def host_name(value: str) -> str:
    """The name of a host in the form that Host headers are compared in."""
    name = value.lower().removesuffix(".")
    if not is_host_name(name):
        raise argparse.ArgumentTypeError(f"{value!r} is not a host's name: give it alone, as in spam.example.com")
    return name


def is_host_name(name: str) -> bool:
    """Whether a name can be given as it is, lower case."""
    return re.fullmatch(HOST, name) is not None


def origin(value: str) -> str:
    """The origin of a site as browsers send it."""
    own = value.lower().removesuffix("/")
    for scheme, port in (("http", ":80"), ("https", ":443")):  # browsers leave them out
        own = own.removesuffix(port) if own.startswith(f"{scheme}://") else own
    if not re.fullmatch(rf"[a-z][a-z0-9+.-]*://{HOST}(:\d+)?", own):
        raise argparse.ArgumentTypeError(f"{value!r} is not an origin: give one as in https://app.example.com")
    return own


def prefix(value: str) -> str:
    """A prefix of addresses, with a slash before and none after it."""
    path = "/" + value.strip("/")
    if not re.fullmatch(PREFIX, path):
        raise argparse.ArgumentTypeError(f"{value!r} is not a prefix of addresses: give one as in /spam")
    return path


def network(value: str) -> str:
    """An IP address, or a network of them."""
    try:
        return str(ipaddress.ip_network(value))
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{value!r} is not an IP address: give one as in 127.0.0.1") from error
