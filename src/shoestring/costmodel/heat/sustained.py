"""What a board keeps up for minutes in warm air, with the doubt of its constants."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from shoestring.base.errors import UsageError
from shoestring.domain.estimate import Estimate, NoClaim
from shoestring.domain.forecast import Sustained
from shoestring.domain.heat.plant import cooling_of, plant_of
from shoestring.domain.heat.simulate import Moment, Plant, simulate

if TYPE_CHECKING:
    from collections.abc import Callable

    from shoestring.domain.chip import Chip, Cooling

DOUBT = 0.25
"""Published thermal constants of one board differ by this share: cases, orientation, paste and firmware."""

POWER_DOUBT = 0.15
"""Watts of one board differ by this share between reviews: peripherals, supplies, what `load` was."""

TAIL = 0.25
"""The sustained rate is the mean over this last part of the time."""

PROTOCOL = "the whole board in still air, load begun at rest; rate over the last quarter of the time"

AMBIENT = (-40.0, 85.0)
"""Degrees Celsius that industrial parts are specified for; a chip file can only narrow it."""


@dataclass(frozen=True)
class Load:
    """What the board is asked to do.

    Args:
        rate: 1/s at full clock, always busy.
        asked: 1/s, or None for as fast as it can.
        minutes: how long, above zero, at most a day.
        ambient_celsius: of the air.
        cooling: one of `domain.chip.COOLINGS`, or None for the best that the chip file describes.
        battery_wh: energy of a battery, above zero, or None.
    """

    rate: Estimate
    asked: float | None
    minutes: float
    ambient_celsius: float
    cooling: str | None = None
    battery_wh: float | None = None


@dataclass(frozen=True)
class Outlook:
    """The answer with its curve.

    Args:
        sustained: the figures.
        curve: with the constants as the chip file has them.
        low: lowest temperature over the corners, one for each moment, C.
        high: highest, likewise.
        limits: temperatures from which the clock falls, C.
    """

    sustained: Sustained
    curve: tuple[Moment, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]
    limits: tuple[float, ...]


def outlook(chip: Chip, load: Load) -> Outlook | NoClaim:
    """Simulate the board with its constants as published, and with each of them off by its doubt.

    Intervals span the corners of resistance, watts and rate: wider than 90 % if the errors are independent, which
    nobody knows.

    Raises:
        UsageError: minutes, battery, ambient or cooling out of range or unknown.
    """
    check(chip, load)
    cooling = cooling_of(chip, load.cooling)
    if cooling is None or chip.power is None:
        missing = "thermal constants" if cooling is None else "watts"
        return NoClaim(f"{chip.name} has no {missing}: measure them on the board with `shoestring probe`")
    middle = plant_of(chip, cooling, load.ambient_celsius)
    run = _runner(load)
    curve = run(middle, load.rate.value)
    corners = [
        run(_scaled(middle, heat, power), rate)
        for heat in (1 - DOUBT, 1 + DOUBT)
        for power in (1 - POWER_DOUBT, 1 + POWER_DOUBT)
        for rate in (load.rate.low, load.rate.high)
    ]
    celsius = np.array([[moment.celsius for moment in corner] for corner in [*corners, curve]])
    rests = _rests_on(chip, cooling)

    def spanned(value: Callable[[tuple[Moment, ...]], float], unit: str) -> Estimate:
        found = [value(corner) for corner in [*corners, curve]]
        return Estimate(value(curve), min(found), max(found), unit, "formula", rests, PROTOCOL)

    watts = spanned(lambda moments: _mean([moment.watts for moment in moments]), "W")
    throttled = next((moment.seconds for moment in curve if moment.clock < 1), None)
    sustained = Sustained(
        cooling=cooling.kind,
        ambient_celsius=load.ambient_celsius,
        minutes=load.minutes,
        rate=spanned(tail_rate, "1/s"),
        asked_rate=load.asked,
        peak_celsius=spanned(lambda moments: max(moment.celsius for moment in moments), "C"),
        throttles_after_s=throttled,
        watts=watts,
        battery_hours=None if load.battery_wh is None else hours(load.battery_wh, watts),
    )
    limits = tuple(step.at.value for step in chip.throttle)
    return Outlook(sustained, curve, tuple(celsius.min(axis=0)), tuple(celsius.max(axis=0)), limits)


def check(chip: Chip, load: Load) -> None:
    """Refuse what nobody can mean. Raises UsageError that names value and limit."""
    if not 0 < load.minutes <= 1440:
        raise UsageError(f"{load.minutes:g} minutes are outside (0, 1440]", hint="30 minutes show most of the heat")
    if load.battery_wh is not None and not 0 < load.battery_wh <= 1e5:
        raise UsageError(
            f"a battery of {load.battery_wh:g} Wh is outside (0, 100000]", hint="a power bank has 20 to 100"
        )
    if load.asked is not None and not 0 < load.asked <= 1e6:
        raise UsageError(f"{load.asked:g} examples a second are outside (0, 1000000]", hint="a camera gives 15 to 60")
    low = AMBIENT[0] if chip.ambient_low is None else chip.ambient_low.value
    high = AMBIENT[1] if chip.ambient_high is None else chip.ambient_high.value
    if not low <= load.ambient_celsius <= high:
        raise UsageError(
            f"ambient {load.ambient_celsius:g} C is outside the {low:g} to {high:g} C that {chip.name} is made for",
            hint="give the temperature of the air around the board with --ambient",
        )


def tail_rate(moments: tuple[Moment, ...]) -> float:
    """Mean rate over the last part of the time, 1/s."""
    return _mean([moment.rate for moment in moments[int((1 - TAIL) * len(moments)) :]])


def hours(battery_wh: float, watts: Estimate) -> Estimate:
    """How long a battery lasts at these mean watts; converters and age not counted."""
    return replace(
        watts,
        value=battery_wh / watts.value,
        low=battery_wh / watts.high,
        high=battery_wh / watts.low,
        unit="h",
        protocol=f"{watts.protocol}; all of the battery's energy reaches the board",
    )


def _runner(load: Load) -> Callable[[Plant, float], tuple[Moment, ...]]:
    seconds = 60 * load.minutes
    return lambda plant, rate: simulate(plant, full_rate=rate, asked_rate=load.asked, seconds=seconds)


def _scaled(plant: Plant, heat: float, power: float) -> Plant:
    return replace(
        plant,
        resistance=plant.resistance * heat,
        fan=tuple((on, resistance * heat) for on, resistance in plant.fan),
        idle_watts=plant.idle_watts * power,
        load_watts=plant.load_watts * power,
    )


def _rests_on(chip: Chip, cooling: Cooling) -> tuple[str, ...]:
    assert chip.power is not None
    found = [
        f"{cooling.kind}: {cooling.resistance.value:g} K/W ({cooling.resistance.status}, {cooling.resistance.source}), "
        f"taken to be right within {100 * DOUBT:g} %",
        f"{chip.power.idle.value:g} to {chip.power.load.value:g} W ({chip.power.load.status}, "
        f"{chip.power.load.source}), within {100 * POWER_DOUBT:g} %",
    ]
    if not chip.throttle:
        found.append("no throttling temperature is known: none was assumed")
    return tuple(found)


def _mean(values: list[float]) -> float:
    return sum(values) / len(values)
