"""Connections that cannot hold the server up: uvicorn's HTTP connection with limits on time, size and number.

A client that sends its head byte by byte, never reads, or opens connections without end (slow loris and its kin) is
cut off; uvicorn itself limits only the time between two requests.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import TYPE_CHECKING, Any, ClassVar

from shoestring.device.serve.rates import network

if TYPE_CHECKING:
    from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol as Base

    from shoestring.device.serve.settings import Settings
else:
    Base = object  # the real one is mixed in by `connection_class`, since uvicorn is an extra

MAX_HEAD_BYTES = 32 * 1024
MAX_UNREAD_BYTES = 4 * 1024 * 1024
"""Of a body that nobody reads any more, since its request was refused: enough for a client to see the answer."""
_TOO_LARGE = b"HTTP/1.1 431 Request Header Fields Too Large\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"


def connection_class(settings: Settings) -> type[asyncio.Protocol]:
    """A class of connections for uvicorn's `http` setting, which share their counts."""
    from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

    return type("Connection", (Limited, HttpToolsProtocol), {"settings": settings, "clients": Counter()})


class Limited(Base):
    """What is laid over uvicorn's connection."""

    settings: ClassVar[Settings]
    clients: ClassVar[Counter[str]]

    def connection_made(self, transport: Any) -> None:
        """Count it, or cut it off when there are too many."""
        super().connection_made(transport)
        self._timers: dict[str, asyncio.TimerHandle] = {}
        self._head_bytes: int | None = 0
        self._unread_bytes = 0
        self._from = network(self.client[0] if self.client else "")
        self.clients[self._from] += 1
        limits = self.settings
        if len(self.connections) > limits.connections or self.clients[self._from] > limits.client_connections:
            transport.abort()
        else:
            self._arm("head", limits.headers_s)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget it."""
        self.clients[self._from] -= 1
        if self.clients[self._from] <= 0:
            del self.clients[self._from]
        for timer in self._timers.values():
            timer.cancel()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Limit the size of heads."""
        if self._head_bytes is not None:
            # The bytes of this packet may be body already, so they count from the next one on.
            if self._head_bytes > MAX_HEAD_BYTES:
                self.transport.write(_TOO_LARGE)
                self.transport.close()
                return
            self._head_bytes += len(data)
        super().data_received(data)
        if self._head_bytes is not None and "head" not in self._timers and not self.transport.is_closing():
            self._arm("head", self.settings.headers_s)  # most heads come whole, and need no timer

    def on_message_begin(self) -> None:
        """A head begins."""
        super().on_message_begin()
        self._head_bytes = self._head_bytes or 0
        self._unread_bytes = 0

    def on_headers_complete(self) -> None:
        """It is over."""
        self._head_bytes = None
        self._disarm("head")
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """Limit what comes after the answer was sent."""
        if self.cycle.response_complete:
            self._unread_bytes += len(body)
            if self._unread_bytes > MAX_UNREAD_BYTES:
                self.transport.abort()
                return
        super().on_body(body)

    def pause_writing(self) -> None:
        """The client is slow to read."""
        super().pause_writing()
        self._arm("write", self.settings.write_s)

    def resume_writing(self) -> None:
        """It has caught up."""
        super().resume_writing()
        self._disarm("write")

    def timeout_keep_alive_handler(self) -> None:
        """Nothing more came. What the client has not read by now it never will."""
        self.transport.abort()

    def _arm(self, what: str, seconds: float) -> None:
        self._disarm(what)
        self._timers[what] = self.loop.call_later(seconds, self.transport.abort)

    def _disarm(self, what: str) -> None:
        timer = self._timers.pop(what, None)
        if timer is not None:
            timer.cancel()
