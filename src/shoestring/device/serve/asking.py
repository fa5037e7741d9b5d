"""From a request to the desk and back, with its deadline."""

from __future__ import annotations

import asyncio
import contextlib
import math
import time
from typing import TYPE_CHECKING, Generic, TypeVar

from shoestring.base.errors import DataError, EngineFaultError, ShoestringError
from shoestring.device.serve.desk import Desk, Job, Told
from shoestring.device.serve.http import CLOSE, Refusal

if TYPE_CHECKING:
    from collections.abc import Callable

    from shoestring.device.serve.http import Request
    from shoestring.device.serve.nouns import Engine, Service
    from shoestring.device.serve.settings import Settings

T = TypeVar("T")

WATCH_S = 0.1  # a client is watched for hanging up once his answer has taken this long; most answers come sooner
RETRY_S = 1


class Asker:
    """Brings work of requests to the engine.

    Args:
        service: that is asked.
        settings: its deadline.

    Attributes:
        desk: the queue.
        draining: whether the server is ending.
    """

    def __init__(self, service: Service, settings: Settings) -> None:
        self._service, self._deadline_s = service, settings.deadline_s
        self.desk = Desk(service.engine, settings.queue)
        self.draining = False
        self._trouble = False

    @property
    def ready(self) -> bool:
        """Whether a request would be taken now."""
        ready = self._service.ready
        return not self.draining and self.desk.alive and (ready is None or ready())

    async def ask(self, request: Request, work: Callable[[Engine, float], T], timeout_s: float | None) -> T:
        """What `work` says; it is called in the desk's thread with the engine and the deadline, s.

        Args:
            request: that the work is for; its body has been read.
            timeout_s: from its arrival, where the client gives us less than the settings do.

        Raises:
            Refusal: 400 for what the work refuses, 500, 503 or 504.
        """
        if self.draining:
            raise unavailable("the server is ending")
        limit_s = self._deadline_s if timeout_s is None else min(timeout_s, self._deadline_s)
        deadline_s = request.arrived_s + limit_s
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Told[T]] = loop.create_future()

        def tell(told: Told[T]) -> None:
            with contextlib.suppress(RuntimeError):  # the loop is closed: the process ends, nobody waits
                loop.call_soon_threadsafe(_settle, future, told)

        job: Job[T] = Job(lambda engine: work(engine, deadline_s), deadline_s, tell)
        self.desk.submit(job)
        wait = _Wait(request, future, deadline_s)
        try:
            told = await future
        finally:
            wait.end()
            self.desk.forget(job)  # nobody waits for it any more, whichever way the wait ended
        return self._result(told, limit_s)

    def _result(self, told: Told[T], limit_s: float) -> T:
        self._tell_live(told)
        if told.kind == "done":
            return told.result  # type: ignore[return-value]
        if told.kind == "dropped":
            raise unavailable("newer requests took the place of this one, or the server is ending")
        if told.kind == "late":
            raise Refusal(504, f"no answer within {limit_s:g} s; ask less often, or give it more time")
        if told.kind == "gone" or told.error is None:
            raise unavailable("the client hung up", CLOSE)
        raise refused(told.error)

    def _tell_live(self, told: Told[T]) -> None:
        if isinstance(told.error, EngineFaultError):
            self._trouble = True
            self._service.live.trouble("engine", told.error.message)
        elif self._trouble and told.kind == "done":
            self._trouble = False
            self._service.live.trouble("engine", None)


def refused(error: ShoestringError) -> Refusal:
    """An error of ours as an answer."""
    words = error.message if error.hint is None else f"{error.message}; {error.hint}"
    if isinstance(error, DataError):
        return Refusal(400, words)
    if isinstance(error, EngineFaultError):
        return unavailable(words)
    return Refusal(500, words)


def unavailable(words: str, *headers: tuple[bytes, bytes]) -> Refusal:
    """Not now; perhaps in a second."""
    return Refusal(503, words, (b"retry-after", str(math.ceil(RETRY_S)).encode()), *headers)


def _settle(future: asyncio.Future[Told[T]], told: Told[T]) -> None:
    if not future.done():
        future.set_result(told)


class _Wait(Generic[T]):
    """Ends the wait for an answer at its deadline, or when the client hangs up.

    Args:
        request: of the client.
        future: told what ended the wait.
        deadline_s: monotonic clock.
    """

    __slots__ = ("_deadline_s", "_future", "_loop", "_request", "_task", "_timer")

    def __init__(self, request: Request, future: asyncio.Future[Told[T]], deadline_s: float) -> None:
        self._request, self._future, self._deadline_s = request, future, deadline_s
        self._loop = asyncio.get_running_loop()
        self._task: asyncio.Task[None] | None = None
        self._timer = self._loop.call_later(min(WATCH_S, deadline_s - time.monotonic()), self._look)

    def end(self) -> None:
        """Watch no more."""
        self._timer.cancel()
        if self._task is not None:
            self._task.cancel()

    def _look(self) -> None:
        left_s = self._deadline_s - time.monotonic()
        if left_s <= 0:
            _settle(self._future, Told("late"))
            return
        self._timer = self._loop.call_later(left_s, self._look)
        if self._task is None:
            self._task = self._loop.create_task(self._hang_up())

    async def _hang_up(self) -> None:
        await self._request.gone()
        _settle(self._future, Told("gone"))
