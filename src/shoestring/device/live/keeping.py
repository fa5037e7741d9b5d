"""Listeners that keep or show what they hear: result lines, annotated video, the governor's journal, the live page."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING

from shoestring.device.governor.explain import words
from shoestring.device.governor.journal import Journal, Move
from shoestring.device.live.listeners import Forecast, Listener
from shoestring.device.pipelines.draw import encode_jpeg
from shoestring.device.pipelines.sinks import JsonLines, VideoSink
from shoestring.device.serve.live import STALE_S, LiveState

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from typing import TextIO

    from shoestring.device.governor.nouns import Decision, Limits, Work
    from shoestring.device.governor.policy import Policy
    from shoestring.device.governor.state import State
    from shoestring.device.pipelines.nouns import Frame, Result
    from shoestring.device.sensors.readings import Readings

PICTURE_S = 0.2
"""Between two pictures of the live page: making one costs a board some milliseconds."""


class ResultLines(Listener):
    """Every result as a line of JSON; see `pipelines.sinks.jsonl`. The caller closes the stream."""

    name = "results"

    def __init__(self, stream: TextIO) -> None:
        self._lines = JsonLines(stream)

    def result(self, frame: Frame, result: Result) -> None:
        self._lines.write(result)


class VideoFile(Listener):
    """Every frame with what was seen in it, as a video."""

    name = "video"

    def __init__(self, path: Path, rate: float) -> None:
        self._sink = VideoSink(path, rate)

    def result(self, frame: Frame, result: Result) -> None:
        self._sink.write(frame, result)

    def close(self) -> None:
        self._sink.close()


class Moves(Listener):
    """The governor's moves, each a line that `shoestring explain` reads and decides again."""

    name = "decisions"

    def __init__(self, path: Path, policy: Policy, clock: Callable[[], float] = time.monotonic) -> None:
        self._journal: Journal | None = Journal(path, policy)
        self._clock = clock

    def decision(
        self, before: State, decision: Decision, readings: Readings, work: Work, forecast: Forecast | None
    ) -> None:
        if decision.moved and self._journal is not None:
            self._journal.moved(before, readings, work, decision)

    def close(self) -> None:
        journal, self._journal = self._journal, None
        if journal is not None:
            journal.stopped(self._clock())


class Page(Listener):
    """Fills the live page.

    Args:
        name: of the model.
        source: of the pictures, for people; None where there are only questions over HTTP.
        rate: of the source, 1/s, so that a slow one is not called stale; None where nobody knows.
    """

    name = "page"

    def __init__(self, name: str, source: str | None, rate: float | None = None) -> None:
        self._said: tuple[float, str] | None = None
        stale_s = STALE_S if rate is None or rate > 1 else 2.5 / rate
        self.state = LiveState(name, source=source, stale_s=stale_s, words=self._words)
        self._pictured_s: float | None = None

    def begins(self, limits: Limits) -> None:
        self.state.keep_below(limits.celsius, limits.watts)

    def result(self, frame: Frame, result: Result) -> None:
        picture = None
        soon = self._pictured_s is not None and result.answered_s - self._pictured_s < PICTURE_S
        if self.state.watched and not soon:
            self._pictured_s = result.answered_s
            picture = encode_jpeg(frame, result.boxes, answer=result.answer)
        self.state.publish(result, picture_jpeg=picture)

    def dropped(self, count: int) -> None:
        self.state.dropped(count)

    def trouble(self, what: str, words: str | None) -> None:
        self.state.trouble(what, words)

    def decision(
        self, before: State, decision: Decision, readings: Readings, work: Work, forecast: Forecast | None
    ) -> None:
        if decision.moved or self._said is None:
            self._said = (decision.at_s, words(Move("", decision, readings, before, time.time(), work)))
        if forecast is not None:  # a decision that changes nothing carries none
            told = {"forecast_in_s": forecast[0], "forecast_celsius": forecast[1]}
            decision = replace(decision, numbers={**decision.numbers, **told})
        self.state.publish(decision=decision, readings=readings)

    def _words(self, decision: Decision) -> str:
        """Of a move what it rests on; in between the reason that holds."""
        return self._said[1] if self._said is not None and self._said[0] == decision.at_s else decision.reason


__all__ = ["Moves", "Page", "ResultLines", "VideoFile"]
