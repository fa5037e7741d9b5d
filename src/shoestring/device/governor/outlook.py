"""From what is believed of a board to the watts that keep it below a temperature."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from shoestring.domain.heat.simulate import fan_level

if TYPE_CHECKING:
    from shoestring.device.governor.model import BoardModel
    from shoestring.device.governor.thermal import Heat

AHEAD_S = (4.0, 8.0, 15.0, 30.0, 60.0, 120.0, 240.0, 480.0, 960.0)
"""Moments at which the forecast is held against the limit, as far as three of the slow time constant."""
LEAD_S = 20.0
"""The air's trend is believed to go on for so long."""
LEAST_DRIFT = 0.015
"""K/s of a trend that noise makes as well."""
MARGIN, SOFT = 1.5, 0.7
"""Kelvin below the limit: what is aimed at (three steps of a sensor), and what is acted upon at once."""
SOON_S, SOON_MARGIN, SOON_SOFT = 30.0, 0.7, 0.4
"""The same for moments sooner than that. In seconds a load can do little about heat, and need not: to cool the chip by
the whole margin at once takes a large part of the load, to do it in a minute takes some hundredths."""
BLIND_S, SLIP = 3.0, 1.0
"""A fan that stops must not carry the chip further than SLIP kelvin over the limit within the seconds that it takes to
see that."""
COLDEST_GAIN = 0.5
"""A gain that is not sure is not taken to be below this share of itself."""


@dataclass(frozen=True)
class Step:
    """What does not change at one moment ahead.

    Args:
        seconds: ahead.
        lead_s: of them, for which the air's trend goes on.
        slow_left, fast_left: of today's difference.
        reached: of watts x resistance, K/K.
        margin, soft: kelvin below the limit, to aim at and to act upon.
    """

    seconds: float
    lead_s: float
    slow_left: float
    fast_left: float
    reached: float
    margin: float
    soft: float


@dataclass(frozen=True)
class Ceiling:
    """What heat allows.

    Args:
        watts: of the whole board that are aimed at.
        most_watts: beyond these the load falls at once.
        celsius: highest of the forecast at the watts asked about.
        seconds: when.
        fan: whether the chance that the fan stops is what binds.
    """

    watts: float
    most_watts: float
    celsius: float
    seconds: float
    fan: bool


def steps(model: BoardModel) -> tuple[Step, ...]:
    """The forecast's moments for one board."""
    found = []
    for seconds in AHEAD_S:
        if seconds <= max(3 * model.poles.slow_s, AHEAD_S[0]):
            slow, fast = model.poles.left(seconds)
            share = model.poles.fast_share
            margins = (SOON_MARGIN, SOON_SOFT) if seconds < SOON_S else (MARGIN, SOFT)
            reached = (1 - share) * (1 - slow) + share * (1 - fast)
            found.append(Step(seconds, min(seconds, LEAD_S), slow, fast, reached, *margins))
    return tuple(found)


def ceiling(model: BoardModel, moments: tuple[Step, ...], heat: Heat, watts: float, limit: float) -> Ceiling:
    """The most watts whose forecast stays below the limit.

    At each moment ahead the forecast is a straight line in watts, known best at the watts that run now. Going up, the
    gain is taken a standard deviation higher, going down one lower, so that both climbs and drops err on the cool side.

    Args:
        watts: of the board as it is asked to run now.
        limit: degrees Celsius.
    """
    resistance = _resistance_at(model, heat, limit - MARGIN)
    gain, error = heat.line.gain, heat.line.gain_error
    up, down = gain + error, max(gain - error, COLDEST_GAIN * gain)
    drift = max(0.0, heat.drift - LEAST_DRIFT)
    kelvin = watts * resistance
    air, slow, fast = heat.line.offset, heat.slow, heat.fast
    aim = most = float("inf")
    peak, when = heat.celsius, 0.0
    for step in moments:
        rise = slow * step.slow_left + fast * step.fast_left + kelvin * step.reached
        celsius = air + drift * step.lead_s + gain * rise
        if celsius > peak:
            peak, when = celsius, step.seconds
        reach = resistance * step.reached
        room = limit - step.margin - celsius
        most_watts = watts + room / (reach * (up if room > 0 else down))
        if most_watts < aim:
            aim = most_watts
        room = limit - step.soft - celsius
        most_watts = watts + room / (reach * (up if room > 0 else down))
        if most_watts < most:
            most = most_watts
    if not model.fan or heat.stopped:
        return Ceiling(aim, most, peak, when, False)
    slow_left, fast_left = model.poles.left(BLIND_S)
    share = model.poles.fast_share
    jump = (model.resistance - resistance) * ((1 - share) * (1 - slow_left) + share * (1 - fast_left))
    stop = (limit + SLIP - air) / (up * (resistance + jump))
    return Ceiling(min(aim, stop), min(most, stop * 1.03), peak, when, stop < aim)


def forecast(model: BoardModel, heat: Heat, watts: float, seconds: float) -> float:
    """Degrees Celsius after so long at these watts, the fan's steps counted, in ten strides."""
    state, level, stride = (heat.slow, heat.fast), heat.level, seconds / 10
    left = model.poles.left(stride)
    celsius = heat.celsius
    for _ in range(10):
        level = fan_level(model.fan, celsius, level)
        state = model.poles.stepped(state, watts * model.at(0 if heat.stopped else level), left)
        celsius = heat.line.at(sum(state))
    return celsius + max(0.0, heat.drift - LEAST_DRIFT) * min(seconds, LEAD_S)


def blind_watts(model: BoardModel, heat: Heat | None, limit: float, doubt: float) -> float:
    """The watts that hold for ever in the hottest permitted air, whatever the board is.

    Args:
        heat: what was believed while there was a sensor.
        doubt: share by which a board may shed heat worse than its chip file says.
    """
    stopped = heat is not None and heat.stopped
    gain = max(1 + doubt, heat.line.gain if heat is not None else 0.0)
    level = 0 if stopped else fan_level(model.fan, limit - MARGIN, 0)
    return (limit - MARGIN - model.hottest_air_celsius) / (gain * model.at(level))


def _resistance_at(model: BoardModel, heat: Heat, celsius: float) -> float:
    """K/W at the limit: where it binds, the fan turns as fast as it does there."""
    return model.resistance if heat.stopped else model.at(fan_level(model.fan, celsius, heat.level))
