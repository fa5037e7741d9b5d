"""`/v1/models`, `/v1/chat/completions`, `/v1/completions`: OpenAI's API, as far as one small model can keep it."""

from __future__ import annotations

import asyncio
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from shoestring.device.language.delivery import ANSWER_S, WAIT_S, Delivery
from shoestring.device.language.fair import FairQueue
from shoestring.device.language.jobs import Began, Ended
from shoestring.device.language.reading import read_chat, read_completion
from shoestring.device.language.refusals import ApiRefusal, bad, later, said
from shoestring.device.language.shapes import ALIVE, Shape, event
from shoestring.device.serve.http import Refusal, Response, encode
from shoestring.device.serve.rates import network
from shoestring.device.serve.tokens import who

if TYPE_CHECKING:
    from shoestring.device.language.nouns import Piece
    from shoestring.device.language.reading import Ask
    from shoestring.device.language.service import WriterService
    from shoestring.device.serve.http import Request
    from shoestring.device.serve.settings import Settings

MAX_BODY_BYTES = 4 * 1024 * 1024
"""Of one request: as base.limits.MAX_TEXT_BYTES, the longest text."""
PATIENCE_S = 5.0
"""A stream's status is told with its first piece, or after so long; what goes wrong later is told within it."""
ALIVE_S = 10.0
"""Between two signs of life while a stream waits: proxies give up after 30 to 60 s."""

LAST_WORDS_S = 1.0
"""Before the end of a drain, for telling clients that their answers end here."""


class Api:
    """The routes for one service.

    Args:
        service: that writes.
        settings: tokens, limits.
        patience_s, alive_s, wait_s, answer_s: as the constants.
    """

    def __init__(
        self,
        service: WriterService,
        settings: Settings,
        *,
        patience_s: float = PATIENCE_S,
        alive_s: float = ALIVE_S,
        wait_s: float = WAIT_S,
        answer_s: float = ANSWER_S,
    ) -> None:
        self._service, self._settings = service, settings
        self._patience_s, self._alive_s, self._wait_s, self._answer_s = patience_s, alive_s, wait_s, answer_s
        self.queue = FairQueue(service.slots)
        self._pool = ThreadPoolExecutor(service.slots, "answer")
        self._created = int(time.time())
        self._under_way: set[Delivery] = set()
        self.draining = False
        self._loop: asyncio.AbstractEventLoop | None = None
        service.written.place = lambda: (self.queue.busy, self.queue.waiting, self.queue.most)

    @property
    def idle(self) -> bool:
        """Whether nothing waits and nothing is written."""
        return not self._under_way and not self.queue.busy

    @property
    def ready(self) -> bool:
        """Whether a request would be taken now."""
        ready = self._service.ready
        return not self.draining and (ready is None or ready())

    def drain(self) -> None:
        """Take no more. What is under way goes on while there is time; then its clients are told why it ends.

        Called from a signal's handler.
        """
        self.draining = True
        if self._loop is not None:
            left_s = max(0.0, self._settings.drain_s - LAST_WORDS_S)
            loop = self._loop
            loop.call_soon_threadsafe(lambda: loop.call_later(left_s, self._break_off))

    def begin(self) -> None:
        """Within the loop, before the first request."""
        self._loop = asyncio.get_running_loop()

    def _break_off(self) -> None:
        for one in list(self._under_way):
            one.break_off(later("the server is ending", 1))

    def close(self) -> None:
        """Break off what is still under way, and end the threads. Blocks until they have."""
        for one in list(self._under_way):
            one.abandon()
        self._pool.shutdown(cancel_futures=True)

    async def models(self, request: Request, found: dict[str, str]) -> Response:
        """The model, and each rung of it by name."""
        return Response(encode({"object": "list", "data": [self._model(name) for name in self._names()]}))

    async def model(self, request: Request, found: dict[str, str]) -> Response:
        """One of them."""
        self._pinned(found["name"])
        return Response(encode(self._model(found["name"])))

    async def chat(self, request: Request, found: dict[str, str]) -> Response:
        """Answer a conversation."""
        if not self._service.rungs.chat:
            raise bad("messages", "this model has no chat template; /v1/completions goes on with a text")
        return await self._answer(request, read_chat(await self._body(request)))

    async def complete(self, request: Request, found: dict[str, str]) -> Response:
        """Go on with a text."""
        return await self._answer(request, read_completion(await self._body(request)))

    async def _body(self, request: Request) -> bytes:
        if self.draining:
            raise later("the server is ending", 1)
        media = request.headers.get(b"content-type", b"").partition(b";")[0].strip().lower()
        if media != b"application/json":  # a form of another site cannot send this
            words = f"content type {media.decode('latin-1')[:60]!r} is not taken; send application/json"
            raise ApiRefusal(415, words)
        return await request.body(min(MAX_BODY_BYTES, self._settings.body_bytes), self._settings.body_s)

    async def _answer(self, request: Request, ask: Ask) -> Response:
        pinned = self._pinned(ask.model)
        client = who(self._settings.tokens, request.headers.get(b"authorization")) or network(request.address)
        delivery = Delivery(
            self._service, ask, pinned, client, self.queue, self._pool, wait_s=self._wait_s, answer_s=self._answer_s
        )
        shape = Shape(ask, self._service.name, int(time.time()))
        self._under_way.add(delivery)
        gone = asyncio.ensure_future(request.gone())
        handed_on = False
        try:
            delivery.start()
            if ask.stream:
                first = await _unless(gone, delivery.next(self._patience_s))
                handed_on = True
                stream = _Stream(self, delivery, shape, first, self._alive_s)
                return Response(stream, "text/event-stream")
            pieces = await _unless(gone, _all(delivery, shape))
            headers = () if shape.rung is None else ((b"x-shoestring-rung", _header(shape.rung)),)
            return Response(encode(shape.whole(pieces)), headers=headers)
        finally:
            gone.cancel()
            if not handed_on:
                self.forget(delivery)

    def forget(self, delivery: Delivery) -> None:
        """An answer is over, or nobody wants it."""
        delivery.abandon()
        self._under_way.discard(delivery)

    def _names(self) -> list[str]:
        name = self._service.name
        return [name, *(f"{name}:{rung}" for rung in self._service.rungs.names)]

    def _model(self, name: str) -> dict[str, Any]:
        return {"id": name, "object": "model", "created": self._created, "owned_by": "shoestring"}

    def _pinned(self, model: str) -> str | None:
        """The rung that a model's name asks for; None: whichever the governor picks."""
        name = self._service.name
        if model == name:
            return None
        rung = model.removeprefix(f"{name}:")
        if rung == model or rung not in self._service.rungs.names:
            words = f"there is no model {model[:80]!r}; there are {', '.join(self._names())}"
            raise ApiRefusal(404, words, param="model", code="model_not_found")
        return rung


