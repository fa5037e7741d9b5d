"""Frames in, results out: the one loop that runs a pipeline under the governor."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from shoestring.base.errors import DataError, EngineDownError, EngineError
from shoestring.device.live.pacer import Pacer
from shoestring.device.pipelines.sources.protocol import Stale

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable

    from shoestring.device.governor.nouns import Decision
    from shoestring.device.live.listeners import Listeners
    from shoestring.device.live.tally import Tally
    from shoestring.device.live.ticker import Ticker
    from shoestring.device.pipelines.nouns import Frame, Result
    from shoestring.device.pipelines.pipeline import Pipeline
    from shoestring.device.pipelines.sources.protocol import Source
    from shoestring.device.supervise.nouns import Engine

TRIES = 2
"""Of a file's frame on engines that break on it, before it is let go: a picture that breaks two is to blame itself."""
WAIT_S = 0.02
"""At most, between two looks while a file, which loses nothing by waiting, waits for the governor or the engine."""


class Loop:
    """Runs until its source ends or it is stopped.

    A live source's frame that comes when the governor allows no example, or while the engine is down, gets a tracker's
    answer or none: it is dropped and counted. Frames of files wait instead, so that every one is answered.

    Args:
        source: of frames.
        pipeline: of this source alone.
        engine: that answers.
        ticker: whose decisions are followed; started and closed by the caller.
        tally: that the ticker takes its work from.
        listeners: told of everything.
        pacer: keeps the model to the rate, with whoever else asks the engine.
        clock: monotonic, s.
        sleep: waits so many seconds.
        beat: called again and again while the loop moves, at the latest when the source gives a sign of life.
    """

    def __init__(
        self,
        source: Source,
        pipeline: Pipeline,
        engine: Engine,
        ticker: Ticker,
        tally: Tally,
        listeners: Listeners,
        *,
        pacer: Pacer | None = None,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
        beat: Callable[[], None] = lambda: None,
    ) -> None:
        self._beat = beat
        self._source, self._pipeline, self._engine = source, pipeline, engine
        self._ticker, self._tally, self._listeners = ticker, tally, listeners
        self._clock, self._sleep = clock, sleep
        self._pacer = pacer or Pacer()
        self._asked: str | None = None
        self._dropped = source.dropped

    def run(self, stop: threading.Event) -> None:
        """Answer frames.

        Args:
            stop: set from anywhere; the loop ends after the frame that it is at, or the source's next sign of life.

        Raises:
            ShoestringError: the source broke, or the governor did; engines that break do not end the loop.
        """
        for item in self._source:
            self._beat()
            self._ticker.check()
            if stop.is_set():
                return
            self._count_dropped(self._source.dropped - self._dropped)
            self._dropped = self._source.dropped
            if isinstance(item, Stale):
                why = f": {item.reason}" if item.reason else ""
                self._listeners.trouble("source", f"no picture for {item.seconds:.0f} s{why}")
                self._engine.tend()
                continue
            self._listeners.trouble("source", None)
            result = self._answer(item, stop)
            if result is not None:
                self._listeners.result(item, result)

    def _answer(self, frame: Frame, stop: threading.Event) -> Result | None:
        """The frame's result; None where it was dropped."""
        try:
            by = self._pipeline.decide(frame)
        except DataError as error:  # a file that is no picture, or half of one
            self._note(error)
            self._count_dropped(1)
            return None
        if by != "model":
            return self._pipeline.repeat(frame, by)
        tries = TRIES
        while True:
            self._beat()
            decision = self._follow()
            if decision.rung is not None and self._pacer.due(self._clock(), decision.rate):
                try:
                    return self._ask(frame)
                except EngineDownError as error:
                    self._note(error)
                    if error.next_try_s is None:  # nothing is left to wait for
                        raise
                except (EngineError, DataError) as error:
                    self._note(error)
                    tries = 0 if isinstance(error, DataError) else tries - 1
            if self._source.live or stop.is_set() or not tries:
                return self._without(frame)
            self._engine.tend()
            self._sleep(self._pacer.wait_s(self._clock(), WAIT_S))
            self._ticker.check()

    def _follow(self) -> Decision:
        """The newest decision, its rung asked for."""
        decision = self._ticker.decision
        if decision.rung is not None and decision.rung != self._asked:
            self._engine.switch(decision.rung)
            self._asked = decision.rung
        return decision

    def _ask(self, frame: Frame) -> Result:
        """The model's answer. Raises DataError for a picture that cannot be prepared, and EngineError."""
        reply = self._engine.infer(self._pipeline.prepare(frame))
        result = self._pipeline.finish(frame, reply.outputs, reply.rung, reply.stages, reply.probabilities)
        self._tally.answered(reply.busy_s, result.answered_s - frame.at_s)
        self._note(None)
        return result

    def _note(self, error: EngineError | DataError | None) -> None:
        for rung, count in self._engine.take_failures():
            for _ in range(count):
                self._tally.failed(rung)
        self._listeners.trouble("engine", None if error is None else error.message)

    def _without(self, frame: Frame) -> Result | None:
        """What a tracker makes of a frame that the model does not see."""
        if self._pipeline.follows:
            return self._pipeline.repeat(frame, "track")
        self._count_dropped(1)
        return None

    def _count_dropped(self, count: int) -> None:
        if count:
            self._tally.dropped(count)
            self._listeners.dropped(count)
