"""The one way to the engine: a bounded queue and one thread.

When more wait than the queue holds, the oldest is dropped: its client has waited longest and is the likeliest to have
gone, and for pictures the newest answer is the useful one. Whoever waited past his deadline is not asked for any more.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from shoestring.base.errors import EngineError, EngineFaultError, ShoestringError

if TYPE_CHECKING:
    from collections.abc import Callable

    from shoestring.device.serve.nouns import Engine

T = TypeVar("T")

JOIN_S = 5.0  # for the job that runs; an engine that hangs longer is left to the end of the process
_BROKEN = EngineError("the thread of the engine has ended", hint="start the server again")


KINDS = ("done", "failed", "dropped", "late", "gone")


@dataclass(frozen=True)
class Told(Generic[T]):
    """What became of a job.

    Args:
        kind: one of KINDS: it was done; the work raised; newer ones took its place or the server ends; its deadline
            passed; nobody waited for it any more.
        result: of a job that was done.
        error: of one that failed.
    """

    kind: str
    result: T | None = None
    error: ShoestringError | None = None


@dataclass
class Job(Generic[T]):
    """Something to do with the engine.

    Args:
        work: calls the engine; runs in the desk's thread.
        deadline_s: by the desk's clock; after it nobody waits any more.
        tell: called once, from any thread.
        wanted: whether somebody waits.
    """

    work: Callable[[Engine], T]
    deadline_s: float
    tell: Callable[[Told[T]], None]
    wanted: bool = True


@dataclass
class Counts:
    """Since the start."""

    done: int = 0
    dropped: int = 0
    late: int = 0
    gone: int = 0
    failures: dict[str, int] = field(default_factory=dict)


class Desk:
    """Queue and thread before one engine.

    Args:
        engine: called from the desk's thread only.
        queue: jobs that may wait, besides the one that runs.
        clock: monotonic, s.

    Attributes:
        counts: what happened to the jobs.
    """

    def __init__(self, engine: Engine, queue: int, clock: Callable[[], float] = time.monotonic) -> None:
        self.counts = Counts()
        self._engine, self._queue, self._clock = engine, queue, clock
        self._waiting: deque[Job[Any]] = deque()
        self._lock = threading.Condition()
        self._running: Job[Any] | None = None
        self._closed = False
        self._thread = threading.Thread(target=self._serve, name="desk", daemon=True)

    def start(self) -> None:
        """Begin to work."""
        self._thread.start()

    @property
    def alive(self) -> bool:
        """Whether jobs will be done."""
        return self._thread.is_alive() and not self._closed

    @property
    def waiting(self) -> int:
        """Jobs in the queue."""
        return len(self._waiting)

    @property
    def idle(self) -> bool:
        """Whether nothing waits and nothing runs."""
        with self._lock:
            return not self._waiting and self._running is None

    def submit(self, job: Job[Any]) -> None:
        """Put a job at the end. It, or the oldest one, is told at once where there is no place."""
        dropped = None
        with self._lock:
            refused = self._closed
            if not refused:
                if len(self._waiting) >= self._queue:
                    dropped = self._waiting.popleft()
                    self.counts.dropped += 1
                self._waiting.append(job)
                self._lock.notify()
        if refused:
            job.tell(Told("dropped"))
        if dropped is not None:
            dropped.tell(Told("dropped"))

    def forget(self, job: Job[Any]) -> None:
        """Nobody waits for this job any more: leave it out if it has not begun."""
        job.wanted = False

    def close(self) -> None:
        """End the thread after the job that runs; those that wait are dropped. A second call does nothing."""
        with self._lock:
            self._closed = True
            left, self._waiting = list(self._waiting), deque()
            self.counts.dropped += len(left)
            self._lock.notify()
        for job in left:
            job.tell(Told("dropped"))
        if self._thread.is_alive():
            self._thread.join(JOIN_S)

    def _serve(self) -> None:
        while (job := self._take()) is not None:
            told: Told[Any] = Told("failed", error=_BROKEN)
            try:
                told = self._do(job)
            finally:  # after a defect too, whoever waits hears of it, and `alive` turns false with the thread
                with self._lock:
                    self._running = None
                job.tell(told)

    def _take(self) -> Job[Any] | None:
        with self._lock:
            while not self._waiting and not self._closed:
                self._lock.wait()
            self._running = self._waiting.popleft() if self._waiting else None
            return self._running

    def _do(self, job: Job[Any]) -> Told[Any]:
        if not job.wanted:
            self.counts.gone += 1
            return Told("gone")
        if self._clock() >= job.deadline_s:
            self.counts.late += 1
            return Told("late")
        try:
            result = job.work(self._engine)
        except ShoestringError as error:
            if isinstance(error, EngineError):
                kind = error.fault if isinstance(error, EngineFaultError) else "refused"
                self.counts.failures[kind] = self.counts.failures.get(kind, 0) + 1
            return Told("failed", error=error)
        self.counts.done += 1
        return Told("done", result)