class _Stream:
    """The body of a stream: events as they come, and signs of life between."""

    def __init__(
        self, api: Api, delivery: Delivery, shape: Shape, first: Began | Piece | Ended | None, alive_s: float
    ) -> None:
        self._api, self._delivery, self._shape, self._alive_s = api, delivery, shape, alive_s
        self._held: Began | Piece | Ended | None = first
        self._first = True
        self._last: Piece | None = None
        self._over = False

    def __aiter__(self) -> _Stream:
        return self

    async def __anext__(self) -> bytes:
        while not self._over:
            try:
                found = self._held if self._first else await self._delivery.next(self._alive_s)
            except Refusal as refused:
                self._over = True
                return event(said(refused))
            if self._first and found is None:
                self._first = False
                return ALIVE
            self._first = False
            told = ALIVE if found is None else self._told(found)
            if told:
                return told
        raise StopAsyncIteration

    def _told(self, found: Began | Piece | Ended) -> bytes:
        if isinstance(found, Began):
            self._shape.rung, self._shape.more = found.rung, found.more
            return self._shape.first()
        if isinstance(found, Ended):
            self._over = True
            last = self._last
            return self._shape.last(None if last is None else last.finish, None if last is None else last.usage)
        if found.finish is not None:
            self._last = found
        return self._shape.chunk(found)

    async def aclose(self) -> None:
        """The client has gone, or has all."""
        self._over = True
        self._api.forget(self._delivery)


async def _all(delivery: Delivery, shape: Shape) -> list[Piece]:
    pieces: list[Piece] = []
    while not isinstance(found := await delivery.next(), Ended):
        if isinstance(found, Began):
            shape.rung, shape.more = found.rung, found.more
        elif found is not None:
            pieces.append(found)
    return pieces


async def _unless(gone: asyncio.Future[None], work: Any) -> Any:
    """What `work` says, unless the client hangs up before."""
    task = asyncio.ensure_future(work)
    try:
        await asyncio.wait((task, gone), return_when=asyncio.FIRST_COMPLETED)
        if not task.done():
            raise later("the client hung up", 1)
        return task.result()
    finally:
        task.cancel()


def _header(text: str) -> bytes:
    """A name of a stranger's bundle must not end the line."""
    return "".join(one if one.isascii() and one.isprintable() else "?" for one in text).encode()


__all__ = ["Api"]
