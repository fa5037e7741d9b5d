"""Tokens that were read and written: what the live page and the figures show of a model that writes."""

from __future__ import annotations

import threading
import time
from bisect import bisect_left
from collections import deque
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable

RATE_S = 10.0
"""The rate is of the last so many seconds in which anything was written."""
PIECES = 4096
FIRSTS = 256
FIRST_EDGES_S = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 25.0, 60.0, 120.0)


class Counted(Protocol):
    """Of an answer's tokens; `device.language.nouns.Usage` is one."""

    @property
    def read(self) -> int: ...

    @property
    def written(self) -> int: ...


class Came(Protocol):
    """A piece of an answer; `device.language.nouns.Piece` is one."""

    @property
    def count(self) -> int: ...

    @property
    def usage(self) -> Counted | None: ...


class Tokens:
    """A bounded memory. Any thread may fill and read it.

    Args:
        clock: monotonic, s.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._steps: deque[tuple[float, float, int]] = deque(maxlen=PIECES)  # when, seconds since the last, tokens
        self._firsts: deque[float] = deque(maxlen=FIRSTS)
        self._first_counts = [0] * (len(FIRST_EDGES_S) + 1)
        self._first_sum = 0.0
        self._last: dict[int, float] = {}
        self._counts = {"answers": 0, "read": 0, "written": 0, "refused": 0}
        self.place: Callable[[], tuple[int, int, int]] = lambda: (0, 0, 0)

    def began(self, seconds: float) -> None:
        """The first token of an answer came so long after its request."""
        with self._lock:
            self._firsts.append(seconds)
            self._first_counts[bisect_left(FIRST_EDGES_S, seconds)] += 1
            self._first_sum += seconds

    def piece(self, piece: Came, now_s: float, stream: int) -> None:
        """Some tokens came.

        Args:
            piece: of an answer.
            now_s: by the clock.
            stream: tells answers apart that are written at the same time.
        """
        with self._lock:
            last_s = self._last.get(stream)
            if last_s is not None and piece.count:
                self._steps.append((now_s, now_s - last_s, piece.count))
            self._last[stream] = now_s
            usage = piece.usage
            if usage is not None:
                self._last.pop(stream, None)
                self._counts["answers"] += 1
                self._counts["read"] += usage.read
                self._counts["written"] += usage.written

    def ended(self, stream: int) -> None:
        """An answer is over, whichever way."""
        with self._lock:
            self._last.pop(stream, None)

    def refused(self) -> None:
        """A request found no place in the queue."""
        with self._lock:
            self._counts["refused"] += 1

    def counts(self) -> dict[str, int]:
        """Since the start: `answers`, `read`, `written`, `refused`."""
        with self._lock:
            return dict(self._counts)

    def firsts(self) -> tuple[list[int], float]:
        """How many answers began within each of FIRST_EDGES_S (the last class has no end), and the sum of seconds."""
        with self._lock:
            return list(self._first_counts), self._first_sum

    def snapshot(self) -> dict[str, Any]:
        """For the live page: rates in 1/s, times in ms."""
        now_s = self._clock()
        writing, waiting, most = self.place()
        with self._lock:
            recent = [step for step in self._steps if now_s - step[0] <= RATE_S]
            busy_s = sum(seconds for _, seconds, _ in recent)
            firsts = sorted(self._firsts)
            return {
                "tokens_per_s": sum(count for _, _, count in recent) / busy_s if busy_s > 0 else None,
                "first_ms": 1000 * firsts[len(firsts) // 2] if firsts else None,
                "writing": writing,
                "waiting": waiting,
                "may_wait": most,
                **self._counts,
            }


__all__ = ["FIRST_EDGES_S", "Tokens"]
