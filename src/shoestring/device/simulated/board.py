"""The simulated board: heat, clock, watts and battery of a chip file, second by second, without a wall clock."""

from __future__ import annotations

import math
import random
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from shoestring.base.errors import UsageError
from shoestring.device.governor.nouns import Work
from shoestring.device.sensors.readings import Fault, Readings
from shoestring.device.simulated.faults import during, lie
from shoestring.domain.heat.plant import cooling_of, plant_of
from shoestring.domain.heat.poles import Poles
from shoestring.domain.heat.simulate import CLOCK_POWER, Plant, fan_level, next_clock

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from shoestring.device.governor.nouns import RungPlan
    from shoestring.device.simulated.faults import BoardFault
    from shoestring.domain.chip import Chip

STEP_S = 1.0
"""Longest step of the physics; the clock's governor moves once in it."""
WEAK_CLOCK = 0.4
"""Share of the clock that firmware leaves while more is wanted than the supply gives: 600 of 1500 MHz, as a Pi 4 does
(general knowledge, unverified)."""


@dataclass(frozen=True)
class BoardState:
    """What is true of the board, whatever its sensors say.

    Args:
        at_s: of its clock, s.
        celsius: of the chip.
        watts: of the board in its last step.
        clock: share of the full one.
        under_voltage: whether the supply is too weak, now.
        throttled: whether the clock is held down for heat, now.
        battery_wh: left; None without a battery.
        fan: its step, 0 when it stands still.
        ambient_celsius: of the air.
        sensor_celsius: what the thermal sensor says, lies included; None where it says nothing.
    """

    at_s: float
    celsius: float
    watts: float
    clock: float
    under_voltage: bool
    throttled: bool
    battery_wh: float | None
    fan: int
    ambient_celsius: float
    sensor_celsius: float | None


@dataclass(frozen=True)
class Truth:
    """How far this board is from its chip file, as factors.

    Args:
        resistance, slow, fast: of the thermal constants.
        idle, load: of watts.
        busy: of the time of one example.
    """

    resistance: float = 1.0
    slow: float = 1.0
    fast: float = 1.0
    idle: float = 1.0
    load: float = 1.0
    busy: float = 1.0


def drawn(seed: int, heat: float = 0.25, power: float = 0.15, busy: float = 0.1) -> Truth:
    """A board of the series: each factor drawn evenly within its share (docs/heat.md has the shares)."""
    chance = random.Random(f"board {seed}")
    shares = (heat, heat, heat, power, power, busy)
    return Truth(*(chance.uniform(1 - share, 1 + share) for share in shares))


