"""The governor between answers: it picks the rung of each, and has the board rest where it allows fewer tokens."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

from shoestring.base.errors import EngineDownError
from shoestring.device.language.garage import CancelledError

if TYPE_CHECKING:
    from collections.abc import Callable

    from shoestring.device.live.tally import Tally
    from shoestring.device.live.ticker import Ticker

LOOK_S = 0.02
"""At most, between two looks."""
PATIENCE_S = 30.0
"""An answer waits so long for a board that must rest; then its client is told to come back."""
HELD_DOWN = 0.95
"""Below this share of the wanted rate the governor holds the board down: what was written is paid for at once."""
BURST_S, SLACK = 60.0, 1.25
"""Where it does not, answers may run ahead by so many seconds' worth of tokens, which a board's heat takes a minute to
follow, and the rate may be passed by so much: it comes from estimates. So only a server without pauses is slowed down,
to what the governor reckons with."""


class Governing:
    """See `jobs.Chooser`. An answer keeps its rung to its end, whatever the governor decides meanwhile.

    Args:
        ticker: whose decisions are followed.
        tally: that the ticker takes its work from.
        wanted: tokens a second that the governor was asked for.
        patience_s: as PATIENCE_S.
        clock: monotonic, s.
        sleep: waits so many seconds.
    """

    def __init__(
        self,
        ticker: Ticker,
        tally: Tally,
        wanted: float,
        *,
        patience_s: float = PATIENCE_S,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._ticker, self._tally, self._wanted = ticker, tally, wanted
        self._patience_s, self._clock, self._sleep = patience_s, clock, sleep
        self._lock = threading.Lock()
        self._due_s = float("-inf")

    def turn(self, cancelled: Callable[[], bool]) -> str:
        """See `Chooser.turn`."""
        came_s = self._clock()
        while True:
            self._ticker.check()
            decision = self._ticker.decision
            now_s = self._clock()
            ahead_s = 0.0 if self._held_down(decision.rate) else BURST_S
            if decision.rung is not None and self._due_s - now_s <= ahead_s:
                return decision.rung
            if cancelled():
                raise CancelledError
            if now_s - came_s >= self._patience_s:
                self._tally.dropped()
                why = "must rest" if decision.rung is None else f"may write {decision.rate:.3g} tokens a second"
                words = f"the board {why} ({decision.reason})"
                raise EngineDownError(words, "resting", self._patience_s, hint="ask again later")
            self._sleep(LOOK_S)

    def wrote(self, rung: str, seconds: float, tokens: int) -> None:
        """See `Chooser.wrote`. What was written above the allowed rate is paid back before the next answer."""
        each_s = seconds / tokens
        for _ in range(tokens):
            self._tally.answered(each_s, each_s)
        rate = self._ticker.decision.rate
        if rate > 0:
            now_s = self._clock()
            allowed = rate if self._held_down(rate) else SLACK * rate
            with self._lock:
                self._due_s = max(self._due_s, now_s - seconds) + tokens / allowed

    def failed(self, rung: str) -> None:
        """See `Chooser.failed`."""
        self._tally.failed(rung)

    @property
    def ready(self) -> bool:
        """Whether an answer could begin now."""
        return self._ticker.decision.rung is not None

    def _held_down(self, rate: float) -> bool:
        return rate < HELD_DOWN * self._wanted


__all__ = ["BURST_S", "HELD_DOWN", "PATIENCE_S", "SLACK", "Governing"]
