"""Keeps the model to the rate that the governor allows."""

from __future__ import annotations

import threading

EARLY = 0.05
"""Share of a step that an example may come early: a camera's frames jitter, and the grid keeps the mean."""

SHORTEST_WAIT_S = 2e-4


class Pacer:
    """Says for each moment whether the model may be asked. The clock is the caller's.

    Moments are due 1 / rate apart on a fixed grid, so that a camera's own jitter does not lower the rate; a moment that
    was missed by more than one step is not made up for, so that there is no burst after a pause. Any thread may ask.
    """

    def __init__(self) -> None:
        self._next_s: float | None = None
        self._lock = threading.Lock()

    def due(self, now_s: float, rate: float) -> bool:
        """Whether an example may be taken now; if so, the next one is due a step later.

        Args:
            now_s: monotonic, s.
            rate: examples a second; 0 or less: never.
        """
        with self._lock:
            return self._due(now_s, rate)

    def _due(self, now_s: float, rate: float) -> bool:
        if rate <= 0:
            self._next_s = None
            return False
        step_s = 1.0 / rate
        if self._next_s is None or self._next_s > now_s + 1.5 * step_s:  # the first, or the rate has risen
            self._next_s = now_s
        if now_s < self._next_s - EARLY * step_s:
            return False
        late = now_s - self._next_s > step_s
        self._next_s = now_s + step_s if late else self._next_s + step_s
        return True

    def wait_s(self, now_s: float, most_s: float) -> float:
        """Seconds until the next example is due, at most `most_s`; never nothing at all."""
        with self._lock:
            due_s = most_s if self._next_s is None else self._next_s - now_s
        return min(most_s, max(due_s, SHORTEST_WAIT_S))
