"""Limits on what a client may send, under which name, and on the time it may take over it."""

import asyncio
import json
import re
from collections.abc import Collection

import h11
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

DISCARDED_BYTES = 64 * 2**20  # of a body that is too large; a client that still sends does not read its answer


class BodyLimits:
    """Reads each body whole before anything else is done with it, and refuses it if it is too large or too slow.

    Args:
        app: What comes behind.
        most_bytes: Bytes of a body; more are answered with 413.
        seconds: Time in which the whole body must have come; 408 behind that.
    """

    def __init__(self, app: ASGIApp, most_bytes: int, seconds: float) -> None:
        self.app, self.most_bytes, self.seconds = app, most_bytes, seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on a request with its body, or refuse it."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        body = bytearray()
        size = 0
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
            await refuse(send, 408, f"the body did not come whole within {self.seconds:g} seconds")
            return
        if size > self.most_bytes:
            await refuse(send, 413, f"the body has more than {self.most_bytes:,} bytes: send fewer or shorter texts")
            return
        whole: list[Message] = [{"type": "http.request", "body": bytes(body), "more_body": False}]

        async def replay() -> Message:
            return whole.pop() if whole else await receive()

        await self.app(scope, replay, send)


class OwnNames:
    """Refuses requests for a server of another name, as a page sends them whose own name leads to this machine.

    Args:
        app: What comes behind.
        names: The names that are ours.
    """

    def __init__(self, app: ASGIApp, names: Collection[str]) -> None:
        self.app, self.names = app, names

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on a request, or refuse it."""
        if scope["type"] == "http":
            found = re.fullmatch(r"(\[[^\]]*\]|[^:\[\]]*)(:\d*)?", Headers(scope=scope).get("host", ""))
            if not found or found[1].lower() not in self.names:
                await refuse(send, 400, f"the header Host names another server than {', '.join(self.names)}")
                return
        await self.app(scope, receive, send)


async def refuse(send: Send, status: int, detail: str) -> None:
    """Answer with a status and a reason, and close the connection."""
    content = json.dumps({"detail": detail}).encode()
    headers = [(b"content-type", b"application/json"), (b"connection", b"close")]
    headers.append((b"content-length", str(len(content)).encode()))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": content})


def with_header_deadline(seconds: float) -> type[H11Protocol]:
    """Uvicorn's protocol with a time limit for the head of a request, which uvicorn itself waits for without end.

    Args:
        seconds: Time in which the head must have come; then the connection ends with 408.
    """

    class HeaderDeadline(H11Protocol):
        _deadline: asyncio.TimerHandle | None = None

        def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
            super().connection_made(transport)
            self._await_head()

        def data_received(self, data: bytes) -> None:
            super().data_received(data)
            self._await_head()

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