class SimulatedBoard:
    """A board under a virtual clock. It is a `Sensors`, and it does the work that it is given.

    Args:
        chip: with watts and thermal constants.
        ambient: degrees Celsius of the air from seconds since the start.
        cooling: one of `domain.chip.COOLINGS`; None takes the best that the file knows.
        truth: how far it is from its chip file.
        faults: what goes wrong, and when.
        battery_wh: at the start; None without a battery.
        throttle_at: where the kernel begins to lower the clock, C, its later steps moved with it; None as in the chip
            file.
        noise: standard deviation of the thermal sensor's error, K.
        quantum: the steps in which it counts, K.
        metered: whether a meter tells the board's watts.
        memory_free_bytes: of the system.
        seed: of the noise.

    Raises:
        UsageError: the chip file has no watts, no thermal constants, or not that cooling.
    """

    def __init__(
        self,
        chip: Chip,
        ambient: Callable[[float], float],
        *,
        cooling: str | None = None,
        truth: Truth | None = None,
        faults: Sequence[BoardFault] = (),
        battery_wh: float | None = None,
        throttle_at: float | None = None,
        noise: float = 0.25,
        quantum: float = 0.5,
        metered: bool = False,
        memory_free_bytes: int | None = None,
        seed: int = 0,
    ) -> None:
        self.plant = true_plant(chip, cooling, truth or Truth(), throttle_at)
        self.truth = truth or Truth()
        self.now_s = 0.0
        self.memory_free_bytes = memory_free_bytes
        self._ambient, self._faults = ambient, tuple(faults)
        self._noise, self._quantum, self._metered = noise, quantum, metered
        self._chance = random.Random(f"noise {seed}")
        self._air = ambient(0.0)
        self._parts = self.plant.poles.rest(self.plant.idle_watts * self.plant.resistance)
        self._level = fan_level(self.plant.fan, self.celsius, 0)
        self._cool, self._clock, self._weak = 1.0, 1.0, False
        self._watts, self._battery_wh = self.plant.idle_watts, battery_wh
        self._energy_j, self._looked_s = 0.0, 0.0
        self._step_s, self._left = STEP_S, self.plant.poles.left(STEP_S)
        self._last_said: float | None = None
        self._error = self._chance.gauss(0.0, noise)
        self._owed = 0.0

    @property
    def celsius(self) -> float:
        """Of the chip, in truth."""
        return self._air + self._parts[0] + self._parts[1]

    def advance(self, seconds: float, plan: RungPlan | None = None, rate: float = 0.0) -> Work:
        """Let time pass with a rung at work.

        Args:
            seconds: above zero.
            plan: the rung that runs; None rests.
            rate: examples a second that come in; what the board cannot do is dropped.

        Returns:
            What was done.
        """
        busy_s = 1.0 if plan is None else plan.busy_s * self.truth.busy
        load = 0.0 if plan is None else self._load(plan)
        asked = rate if plan is not None else 0.0
        done = share_s = 0.0
        count = max(1, math.ceil(seconds / STEP_S - 1e-9))
        for _ in range(count):
            did, share = self._step(seconds / count, load, busy_s, asked)
            done += did
            share_s += share * seconds / count
        self._owed += done
        answered = int(self._owed + 1e-9)
        self._owed -= answered
        if not answered:
            return Work(dropped=max(0, round(asked * seconds - done)))
        measured = share_s / done
        waits = 2.0 if share_s > 0.99 * seconds else 1.3
        return Work(answered, max(0, round(asked * seconds - done)), measured, measured * waits)

    def look(self) -> Readings:
        """What sensors say, judged."""
        said = lie(self._faults, self.now_s, self._said())
        stuck = during(self._faults, "stuck", self.now_s)
        if stuck is not None and self._last_said is not None:
            said = replace(said, shown=self._last_said)
            if self.now_s - stuck.from_s >= stuck.value:
                said = replace(said, kind="stuck")
        self._last_said = said.shown if stuck is not None or said.kind is None else self._last_said
        watts = self._energy_j / (self.now_s - self._looked_s) if self.now_s > self._looked_s else self._watts
        self._energy_j, self._looked_s = 0.0, self.now_s
        told = "" if said.shown is None else f"{said.shown:g}"
        return Readings(
            at_s=self.now_s,
            celsius=said.shown if said.kind is None else None,
            watts=watts if self._metered else None,
            clock=self._clock,
            memory_free_bytes=self.memory_free_bytes,
            throttled=self._cool < 1,
            under_voltage=self._weak,
            battery_wh=self._battery_wh,
            on_battery=None if self._battery_wh is None else True,
            faults=() if said.kind is None else (Fault("celsius", said.kind, told),),
        )

    def state(self) -> BoardState:
        """What is true, now."""
        return BoardState(
            at_s=self.now_s,
            celsius=self.celsius,
            watts=self._watts,
            clock=self._clock,
            under_voltage=self._weak,
            throttled=self._cool < 1,
            battery_wh=self._battery_wh,
            fan=0 if during(self._faults, "fan", self.now_s) else self._level,
            ambient_celsius=self._air,
            sensor_celsius=lie(self._faults, self.now_s, self._said()).shown,
        )

    def close(self) -> None:
        """Nothing is open."""

    def _said(self) -> float:
        """What a good sensor says: the chip with noise, in its steps; the same however often it is asked."""
        value = self.celsius + self._error
        return round(value / self._quantum) * self._quantum if self._quantum else value

    def _load(self, plan: RungPlan) -> float:
        if plan.load_watts is None:
            return self.plant.load_watts - self.plant.idle_watts
        return plan.load_watts * self.truth.load

    def _step(self, seconds: float, load: float, busy_s: float, rate: float) -> tuple[float, float]:
        """One step: examples done, and share of the time that the engine was busy."""
        plant, at = self.plant, self.now_s
        if seconds != self._step_s:
            self._step_s, self._left = seconds, plant.poles.left(seconds)
        resistance = self._resistance()
        if self._battery_wh is not None and self._battery_wh <= 0:
            load = rate = 0.0
        most = self._clock / busy_s
        did = min(rate, most)
        share = did / most
        idle = plant.idle_watts if self._battery_wh is None or self._battery_wh > 0 else 0.0
        watts = idle + load * share * self._clock**CLOCK_POWER
        kelvin = watts * resistance
        parts = plant.poles.stepped(self._parts, kelvin, self._left)
        covered = during(self._faults, "air", at) if self._faults else None
        if covered is not None:
            parts = plant.poles.stepped(self._parts, kelvin * covered.value, self._left)[0], parts[1]
        self._parts = parts
        self.now_s = at + seconds
        self._air = self._ambient(self.now_s)
        self._watts = watts
        self._energy_j += watts * seconds
        if self._battery_wh is not None:
            self._battery_wh = max(0.0, self._battery_wh - watts * seconds / 3600)
        self._error = self._chance.gauss(0.0, self._noise)
        self._cool = next_clock(plant.throttle, self.celsius, self._cool)
        weak = during(self._faults, "supply", at) if self._faults else None
        wanted = idle + load * min(1.0, rate * busy_s / self._cool) * self._cool**CLOCK_POWER
        self._weak = weak is not None and wanted > weak.value
        self._clock = min(self._cool, WEAK_CLOCK) if self._weak else self._cool
        return did * seconds, share

    def _resistance(self) -> float:
        plant = self.plant
        self._level = fan_level(plant.fan, self.celsius, self._level)
        turning = self._level and not (self._faults and during(self._faults, "fan", self.now_s))
        return plant.fan[self._level - 1][1] if turning else plant.resistance


def true_plant(chip: Chip, cooling: str | None, truth: Truth, throttle_at: float | None) -> Plant:
    """The constants of this very board. Raises UsageError where the chip file has none."""
    found = cooling_of(chip, cooling)
    if found is None or chip.power is None:
        missing = "thermal constants" if found is None else "watts"
        raise UsageError(
            f"{chip.name} has no {missing}: it cannot be simulated", hint="`shoestring probe` measures them"
        )
    plant = plant_of(chip, found, 0.0)
    moved = 0.0 if throttle_at is None or not plant.throttle else throttle_at - plant.throttle[0][0]
    poles = plant.poles
    return replace(
        plant,
        poles=Poles(poles.slow_s * truth.slow, poles.fast_s * truth.fast, poles.fast_share),
        resistance=plant.resistance * truth.resistance,
        fan=tuple((on, resistance * truth.resistance) for on, resistance in plant.fan),
        throttle=tuple((at + moved, clock) for at, clock in plant.throttle),
        idle_watts=plant.idle_watts * truth.idle,
        load_watts=plant.load_watts * truth.load,
    )
