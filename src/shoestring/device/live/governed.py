"""An engine for those who only ask, as HTTP does: rung and rate are the governor's all the same."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from shoestring.base.errors import EngineDownError, EngineError
from shoestring.device.live.pacer import Pacer

if TYPE_CHECKING:
    from collections.abc import Callable

    from shoestring.device.live.tally import Tally
    from shoestring.device.live.ticker import Ticker
    from shoestring.device.supervise.nouns import Engine, Pixels, Reply

WAIT_S = 0.02
"""At most, between two looks."""
PATIENCE_S = 2.0
"""A question waits so long for its turn; slower rates than one in this time are told as "come back later"."""


class Governed:
    """Waits for its turn, follows the newest decision, and counts.

    Args:
        engine: that answers; closed by whoever made it.
        ticker: whose decisions are followed.
        tally: that the ticker takes its work from.
        pacer: shared with whoever else asks the engine.
        clock: monotonic, s.
        sleep: waits so many seconds.
    """

    def __init__(
        self,
        engine: Engine,
        ticker: Ticker,
        tally: Tally,
        pacer: Pacer | None = None,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._engine, self._ticker, self._tally = engine, ticker, tally
        self._pacer = pacer or Pacer()
        self._clock, self._sleep = clock, sleep
        self._asked: str | None = None

    def infer(self, pixels: Pixels) -> Reply:
        """One example.

        Args:
            pixels: uint8 (height, width, channels).

        Raises:
            EngineDownError: the board must rest, or the engine is down.
            EngineError, DataError: as `Engine.infer`.
        """
        arrived_s = self._clock()
        self._wait(arrived_s)
        try:
            reply = self._engine.infer(pixels)
        except EngineError:
            for rung, count in self._engine.take_failures():
                for _ in range(count):
                    self._tally.failed(rung)
            raise
        self._tally.answered(reply.busy_s, self._clock() - arrived_s)
        return reply

    @property
    def ready(self) -> bool:
        """Whether a question would be answered now."""
        return self._engine.running is not None and self._ticker.decision.rung is not None

    def _wait(self, arrived_s: float) -> None:
        while True:
            self._ticker.check()
            decision = self._ticker.decision
            if decision.rung is not None:
                if decision.rung != self._asked:
                    self._engine.switch(decision.rung)
                    self._asked = decision.rung
                if self._pacer.due(self._clock(), decision.rate):
                    return
            if self._clock() - arrived_s >= PATIENCE_S:
                self._tally.dropped()
                why = "the board must rest" if decision.rung is None else f"{decision.rate:.3g} a second are allowed"
                raise EngineDownError(f"{why} ({decision.reason})", "resting", PATIENCE_S, hint="ask again later")
            self._sleep(self._pacer.wait_s(self._clock(), WAIT_S))


__all__ = ["Governed"]
