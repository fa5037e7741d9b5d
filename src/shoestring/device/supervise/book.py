"""What is known of each rung on this device: whether it was proven, how it failed, when it may be tried."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING

from shoestring.base.errors import EngineFaultError
from shoestring.device.supervise.failures import History, after_failure, next_try_s, resting, usable
from shoestring.device.supervise.nouns import RungState

if TYPE_CHECKING:
    from shoestring.base.errors import ShoestringError
    from shoestring.device.supervise.failures import Policy
    from shoestring.device.supervise.worker import Ready


class Book:
    """The record of every rung. All times are of the caller's clock, s.

    Args:
        names: of the rungs, in order.
        policy: of failures.

    Attributes:
        last_fault: kind of the newest failure of any rung.
        last_words: of it.
    """

    def __init__(self, names: tuple[str, ...], policy: Policy) -> None:
        self._policy = policy
        self._histories = dict.fromkeys(names, History())
        self._ready: dict[str, Ready] = {}
        self._why: dict[str, str] = {}
        self._failures: Counter[str] = Counter()
        self.last_fault, self.last_words = "crashed", "it was not started yet"

    def proven(self, rung: str, ready: Ready) -> None:
        """Its golden set was replayed, and answered as it must."""
        self._ready[rung] = ready

    def failed(self, rung: str, error: ShoestringError, at_s: float) -> None:
        """Its engine broke, or did not come up."""
        self._note(rung, error)
        self._histories[rung] = after_failure(self._histories[rung], at_s, self._policy)

    def refused(self, rung: str, error: ShoestringError) -> None:
        """It must never run here, and trying again makes that no better."""
        self._note(rung, error)
        self._histories[rung] = replace(self._histories[rung], refused=error.message)

    def usable(self, rung: str, at_s: float) -> bool:
        """Whether it is neither refused nor left alone."""
        return usable(self._histories[rung], at_s)

    def possible(self, rung: str) -> bool:
        """Whether it is not refused."""
        return self._histories[rung].refused is None

    def next_try_s(self, rung: str) -> float:
        """When it may be started at the earliest, by the waits alone."""
        return next_try_s(self._histories[rung], self._policy)

    def take_failures(self) -> tuple[tuple[str, int], ...]:
        """Failures of each rung since the last call."""
        taken, self._failures = tuple(sorted(self._failures.items())), Counter()
        return taken

    def state(self, rung: str, at_s: float) -> RungState:
        """All of it, for people."""
        history, ready = self._histories[rung], self._ready.get(rung)
        frame_s = None if ready is None else ready.frame_s
        state = RungState(rung, "unproven" if ready is None else "proven", len(history.failed_s), frame_s=frame_s)
        if history.refused is not None:
            return replace(state, state="refused", next_try_s=None, why=history.refused)
        wait_s = max(0.0, next_try_s(history, self._policy) - at_s)
        if resting(history, at_s) and history.rests_until_s is not None:
            rest_s = max(wait_s, history.rests_until_s - at_s)
            return replace(state, state="resting", next_try_s=rest_s, why=self._why.get(rung, ""))
        return replace(state, next_try_s=wait_s)

    def _note(self, rung: str, error: ShoestringError) -> None:
        self.last_fault = error.fault if isinstance(error, EngineFaultError) else "crashed"
        self.last_words = self._why[rung] = error.message
        self._failures[rung] += 1


__all__ = ["Book"]
