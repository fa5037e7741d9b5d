"""What the engine did between two decisions of the governor: bounded, and safe to fill from another thread."""

from __future__ import annotations

import threading
from collections import deque

import numpy as np

from shoestring.device.governor.nouns import Work

MOST_EXAMPLES = 4096
"""Latencies that are kept between two decisions; above it the oldest go. At a decision a second nothing is lost below
4,096 examples a second."""

SLOW_PERCENTILE = 99.0


class Tally:
    """Counts since the last `take`."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._busy_s: deque[float] = deque(maxlen=MOST_EXAMPLES)
        self._whole_s: deque[float] = deque(maxlen=MOST_EXAMPLES)
        self._answered = self._dropped = 0
        self._failed: dict[str, int] = {}

    def answered(self, busy_s: float, whole_s: float) -> None:
        """One example was answered.

        Args:
            busy_s: that the engine took, s.
            whole_s: from arrival to answer, s.
        """
        with self._lock:
            self._answered += 1
            self._busy_s.append(busy_s)
            self._whole_s.append(whole_s)

    def dropped(self, count: int = 1) -> None:
        """Examples were too old or too many."""
        with self._lock:
            self._dropped += count

    def failed(self, rung: str) -> None:
        """The engine failed while it ran this rung."""
        with self._lock:
            self._failed[rung] = self._failed.get(rung, 0) + 1

    def take(self) -> Work:
        """All of it, and begin anew."""
        with self._lock:
            work = Work(
                answered=self._answered,
                dropped=self._dropped,
                busy_s=float(np.mean(self._busy_s)) if self._busy_s else None,
                slow_s=float(np.percentile(self._whole_s, SLOW_PERCENTILE)) if self._whole_s else None,
                failed=tuple(sorted(self._failed.items())),
            )
            self._answered = self._dropped = 0
            self._busy_s.clear()
            self._whole_s.clear()
            self._failed = {}
        return work
