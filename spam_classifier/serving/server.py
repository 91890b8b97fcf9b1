"""Uvicorn's server: how signals end it, and its log of requests."""

import logging
import os
import signal
from types import FrameType

import uvicorn
from typing_extensions import override

from spam_classifier.errors import escape_control


def say_stopped(signum: int, frame: FrameType | None) -> None:
    """A signal's handler that ends the process at once: 130 after Ctrl-C, else as the signal does."""
    os.write(2, b"stopped\n")
    if signum == signal.SIGINT:
        os._exit(130)  # an exit would wait for the model's thread
    signal.signal(signum, signal.SIG_DFL)
    signal.raise_signal(signum)


class Server(uvicorn.Server):
    """A server that a second Ctrl-C ends at once: uvicorn would cancel requests, each with a traceback."""

    @override
    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        if self.should_exit and sig == signal.SIGINT:
            say_stopped(sig, frame)
        super().handle_exit(sig, frame)


def log_requests() -> None:
    """Have uvicorn print a line for each request on the standard output."""
    log = logging.getLogger("uvicorn.access")
    log.setLevel(logging.INFO)
    log.addFilter(_escape)


def _escape(record: logging.LogRecord) -> bool:
    """The client's address may come from a header, with control characters."""
    record.args = tuple(escape_control(own) if isinstance(own, str) else own for own in record.args or ())
    return True
