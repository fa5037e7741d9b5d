"""Requests and responses: as little as ASGI needs."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping
from dataclasses import dataclass
from typing import Any

import msgspec

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Header = tuple[bytes, bytes]

JSON = "application/json"
SAFE: tuple[Header, ...] = (
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"cache-control", b"no-store"),
)
"""On every response: what is served is this machine's own business."""
CLOSE: Header = (b"connection", b"close")

encode = msgspec.json.Encoder().encode


class Refusal(Exception):  # noqa: N818 - an answer, not an error of ours
    """A request that gets another answer than it asked for. It never leaves the app.

    Args:
        status: of HTTP.
        words: what happened, the value, the limit, and what to do.
        headers: more of them.
    """

    def __init__(self, status: int, words: str, *headers: Header) -> None:
        super().__init__(words)
        self.status, self.words, self.headers = status, words, headers


@dataclass(frozen=True)
class Response:
    """An answer.

    Args:
        body: whole; or what gives it piece by piece, until it ends or the client goes.
        media: type of the content.
        status: of HTTP.
        headers: besides those on every response.
    """

    body: bytes | AsyncIterator[bytes]
    media: str = JSON
    status: int = 200
    headers: tuple[Header, ...] = ()


class Room:
    """How much memory the bodies of all requests may take together.

    Args:
        most: bytes.
    """

    __slots__ = ("most", "taken")

    def __init__(self, most: int) -> None:
        self.most, self.taken = most, 0


class Request:
    """What a client asks.

    Args:
        scope: of ASGI.
        receive: likewise.
        arrived_s: monotonic clock.
        room: for its body; whoever answers the request calls `close` to give it back.
    """

    __slots__ = ("_held", "_receive", "_room", "arrived_s", "headers", "method", "path", "scope")

    def __init__(self, scope: Scope, receive: Receive, arrived_s: float, room: Room) -> None:
        self.scope, self._receive, self.arrived_s = scope, receive, arrived_s
        self._room, self._held = room, 0
        self.method: str = scope["method"]
        self.path: str = scope["path"]
        self.headers: dict[bytes, bytes] = dict(scope["headers"])

    def close(self) -> None:
        """Give back what the body took."""
        self._room.taken -= self._held
        self._held = 0

    @property
    def address(self) -> str:
        """Of the client; empty where the server does not know it."""
        client = self.scope.get("client")
        return client[0] if client else ""

    async def body(self, limit: int, seconds: float) -> bytes:
        """All of it.

        Args:
            limit: bytes.
            seconds: that it may take.

        Raises:
            Refusal: 400, 408, 413, 415 for one that is compressed, or 503 when all bodies together take too much.
        """
        self._check_head(limit)
        pieces: list[bytes] = []
        total, more = 0, True
        try:
            async with asyncio.timeout(seconds):
                while more:
                    message = await self._receive()
                    if message["type"] == "http.disconnect":
                        raise Refusal(400, "the client hung up within the body")
                    pieces.append(message.get("body", b""))
                    total += len(pieces[-1])
                    more = message.get("more_body", False)
                    if total > limit:
                        raise _too_large(total, limit)
                    self._hold(len(pieces[-1]))
        except TimeoutError:
            raise Refusal(408, f"the body took longer than {seconds:g} s", CLOSE) from None
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def _hold(self, size: int) -> None:
        if self._room.taken + size > self._room.most:
            words = f"the bodies of all requests take {self._room.taken} bytes, the limit is {self._room.most}"
            raise Refusal(503, words, (b"retry-after", b"1"), CLOSE)
        self._room.taken += size
        self._held += size

    async def gone(self) -> None:
        """Return when the client has hung up. Only after the body was read."""
        while (await self._receive())["type"] != "http.disconnect":
            pass

    def _check_head(self, limit: int) -> None:
        if self.headers.get(b"content-encoding", b"identity") != b"identity":
            raise Refusal(415, "a compressed body is not taken; send it as it is")
        length = self.headers.get(b"content-length")
        if length is not None and int(length) > limit:  # the HTTP parser has let only digits through
            raise _too_large(int(length), limit)


async def respond(send: Send, response: Response, *, head: bool = False) -> None:
    """Send a response, and for a body in pieces all of them."""
    body = response.body
    headers = [(b"content-type", response.media.encode()), *SAFE, *response.headers]
    if isinstance(body, bytes):
        headers.append((b"content-length", str(len(body)).encode()))
    await send({"type": "http.response.start", "status": response.status, "headers": headers})
    if head or isinstance(body, bytes):
        await send({"type": "http.response.body", "body": b"" if head else body})
        return
    async for piece in body:
        await send({"type": "http.response.body", "body": piece, "more_body": True})
    await send({"type": "http.response.body", "body": b""})


def refusal(refused: Refusal) -> Response:
    """The error object of the Open Inference Protocol."""
    return Response(encode({"error": refused.words}), status=refused.status, headers=refused.headers)


def _too_large(size: int, limit: int) -> Refusal:
    return Refusal(413, f"the body has {size} bytes or more, the limit is {limit}", CLOSE)
