"""What the live page follows: events of its state, and pictures."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

from shoestring.device.serve.asking import unavailable
from shoestring.device.serve.http import Refusal, Response, encode

if TYPE_CHECKING:
    from collections.abc import Callable

    from shoestring.device.serve.http import Request
    from shoestring.device.serve.live import LiveState
    from shoestring.device.serve.settings import Settings

EVENT_S = 0.5
"""Between two events; with `live.STALE_S` a silent source is told within 2 s."""
PICTURE_S = 0.2
"""Between two pictures of a stream, at least."""
_BOUNDARY = "shoestring-picture"


class Streams:
    """Events and pictures of one service.

    Args:
        live: what is shown.
        settings: how many may look at a time.
        draining: whether the server is ending.
    """

    def __init__(self, live: LiveState, settings: Settings, draining: Callable[[], bool]) -> None:
        self._live, self._most, self._draining = live, settings.streams, draining
        self._open = 0
        self._event, self._event_at_s = b"", float("-inf")

    async def state(self, request: Request, found: dict[str, str]) -> Response:
        """One look."""
        return Response(encode(self._live.snapshot()))

    async def events(self, request: Request, found: dict[str, str]) -> Response:
        """Server-sent events (HTML living standard, 9.2): one `state` every EVENT_S."""
        self._admit()
        return Response(self._events(), "text/event-stream")

    async def picture(self, request: Request, found: dict[str, str]) -> Response:
        """The last picture."""
        taken = self._live.picture()
        if taken is None:
            raise Refusal(404, "there is no picture yet")
        number, jpeg = taken
        tag = (b"etag", f'"{number}"'.encode())
        if request.headers.get(b"if-none-match") == tag[1]:
            return Response(b"", "image/jpeg", 304, (tag,))
        return Response(jpeg, "image/jpeg", headers=(tag,))

    async def moving(self, request: Request, found: dict[str, str]) -> Response:
        """Pictures one after the other, as old cameras send them (multipart/x-mixed-replace)."""
        self._admit()
        return Response(self._pictures(), f"multipart/x-mixed-replace; boundary={_BOUNDARY}")

    def _admit(self) -> None:
        if self._draining():
            raise unavailable("the server is ending")
        if self._open >= self._most:
            raise unavailable(f"{self._open} streams are open, the limit is {self._most}")

    async def _events(self) -> AsyncIterator[bytes]:
        self._open += 1
        try:
            while not self._draining():
                yield self._fresh_event()
                await asyncio.sleep(EVENT_S)
            yield b"event: end\ndata: {}\n\n"
        finally:
            self._open -= 1

    async def _pictures(self) -> AsyncIterator[bytes]:
        self._open += 1
        shown = 0
        try:
            while not self._draining():
                taken = self._live.picture()
                if taken is not None and taken[0] != shown:
                    shown, jpeg = taken
                    head = f"--{_BOUNDARY}\r\nContent-Type: image/jpeg\r\nContent-Length: {len(jpeg)}\r\n\r\n"
                    yield head.encode() + jpeg + b"\r\n"
                else:
                    yield b""
                await asyncio.sleep(PICTURE_S)
        finally:
            self._open -= 1

    def _fresh_event(self) -> bytes:
        """One text for all who listen: it costs a millisecond to make."""
        now = time.monotonic()
        if now - self._event_at_s >= EVENT_S / 2:
            self._event, self._event_at_s = (
                b"event: state\ndata: " + encode(self._live.snapshot()) + b"\n\n",
                now,
            )
        return self._event
