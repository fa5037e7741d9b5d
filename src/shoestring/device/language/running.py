"""A bundle that writes, at work on a board: loaded rungs, sensors and governor, ready for questions."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, TypeAlias

from shoestring.base.errors import ShoestringError, UsageError
from shoestring.device.governor import outlook
from shoestring.device.governor.model import board_model
from shoestring.device.governor.policy import FORECAST_S, Policy
from shoestring.device.language.garage import CancelledError, Garage
from shoestring.device.language.governing import Governing
from shoestring.device.language.nouns import Rungs
from shoestring.device.language.plans import plans_of
from shoestring.device.live.asked import Asked, limits_of
from shoestring.device.live.keeping import Moves
from shoestring.device.live.listeners import Listener, Listeners
from shoestring.device.live.running import silicon_for
from shoestring.device.live.tally import Tally
from shoestring.device.live.ticker import Ticker
from shoestring.device.sensors.real import RealSensors

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path
    from types import TracebackType

    from shoestring.device.governor.nouns import Decision, RungPlan, Work
    from shoestring.device.governor.state import State
    from shoestring.device.language.nouns import Writer
    from shoestring.device.sensors.readings import Readings, Sensors
    from shoestring.domain.chip import Chip
    from shoestring.domain.manifest import Manifest

Make: TypeAlias = "Callable[[str], Writer]"


class WriterRunning:
    """Make it, then write with its `garage` and `governing`; close it in the end.

    Args:
        manifest: of an open bundle that writes.
        make: loads a rung and proves it here; called from other threads.
        asked: by the operator; its rate is of tokens.
        chip: that this is, or None where nobody says so.
        listeners: told of decisions and troubles; closed here.
        journal: file for the governor's moves, or None.
        sensors: of the board, closed here; None takes this machine's own.
        clock: monotonic, s.

    Attributes:
        plans: rungs as the governor knows them.
        limits: that it keeps.
        rungs: that may run, for the service.
        garage, governing: for the service.

    Raises:
        UsageError: an unknown rung, a limit that makes no sense, an unknown cooling.
        ShoestringError: as `make` of the first rung.
    """

    def __init__(
        self,
        manifest: Manifest,
        make: Make,
        asked: Asked,
        *,
        chip: Chip | None = None,
        listeners: Sequence[Listener] = (),
        journal: Path | None = None,
        sensors: Sensors | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        generation = manifest.generation
        if generation is None:
            raise UsageError(f"{manifest.name!r} does not write text", hint="shoestring run and serve answer with it")
        self.plans = _may_run(plans_of(manifest.ladder, chip), asked)
        self.limits = limits_of(asked, self.plans, chip, _usual_rate(manifest, self.plans))
        self._policy = Policy(self.plans, self.limits, None if chip is None else board_model(chip, asked.cooling))
        kept = () if journal is None else (Moves(journal, self._policy, clock),)
        self._listeners = Listeners((*kept, *listeners), clock)
        memory = {plan.name: plan.memory_bytes or 0 for plan in self.plans}
        names = tuple(plan.name for plan in self.plans)
        self.rungs = Rungs(names, memory, generation.chat, generation.context)
        self.garage = Garage(make, memory, limit_bytes=asked.memory_bytes)
        self._tally = Tally()
        self._warm: str | None = None
        self._warmer = ThreadPoolExecutor(1, "warmer")
        self._sensors = (
            sensors if sensors is not None else RealSensors(clock=clock, silicon=silicon_for(chip, asked.cooling))
        )
        try:
            self._listeners.begins(self.limits)
            self.ticker = Ticker(self._policy, self._sensors, self._tally, self._told, clock)
            self.governing = Governing(self.ticker, self._tally, self.limits.rate, clock=clock)
            first = self.ticker.decision.rung or names[0]
            with self.garage.lease(first):
                pass
            self.ticker.start()
        except BaseException:
            self._free()
            raise

    @property
    def has_thermal_model(self) -> bool:
        """Whether the governor forecasts the temperature; without one it goes by its slope."""
        return self._policy.board is not None

    def close(self) -> None:
        """End everything; a second call does nothing."""
        self.ticker.close()
        self._free()
        self._listeners.close()

    def __enter__(self) -> WriterRunning:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _free(self) -> None:
        self.garage.close()
        self._warmer.shutdown()
        self._sensors.close()

    def _told(self, before: State, decision: Decision, readings: Readings, work: Work) -> None:
        board, heat = self._policy.board, before.heat
        forecast = None
        if board is not None and heat is not None:
            load = decision.numbers.get("watts_asked")
            watts = board.idle_watts + (load if isinstance(load, float) else 0.0)
            forecast = (FORECAST_S, outlook.forecast(board, heat, watts, FORECAST_S))
        self._listeners.decision(before, decision, readings, work, forecast)
        if decision.rung is not None and decision.rung != self._warm:
            if self._warm is not None:
                self._warmer.submit(self._load, decision.rung)
            self._warm = decision.rung

    def _load(self, rung: str) -> None:
        """Load the rung that was decided on before somebody waits for it; answers under way keep theirs."""
        try:
            with self.garage.lease(rung, lambda: self._warm != rung):
                pass
        except CancelledError:
            return
        except ShoestringError as error:
            self._tally.failed(rung)
            self._listeners.trouble("engine", f"{rung} cannot be loaded: {error.message}")


def _may_run(plans: tuple[RungPlan, ...], asked: Asked) -> tuple[RungPlan, ...]:
    """Those within the memory that was named; one that was named itself, alone."""
    if asked.rung is not None:
        named = tuple(plan for plan in plans if plan.name == asked.rung)
        if not named:
            there = ", ".join(plan.name for plan in plans)
            raise UsageError(f"no rung is called {asked.rung!r}", hint=f"there are {there}")
        return named
    limit = asked.memory_bytes
    within = tuple(plan for plan in plans if limit is None or (plan.memory_bytes or 0) <= limit)
    if not within:
        least = min(plan.memory_bytes or 0 for plan in plans)
        raise UsageError(f"no rung fits {limit} bytes, the smallest takes {least}", hint="give it more --memory")
    return within


def _usual_rate(manifest: Manifest, plans: tuple[RungPlan, ...]) -> float:
    """Tokens a second where nobody names a rate: what the chosen rung writes, so that faster and worse ones wait."""
    chosen = next((plan for plan in plans if plan.name == manifest.ladder.chosen), plans[-1])
    return 1 / chosen.busy_s


__all__ = ["WriterRunning"]
