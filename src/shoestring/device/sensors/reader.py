"""Reads all sensors in one thread beside the caller's, and waits for them no longer than a deadline.

A read of a broken sensor can block in the kernel, where no signal reaches it. Its thread is then left behind, the
sensor is benched, and a new thread reads the others. No more than MOST_LEFT threads are ever left behind; beyond that
nothing is read until one of them comes back.
"""

from __future__ import annotations

import queue
import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from shoestring.device.sensors.source import GarbledError, Source

if TYPE_CHECKING:
    from collections.abc import Sequence

MOST_LEFT = 3
REST_SHARE = 0.5
"""Of the deadline, for the sensors behind one that blocks."""
BENCH_S, MOST_BENCH_S = 1.0, 64.0
"""A sensor that came back is read at once; when it blocks again it rests for BENCH_S after it came back, and twice as
long each time more: every try can cost a whole deadline."""
FORGIVEN_S = 120.0
"""After so long without blocking it starts afresh."""


@dataclass(frozen=True)
class Answer:
    """What one sensor said.

    Args:
        value: None where it said nothing.
        problem: a kind of fault, or empty.
        said: for people.
    """

    value: float | None = None
    problem: str = ""
    said: str = ""


LATE = Answer(None, "late")


@dataclass
class _Round:
    """One pass over some sensors. The thread fills it; whoever waits reads it under the lock."""

    sources: Sequence[Source]
    answers: dict[Source, Answer] = field(default_factory=dict)
    left: bool = False
    back_s: float | None = None
    done: threading.Event = field(default_factory=threading.Event)


class Reader:
    """Sensors, read beside the caller.

    Args:
        sources: all of them.
        deadline_s: for one look; another REST_SHARE of it is taken when a sensor blocks.
    """

    def __init__(self, sources: Sequence[Source], deadline_s: float) -> None:
        self.sources = tuple(sources)
        self._deadline_s = deadline_s
        self._lock = threading.Lock()
        self._jobs: queue.SimpleQueue[_Round | None] | None = None
        self._benched: dict[Source, _Round] = {}
        self._strikes: dict[Source, tuple[int, float]] = {}

    def look(self) -> dict[Source, Answer]:
        """What each sensor says; those that did not in time are late."""
        answers = dict.fromkeys(self.sources, LATE)
        self._call_back()
        wanted = [source for source in self.sources if source not in self._benched]
        for seconds in (self._deadline_s, self._deadline_s * REST_SHARE):
            got, culprit = self._round(wanted, seconds)
            answers |= got
            if culprit is None:
                break
            wanted = wanted[wanted.index(culprit) + 1 :]
        return answers

    def forget(self, sources: Sequence[Source]) -> None:
        """Sensors that are not to be read again."""
        self.sources = tuple(source for source in self.sources if source not in sources)

    def close(self) -> None:
        """Ends the thread, unless it blocks; then it ends with its read."""
        if self._jobs is not None:
            self._jobs.put(None)
            self._jobs = None

    @property
    def left_behind(self) -> int:
        """Threads that block in a read at this moment."""
        with self._lock:
            return sum(one.back_s is None for one in self._benched.values())

    def _round(self, sources: Sequence[Source], seconds: float) -> tuple[dict[Source, Answer], Source | None]:
        """Answers, and the sensor that the thread hangs in."""
        if not sources:
            return {}, None
        if self._jobs is None:
            if self.left_behind >= MOST_LEFT:
                return {}, None
            self._jobs = queue.SimpleQueue()
            threading.Thread(target=self._work, args=(self._jobs,), name="sensors", daemon=True).start()
        job = _Round(sources)
        self._jobs.put(job)
        job.done.wait(seconds)
        with self._lock:
            got = dict(job.answers)
            if len(got) == len(sources):
                return got, None
            culprit = sources[len(got)]
            job.left = True
            self._benched[culprit] = job
        self._strike(culprit)
        self._jobs = None
        return got, culprit

    def _work(self, jobs: queue.SimpleQueue[_Round | None]) -> None:
        """The thread: rounds one after the other, until it is left behind or not wanted any more."""
        while (job := jobs.get()) is not None:
            for source in job.sources:
                answer = _answer(source)
                with self._lock:
                    if job.left:
                        job.back_s = time.monotonic()
                        return
                    job.answers[source] = answer
            job.done.set()

    def _strike(self, source: Source) -> None:
        count, at_s = self._strikes.get(source, (0, 0.0))
        now = time.monotonic()
        self._strikes[source] = (count + 1 if now - at_s < FORGIVEN_S else 1, now)

    def _call_back(self) -> None:
        """Sensors that came back, and have rested, are read again."""
        now = time.monotonic()
        with self._lock:
            for source, job in list(self._benched.items()):
                if job.back_s is not None and now - job.back_s >= bench_s(self._strikes[source][0]):
                    del self._benched[source]


def bench_s(strikes: int) -> float:
    """How long a sensor rests that has blocked so often, s."""
    return 0.0 if strikes <= 1 else min(MOST_BENCH_S, BENCH_S * 2.0 ** (strikes - 2))


def _answer(source: Source) -> Answer:
    try:
        value = source.read()
    except GarbledError as error:
        return Answer(None, "impossible", repr(error.said))
    except TimeoutError as error:  # of a child process
        return Answer(None, "late", str(error))
    except OSError as error:
        return Answer(None, "missing", error.strerror or str(error))
    return Answer(value, "", "" if value is None else f"{value:g}")


__all__ = ["LATE", "MOST_LEFT", "Answer", "Reader", "bench_s"]
