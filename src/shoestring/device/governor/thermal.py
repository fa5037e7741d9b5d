"""What the policy believes of a board's heat: the air, how well it sheds watts, and whether its fan turns."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from shoestring.device.governor.line import Line
from shoestring.domain.heat.simulate import fan_level

if TYPE_CHECKING:
    from shoestring.device.governor.model import BoardModel

AIR_CELSIUS, AIR_ERROR = 25.0, 10.0
"""Of the air before the first look: rooms, give or take."""
GAIN_ERROR = 0.2
"""Of watts x resistance before the first look: a quarter on the resistance (docs/heat.md) is some 1.25 of these."""
AIR_WALK, GAIN_WALK = 0.05, 0.02 / 60
"""Kelvin and share in the first second, growing with the root of time: air that warms by 2 K a minute is followed
within half a kelvin, and a gain learnt from one step of load is kept for hours."""
NOISE = 0.5
"""Kelvin: the sensors of these boards count in steps of about half a kelvin."""
AIRS = (-40.0, 85.0)
GAINS = (0.5, 2.5)
"""Of the published resistance: half of it, and a board whose vents are covered."""
DRIFT_S, MOST_DRIFT = 30.0, 0.3
"""Time constant of the air's trend, s, and the steepest trend that is believed, K/s."""
DOUBT_NOISE, DOUBT_ENOUGH = 0.7, 10.0
"""The fan is taken to have stopped, or to turn again, when the readings are e^10 times as likely under that."""


@dataclass(frozen=True, slots=True)
class Heat:
    """State of the observer.

    Args:
        slow, fast: rise of both parts over the air as the chip file's constants have it, K.
        line: celsius from that rise: its offset is the air, its gain what the constants are off by.
        drift: of the air, K/s.
        level: the fan's step, were it to turn.
        stopped: whether the fan is taken to stand still.
        other: `slow` and `fast` had the fan changed its mind when `doubt` left zero.
        doubt: log of how much likelier that is.
        celsius: of the chip, now.
    """

    slow: float
    fast: float
    line: Line
    drift: float
    level: int
    stopped: bool
    other: tuple[float, float]
    doubt: float
    celsius: float


def first_heat(model: BoardModel, celsius: float | None) -> Heat:
    """Before anything was learnt: an idle board at rest."""
    level = 0 if celsius is None else fan_level(model.fan, celsius, 0)
    slow, fast = model.poles.rest(model.idle_watts * model.at(level))
    line = Line(AIR_CELSIUS, 1.0, AIR_ERROR**2, 0.0, GAIN_ERROR**2)
    if celsius is not None:
        line = line.seen(slow + fast, celsius, NOISE)
    return Heat(slow, fast, line, 0.0, level, False, (slow, fast), 0.0, line.at(slow + fast))


def observe(model: BoardModel, heat: Heat, watts: float, seconds: float, celsius: float | None) -> Heat:
    """After `seconds` of these watts.

    Args:
        watts: of the whole board by its model, mean since the last look.
        seconds: above zero.
        celsius: as read, or None where no reading is to be believed: then the model goes on alone.
    """
    level = heat.level if celsius is None else fan_level(model.fan, celsius, heat.level)
    turning, off = model.at(level), model.resistance
    now, otherwise = (off, turning) if heat.stopped else (turning, off)
    left = model.poles.left(seconds)
    slow, fast = model.poles.stepped((heat.slow, heat.fast), watts * now, left)
    line = heat.line.older(AIR_WALK, GAIN_WALK, seconds)
    stopped, other, doubt = heat.stopped, (slow, fast), 0.0
    if celsius is not None and model.fan:
        start = heat.other if heat.doubt > 0 else (heat.slow, heat.fast)
        guess = model.poles.stepped(start, watts * otherwise, left)
        miss, miss_otherwise = celsius - line.at(slow + fast), celsius - line.at(sum(guess))
        doubt = max(0.0, heat.doubt + (miss * miss - miss_otherwise * miss_otherwise) / (2 * DOUBT_NOISE**2))
        if doubt > DOUBT_ENOUGH:
            (slow, fast), stopped, doubt = guess, not stopped, 0.0
        other = guess if doubt > 0 else (slow, fast)
    drift = heat.drift
    if celsius is not None:
        before = line.at(slow + fast)
        # A board that draws watts is warmer than its air: where the fan's step was guessed wrong, nothing else says so.
        warmest = max(AIRS[0], min(AIRS[1], celsius + NOISE))
        line = line.seen(slow + fast, celsius, NOISE).held((AIRS[0], warmest), GAINS)
        share = min(1.0, seconds / DRIFT_S)
        drift += share * ((line.at(slow + fast) - before) / seconds - drift)
        drift = min(max(drift, -MOST_DRIFT), MOST_DRIFT)
    return Heat(slow, fast, line, drift, level, stopped, other, doubt, line.at(slow + fast))
