"""A board under a steady load, second by second: heat, fan, clock and rate."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from shoestring.domain.heat.poles import Poles

if TYPE_CHECKING:
    from collections.abc import Sequence

CLOCK_POWER = 2.0
"""Watts above idle go with the clock to this power. They go with f V^2 (Rabaey, "Digital Integrated Circuits", ch. 5):
to the power 1 where the voltage is fixed, 3 where it follows the clock; boards lie between."""

FAN_HYSTERESIS_K = 5.0
"""A fan step is left this far below where it was entered: the default of the Raspberry Pi 5's device tree."""

SLOWEST = 0.2
"""Below this share of the clock no governor goes; what is hotter then is an emergency stop that we do not model."""

GAIN_PER_KELVIN = 0.01
"""The clock moves by this share a second for each kelvin between the chip and the last step: too little to swing."""

MOST_KELVIN = 4.0
"""A larger difference moves the clock no faster."""


@dataclass(frozen=True)
class Plant:
    """A board's physics with every constant settled.

    Args:
        poles: of chip and air.
        resistance: K/W with the fan off or without one.
        fan: (degrees Celsius from which on, K/W), by rising temperature.
        throttle: (degrees Celsius, share of the clock allowed from there on), by rising temperature; the last entry
            holds the temperature there by lowering the clock down to its share.
        idle_watts: of the board.
        load_watts: with the engine always busy at full clock.
        ambient_celsius: of the air.
    """

    poles: Poles
    resistance: float
    fan: tuple[tuple[float, float], ...]
    throttle: tuple[tuple[float, float], ...]
    idle_watts: float
    load_watts: float
    ambient_celsius: float


@dataclass(frozen=True)
class Moment:
    """One point of the curve.

    Args:
        seconds: since the load began.
        celsius: of the chip.
        clock: share of the full clock, 0 to 1.
        rate: examples a second.
        watts: of the board.
    """

    seconds: float
    celsius: float
    clock: float
    rate: float
    watts: float


def simulate(
    plant: Plant, *, full_rate: float, asked_rate: float | None, seconds: float, step_s: float = 1.0
) -> tuple[Moment, ...]:
    """The curve from an idle board at rest.

    The engine is busy for asked_rate / (full_rate x clock) of the time, at most always. Watts are
    idle + (load - idle) x busy x clock^CLOCK_POWER.

    Args:
        plant: the board.
        full_rate: 1/s at full clock, always busy; above zero.
        asked_rate: 1/s, or None for as fast as it can.
        seconds: how long.
        step_s: between moments.

    Returns:
        One moment for each step, the first at 0 s with the load just begun.
    """
    resistance = plant.resistance
    state = plant.poles.rest(plant.idle_watts * resistance)
    level, clock = 0, 1.0
    left = plant.poles.left(step_s)
    moments = []
    for number in range(int(seconds / step_s) + 1):
        celsius = plant.ambient_celsius + sum(state)
        level = fan_level(plant.fan, celsius, level)
        resistance = plant.fan[level - 1][1] if level else plant.resistance
        clock = next_clock(plant.throttle, celsius, clock)
        most = full_rate * clock
        rate = most if asked_rate is None else min(asked_rate, most)
        watts = plant.idle_watts + (plant.load_watts - plant.idle_watts) * (rate / most) * clock**CLOCK_POWER
        moments.append(Moment(number * step_s, celsius, clock, rate, watts))
        state = plant.poles.stepped(state, watts * resistance, left)
    return tuple(moments)


def fan_level(fan: Sequence[tuple[float, float]], celsius: float, level: int) -> int:
    """The fan's step: 0 is off; up at its temperature, down FAN_HYSTERESIS_K below it."""
    while level < len(fan) and celsius >= fan[level][0]:
        level += 1
    while level and celsius < fan[level - 1][0] - FAN_HYSTERESIS_K:
        level -= 1
    return level


def next_clock(throttle: Sequence[tuple[float, float]], celsius: float, clock: float) -> float:
    """The governor's clock for the next step.

    A step below the last one caps the clock at its share. At the last one the clock follows the temperature, so that it
    settles where the board can just shed its heat.
    """
    if not throttle:
        return 1.0
    cap = min((share for at, share in throttle[:-1] if celsius >= at), default=1.0)
    at, least = throttle[-1]
    over = celsius - at
    if over >= 0:
        return min(cap, max(least, SLOWEST, clock - GAIN_PER_KELVIN * min(over, MOST_KELVIN)))
    return min(cap, clock + GAIN_PER_KELVIN * min(-over, MOST_KELVIN))
