"""A bundle at work on a board: engine, sensors and governor, ready for frames and questions."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from shoestring.base.errors import UsageError
from shoestring.chips.loading import chip_named
from shoestring.device.governor import outlook
from shoestring.device.governor.model import board_model
from shoestring.device.governor.policy import FORECAST_S, Policy
from shoestring.device.live.asked import Asked, limits_of
from shoestring.device.live.governed import Governed
from shoestring.device.live.keeping import Moves
from shoestring.device.live.listeners import Listener, Listeners
from shoestring.device.live.loop import Loop
from shoestring.device.live.pacer import Pacer
from shoestring.device.live.plans import plans_of
from shoestring.device.live.tally import Tally
from shoestring.device.live.ticker import Ticker
from shoestring.device.pipelines.pipeline import Pipeline, Reading, Sparing
from shoestring.device.sensors.real import RealSensors
from shoestring.device.sensors.rise import Silicon, silicon_of
from shoestring.device.supervise.nouns import Care
from shoestring.device.supervise.supervised import SupervisedEngine
from shoestring.domain.heat.plant import cooling_of, plant_of

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Sequence
    from pathlib import Path
    from types import TracebackType

    from shoestring.bundle import Bundle
    from shoestring.device.governor.nouns import Decision, Work
    from shoestring.device.governor.state import State
    from shoestring.device.pipelines.sources.protocol import Source
    from shoestring.device.sensors.readings import Readings, Sensors
    from shoestring.domain.chip import Chip
    from shoestring.domain.ladder import Ladder

READY_S = 120.0
"""For the first rung to load and to replay its golden set."""
ROOM_CELSIUS = 25.0
"""Of the air, where only differences matter."""


class Running:
    """Make it, then either run frames through it or ask its `governed` engine; close it in the end.

    Args:
        bundle: open; it stays open.
        asked: by the operator.
        chip: that this is, or None where nobody says so: then no thermal model helps the governor.
        listeners: told of everything; closed here.
        journal: file for the governor's moves, or None.
        source_rate: frames a second of the source, or None.
        sensors: of the board, closed here; None takes this machine's own.
        clock: monotonic, s.

    Attributes:
        plans: rungs as the governor knows them.
        limits: that it keeps.

    Raises:
        UsageError: an unknown or uncertified rung, a limit that makes no sense, an unknown cooling.
        EngineDownError: no rung answers here.
    """

    def __init__(
        self,
        bundle: Bundle,
        asked: Asked,
        *,
        chip: Chip | None = None,
        listeners: Sequence[Listener] = (),
        journal: Path | None = None,
        source_rate: float | None = None,
        sensors: Sensors | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        manifest = bundle.manifest
        self.reading = Reading(manifest.pixels, manifest.labels, manifest.head)
        self.plans = tuple(
            plan
            for plan in plans_of(manifest.ladder, chip)
            if plan.certified or asked.allow_degraded or plan.name == asked.rung
        )
        self.limits = limits_of(asked, self.plans, chip, source_rate)
        self._policy = Policy(self.plans, self.limits, None if chip is None else board_model(chip, asked.cooling))
        kept = () if journal is None else (Moves(journal, self._policy, clock),)
        self._listeners = Listeners((*kept, *listeners), clock)
        self._clock = clock
        self._tally, self._pacer = Tally(), Pacer()
        names = [plan.name for plan in self.plans]
        care = Care(memory_bytes=asked.memory_bytes, spare_bytes=self.limits.memory_spare_bytes)
        first = _first(manifest.ladder, names, asked.rung)
        pinned = asked.rung is not None
        self.engine = SupervisedEngine(bundle, rungs=names, rung=first, care=care, fall=not pinned)
        self._sensors: Sensors | None = sensors
        try:
            self.engine.wait_ready(READY_S)
            if self._sensors is None:
                self._sensors = RealSensors(clock=clock, silicon=silicon_for(chip, asked.cooling))
            self._listeners.begins(self.limits)
            self.ticker = Ticker(self._policy, self._sensors, self._tally, self._told, clock)
            self.ticker.start()
        except BaseException:
            self._free()
            raise
        self.governed = Governed(self.engine, self.ticker, self._tally, self._pacer, clock=clock)

    @property
    def has_thermal_model(self) -> bool:
        """Whether the governor forecasts the temperature; without one it goes by its slope."""
        return self._policy.board is not None

    def run(
        self, source: Source, sparing: Sparing, stop: threading.Event, beat: Callable[[], None] = lambda: None
    ) -> None:
        """Answer the frames of a source until it ends or `stop` is set; `beat` is called while they move.

        Raises:
            UsageError: as `Pipeline`.
            ShoestringError: as `Loop.run`.
        """
        own = None if source.live else source.rate
        pipeline = Pipeline(self.reading, sparing, rate=own, clock=self._clock)
        parts = (source, pipeline, self.engine, self.ticker, self._tally, self._listeners)
        Loop(*parts, pacer=self._pacer, clock=self._clock, beat=beat).run(stop)

    def close(self) -> None:
        """End everything; a second call does nothing."""
        self.ticker.close()
        self._free()
        self._listeners.close()

    def __enter__(self) -> Running:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _free(self) -> None:
        if self._sensors is not None:
            self._sensors.close()
        self.engine.close()

    def _told(self, before: State, decision: Decision, readings: Readings, work: Work) -> None:
        board, heat = self._policy.board, before.heat
        forecast = None
        if board is not None and heat is not None:
            load = decision.numbers.get("watts_asked")
            watts = board.idle_watts + (load if isinstance(load, float) else 0.0)
            forecast = (FORECAST_S, outlook.forecast(board, heat, watts, FORECAST_S))
        self._listeners.decision(before, decision, readings, work, forecast)


def chip_of(bundle: Bundle, name: str | None, file: Path | None) -> Chip | None:
    """The chip that a bundle runs on: as named, or that its costs were predicted for; None where neither is.

    Raises:
        UsageError, DataError: as `chip_named`.
    """
    if name is None and file is None:
        predicted = {rung.candidate.cost.predicted for rung in bundle.manifest.ladder.rungs}
        names = {one.chip for one in predicted if one is not None}
        if len(names) != 1 or None in predicted:
            return None
        name = names.pop()
        try:
            return chip_named(name)
        except UsageError:  # of a file that stayed in the workshop
            return None
    return chip_named(name, file)


def silicon_for(chip: Chip | None, kind: str | None) -> Silicon | None:
    """How the temperature of this board can move; None where nobody knows."""
    cooling = None if chip is None else cooling_of(chip, kind)
    if chip is None or cooling is None or chip.power is None:
        return None
    return silicon_of(plant_of(chip, cooling, ROOM_CELSIUS))


def _first(ladder: Ladder, names: Sequence[str], rung: str | None) -> str:
    """The rung to begin with."""
    return rung or (ladder.chosen if ladder.chosen in names else names[0])
