"""Uvicorn's server: how signals end it, and limits on a request's size and on the time it takes to arrive."""

import asyncio
import os
import signal
from types import FrameType

import h11
import uvicorn
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from typing_extensions import override
from uvicorn.protocols.http.h11_impl import H11Protocol

DISCARDED_BYTES = 64 * 2**20  # read of a body that is too large: most clients read no response while they send


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


class BodyLimits:
    """Reads each body in full before the application sees it; refuses one that is too large (413) or too slow (408)."""

    def __init__(self, app: ASGIApp, most_bytes: int, seconds: float) -> None:
        self.app, self.most_bytes, self.seconds = app, most_bytes, seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on with its body, or refuse it."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        body, size = bytearray(), 0
        status, detail = 413, f"the body has more than {self.most_bytes:,} bytes: send less at a time"
        try:
            async with asyncio.timeout(self.seconds):
                more = True
                while more:
                    message = await receive()
                    if message["type"] == "http.disconnect":
                        return
                    size += len(message.get("body", b""))
                    if size <= self.most_bytes:
                        body += message.get("body", b"")
                    more = message.get("more_body", False) and size <= self.most_bytes + DISCARDED_BYTES
        except TimeoutError:
            status, detail = 408, f"the body did not arrive within {self.seconds:g} seconds"
        if status == 408 or size > self.most_bytes:
            await JSONResponse({"detail": detail}, status, {"connection": "close"})(scope, receive, send)
            return
        whole: list[Message] = [{"type": "http.request", "body": bytes(body), "more_body": False}]

        async def replay() -> Message:
            return whole.pop() if whole else await receive()

        await self.app(scope, replay, send)


def with_header_deadline(seconds: float) -> type[H11Protocol]:
    """Uvicorn's protocol with a time limit for a request's whole head; then the connection is closed with 408."""

    class HeaderDeadline(H11Protocol):
        _deadline: asyncio.TimerHandle | None = None

        @override
        def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
            super().connection_made(transport)
            self._await_head()

        @override
        def data_received(self, data: bytes) -> None:
            super().data_received(data)
            self._await_head()

        @override
        def connection_lost(self, exc: Exception | None) -> None:
            super().connection_lost(exc)
            self._stop_waiting()

        def _await_head(self) -> None:
            if self.conn.their_state is not h11.IDLE:
                self._stop_waiting()
            elif self._deadline is None:
                self._deadline = self.loop.call_later(seconds, self._give_up)

        def _stop_waiting(self) -> None:
            if self._deadline is not None:
                self._deadline.cancel()
                self._deadline = None

        def _give_up(self) -> None:
            self._deadline = None
            if self.conn.their_state is h11.IDLE and not self.transport.is_closing():
                self.transport.write(b"HTTP/1.1 408 Request Timeout\r\nconnection: close\r\ncontent-length: 0\r\n\r\n")
                self.transport.close()

    return HeaderDeadline
