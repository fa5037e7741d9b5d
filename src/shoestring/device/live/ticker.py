"""Asks the governor once a second, beside the frames: a slow sensor never holds a frame up."""

from __future__ import annotations

import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, Protocol, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

    from shoestring.device.governor.nouns import Decision, Work
    from shoestring.device.live.tally import Tally
    from shoestring.device.sensors.readings import Readings, Sensors

PERIOD_S = 1.0
"""Between two decisions: the fast thermal pole of a board takes 5 s and more, a lost sensor wants an answer in 2 s."""

State = TypeVar("State")


class Policy(Protocol[State]):
    """What picks the rung; see `device.governor`."""

    def start(self) -> State: ...

    def decide(self, state: State, readings: Readings, work: Work, now_s: float) -> tuple[State, Decision]: ...


class Ticker:
    """The loop around the pure policy.

    Args:
        policy: that decides.
        sensors: to look at; closed by whoever made them.
        tally: that the engine's work is counted in.
        told: called with every decision and what it was made of, the state before it included, in the ticker's thread.
        clock: monotonic, s.
        period_s: between decisions, above zero.

    Attributes:
        decision: the newest one.
        readings: that it was made of.
    """

    def __init__(
        self,
        policy: Policy[State],
        sensors: Sensors,
        tally: Tally,
        told: Callable[[State, Decision, Readings, Work], None] = lambda *_: None,
        clock: Callable[[], float] = time.monotonic,
        period_s: float = PERIOD_S,
    ) -> None:
        self._sensors, self._tally = sensors, tally
        self._clock, self._period_s = clock, period_s
        self._decide = _keeping_state(policy, told)
        self._stop = threading.Event()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="governor")
        self._running: Future[None] | None = None
        self.readings: Readings
        self.decision: Decision
        self.tick()

    def tick(self) -> Decision:
        """Look, decide and tell."""
        self.readings = self._sensors.look()
        work = self._tally.take()
        self.decision = self._decide(self.readings, work, self._clock())
        return self.decision

    def start(self) -> None:
        """Decide every period from now on, in a thread."""
        self._running = self._thread.submit(self._run)

    def check(self) -> None:
        """Raise what broke the ticker's thread: without a governor nothing may run on."""
        if self._running is not None and self._running.done():
            self._running.result()

    def close(self) -> None:
        """Stop deciding; a second call does nothing."""
        self._stop.set()
        self._thread.shutdown()

    def _run(self) -> None:
        while not self._stop.wait(self._period_s):
            self.tick()


def _keeping_state(
    policy: Policy[State], told: Callable[[State, Decision, Readings, Work], None]
) -> Callable[[Readings, Work, float], Decision]:
    """The policy with its state kept from call to call, and every decision told."""
    state = policy.start()

    def decide(readings: Readings, work: Work, now_s: float) -> Decision:
        nonlocal state
        before = state
        state, decision = policy.decide(before, readings, work, now_s)
        told(before, decision, readings, work)
        return decision

    return decide
