"""An answer on its way to a client: it waits for its turn, is written in a thread, and arrives piece by piece."""

from __future__ import annotations

import asyncio
import contextlib
import time
from typing import TYPE_CHECKING, Any

from shoestring.base.errors import EngineError
from shoestring.device.language.fair import FullError
from shoestring.device.language.jobs import Began, Ended, Job
from shoestring.device.language.nouns import Piece
from shoestring.device.language.refusals import later, of_error
from shoestring.device.serve.http import Refusal

if TYPE_CHECKING:
    from concurrent.futures import Executor

    from shoestring.device.language.fair import FairQueue
    from shoestring.device.language.reading import Ask
    from shoestring.device.language.service import WriterService

FULL_S = 10.0
"""When the queue is full, ask again after so long: about an answer's time."""
WAIT_S, ANSWER_S = 600.0, 900.0
"""For a turn, and from the turn to the end of the answer: 2,000 tokens at 3 a second take 11 minutes."""


class Delivery:
    """One answer. Make it within the loop, `start` it, take events with `next`, and `abandon` it in the end.

    Args:
        service: that writes.
        ask: what was asked.
        pinned: rung, or None.
        client: who asks, for the queue.
        queue: whose turns are waited for.
        pool: of threads, one for each turn.
        wait_s, answer_s: limits.
    """

    def __init__(
        self,
        service: WriterService,
        ask: Ask,
        pinned: str | None,
        client: str,
        queue: FairQueue,
        pool: Executor,
        *,
        wait_s: float = WAIT_S,
        answer_s: float = ANSWER_S,
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._service, self._client, self._queue, self._pool = service, client, queue, pool
        self._wait_s, self._answer_s = wait_s, answer_s
        self._events: asyncio.Queue[Any] = asyncio.Queue()
        self._job = Job(
            ask.prompt, ask.options, pinned, service.garage, service.chooser, service.cascade, self._from_thread
        )
        self._turn = False
        self._over = False
        self._late: Refusal | None = None
        self._began_s = time.monotonic()
        self._first_s: float | None = None
        self._rung = ""
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to wait."""
        self._task = self._loop.create_task(self._run())

    async def next(self, seconds: float | None = None) -> Began | Piece | Ended | None:
        """The next event; None when none came in time.

        Raises:
            Refusal: what broke the answer.
        """
        if self._over:
            return Ended()
        try:
            found = await (self._events.get() if seconds is None else asyncio.wait_for(self._events.get(), seconds))
        except TimeoutError:
            return None
        if isinstance(found, Refusal):
            self._over = True
            raise found
        if isinstance(found, Ended):
            self._over = True
            self._service.ended(found.error)
            if self._late is not None:
                raise self._late
            if found.error is not None:
                raise of_error(found.error)
        return found  # type: ignore[no-any-return]

    def abandon(self) -> None:
        """Nobody wants the rest; an answer that is over is left as it is. A second call does nothing."""
        self._job.cancel()
        if self._task is not None and not self._turn:
            self._task.cancel()

    def break_off(self, why: Refusal) -> None:
        """The client is told why the answer ends here."""
        if self._turn:
            self._late = self._late or why
            self._job.cancel()
        elif self._task is not None:
            self._events.put_nowait(why)
            self._task.cancel()

    async def _run(self) -> None:
        try:
            async with asyncio.timeout(self._wait_s):
                await self._queue.enter(self._client)
        except FullError as full:
            whose = "of yours " if full.own else ""
            words = f"{full.waiting} requests {whose}wait already, the limit is {full.most}; ask again later"
            self._events.put_nowait(later(words, FULL_S, status=429, code="queue_full"))
            self._service.written.refused()
            return
        except TimeoutError:
            words = f"no turn within {self._wait_s:g} s; ask again later"
            self._events.put_nowait(later(words, FULL_S, code="queue_timeout"))
            return
        self._turn = True
        timer = self._loop.call_later(self._answer_s, self._too_late)
        try:
            await self._loop.run_in_executor(self._pool, self._job.run)
        except RuntimeError:  # the pool was shut down in between: the server ends
            self._events.put_nowait(Ended(EngineError("the server is ending")))
        finally:
            timer.cancel()
            self._queue.leave()

    def _too_late(self) -> None:
        self.break_off(Refusal(504, f"the answer took longer than {self._answer_s:g} s; ask for fewer tokens"))

    def _from_thread(self, found: Any) -> None:
        now_s = time.monotonic()
        if isinstance(found, Began):
            self._rung = found.rung
            self._first_s = now_s
            self._service.written.began(now_s - self._began_s)
        elif isinstance(found, Piece):
            self._service.written.piece(found, now_s, id(self))
            if found.finish is not None:
                self._service.live.answered(self._began_s, now_s, self._rung)
        else:
            self._service.written.ended(id(self))
        with contextlib.suppress(RuntimeError):  # the loop is closed: the process ends, nobody waits
            self._loop.call_soon_threadsafe(self._events.put_nowait, found)


__all__ = ["ANSWER_S", "WAIT_S", "Delivery"]
