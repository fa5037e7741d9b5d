"""Whoever wants to hear of results and decisions: files, screens, brokers, the live page."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from shoestring.base.errors import StorageError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from shoestring.device.governor.nouns import Decision, Limits, Work
    from shoestring.device.governor.state import State
    from shoestring.device.pipelines.nouns import Frame, Result
    from shoestring.device.sensors.readings import Readings

Forecast = tuple[float, float]
"""(seconds from now, degrees Celsius)."""
REST_S = 60.0
"""After a full or missing disk a listener is left alone for so long: what it would keep is lost, the rest goes on."""


class Listener:
    """Hears of everything and does nothing; a listener overrides what it wants to hear."""

    name = "listener"

    def begins(self, limits: Limits) -> None:
        """The governor is about to decide for the first time, and keeps these limits."""

    def result(self, frame: Frame, result: Result) -> None:
        """One frame was answered. Called in the thread that runs the frames. Raises StorageError."""

    def dropped(self, count: int) -> None:
        """Frames were let go."""

    def decision(
        self, before: State, decision: Decision, readings: Readings, work: Work, forecast: Forecast | None
    ) -> None:
        """The governor decided. Called in the ticker's thread. Raises StorageError.

        Args:
            before: state that it decided from.
            decision, readings, work: its answer, and what it was told.
            forecast: what it expects the temperature to be; None without a thermal model.
        """

    def trouble(self, what: str, words: str | None) -> None:
        """Something is wrong, or with None well again.

        Args:
            what: `engine`, `source`, or the name of a listener.
            words: for people.
        """

    def close(self) -> None:
        """Finish; a second call does nothing. Raises StorageError."""


class Listeners:
    """All of them. One whose disk fails rests for REST_S, and the others are told.

    Args:
        listeners: told in this order.
        clock: monotonic, s.
    """

    def __init__(self, listeners: Sequence[Listener], clock: Callable[[], float] = time.monotonic) -> None:
        self._listeners, self._clock = tuple(listeners), clock
        self._rests_until: dict[Listener, float] = {}
        self._troubled: set[str] = set()

    def begins(self, limits: Limits) -> None:
        """See `Listener.begins`."""
        for listener in self._listeners:
            listener.begins(limits)

    def result(self, frame: Frame, result: Result) -> None:
        """See `Listener.result`."""
        self._each(lambda listener: listener.result(frame, result))

    def dropped(self, count: int) -> None:
        """See `Listener.dropped`."""
        self._each(lambda listener: listener.dropped(count))

    def decision(
        self, before: State, decision: Decision, readings: Readings, work: Work, forecast: Forecast | None = None
    ) -> None:
        """See `Listener.decision`."""
        self._each(lambda listener: listener.decision(before, decision, readings, work, forecast))

    def trouble(self, what: str, words: str | None) -> None:
        """See `Listener.trouble`; that all is well is told once, and only after trouble."""
        if words is None:
            if what not in self._troubled:
                return
            self._troubled.discard(what)
        else:
            self._troubled.add(what)
        for listener in self._listeners:
            listener.trouble(what, words)

    def close(self) -> None:
        """Close all of them; the first error is raised when all are closed."""
        first: StorageError | None = None
        for listener in self._listeners:
            try:
                listener.close()
            except StorageError as error:
                first = first or error
        if first is not None:
            raise first

    def _each(self, tell: Callable[[Listener], None]) -> None:
        for listener in self._listeners:
            if self._clock() < self._rests_until.get(listener, 0.0):
                continue
            try:
                tell(listener)
            except StorageError as error:
                self._rests_until[listener] = self._clock() + REST_S
                self.trouble(listener.name, error.message)
            else:
                if self._rests_until.pop(listener, None) is not None:
                    self.trouble(listener.name, None)


__all__ = ["REST_S", "Forecast", "Listener", "Listeners"]
