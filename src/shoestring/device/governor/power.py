"""What watts, a battery and a weak supply leave for the load, in watts above idle."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

from shoestring.device.governor.caps import BLIND_SHARE, Cap
from shoestring.device.governor.line import Line
from shoestring.device.governor.state import Energy, Supply

if TYPE_CHECKING:
    from shoestring.device.governor.model import BoardModel
    from shoestring.device.governor.nouns import Limits
    from shoestring.device.governor.state import State
    from shoestring.device.sensors.readings import Readings

POWER_ERROR, WATTS_NOISE = 0.15, 0.2
"""Share by which published watts are off (docs/heat.md), and W of a meter's error with all that we do not see."""
BASE_WALK, POWER_WALK = 0.02, 0.02 / 60
UNKNOWN_BASE_ERROR = 5.0
"""Watts that a board without a model may draw at rest, give or take."""
KEEP = 0.97
"""Of the watts allowed, aimed at; a battery's last hundredths are never to be had."""
WEAK, WEAK_BACKOFF_S, WEAK_MOST_S = 0.7, 300.0, 3600.0
"""A supply that sagged is asked for this share of the load from then on, and for more after the back-off."""
LAST_SHARE = 0.02
"""Of the hours: the last of a battery's time is not divided further. What is left then is about the gauge's error."""


def learnt_watts(energy: Energy, model: BoardModel | None, watts: float | None, done: float, seconds: float) -> Energy:
    """After one more look at the meter, or without one.

    Args:
        watts: of the board, as metered since the last look; None without a meter.
        done: watts above idle that the plans have for what was done since.
    """
    line = energy.line
    if line is None and model is not None:
        error = (POWER_ERROR * model.idle_watts) ** 2
        line = Line(model.idle_watts, 1.0, error, 0.0, POWER_ERROR**2)
    if watts is not None:
        line = line or Line(max(0.0, watts - done), 1.0, UNKNOWN_BASE_ERROR**2, 0.0, POWER_ERROR**2)
        line = line.older(BASE_WALK, POWER_WALK, seconds).seen(done, watts, WATTS_NOISE)
        line = line.held((0.0, 1e4), (0.3, 3.0))
    drawn = watts if watts is not None else (line.at(done) if line is not None else 0.0)
    return Energy(line, energy.spent_wh + drawn * seconds / 3600, energy.supply)


def watts_cap(state: State, limits: Limits, cheapest: float) -> Cap | None:
    """What the limit on watts allows. A board that nobody has metered is not trusted with much."""
    if limits.watts is None:
        return None
    line = state.energy.line
    if line is None:
        return Cap("watts", BLIND_SHARE * cheapest, BLIND_SHARE * cheapest)
    gain = line.gain + line.gain_error
    error = math.sqrt(max(0.0, line.offset_variance))
    return Cap(
        "watts", (KEEP * limits.watts - line.offset - error) / gain, (limits.watts - line.offset - error) / line.gain
    )


def battery_cap(state: State, readings: Readings, limits: Limits, now_s: float) -> Cap | None:
    """Energy left by time left: what the board may draw on average until the hours are over."""
    left_wh = battery_left(state, readings, limits)
    line = state.energy.line
    if left_wh is None or limits.hours is None or line is None or readings.on_battery is False:
        return None
    left_s = limits.hours * 3600 - (now_s - state.started_s)
    if left_s <= 0:
        return None
    mean = KEEP * left_wh * 3600 / max(left_s, LAST_SHARE * limits.hours * 3600)
    return Cap("battery", (mean - line.offset) / line.gain, (mean / KEEP * 1.02 - line.offset) / line.gain)


def battery_left(state: State, readings: Readings, limits: Limits) -> float | None:
    """Watt-hours left, by the sensor or else by what was spent."""
    if readings.battery_wh is not None and math.isfinite(readings.battery_wh):
        left = readings.battery_wh
        return left if limits.battery_wh is None else min(left, limits.battery_wh - state.energy.spent_wh)
    return None if limits.battery_wh is None else max(0.0, limits.battery_wh - state.energy.spent_wh)


def supply_after(supply: Supply | None, weak: bool | None, asked: float, now_s: float) -> Supply | None:
    """What under-voltage leaves: less load at once, and more again after a back-off that doubles when it recurs."""
    if weak:
        if supply is None:
            return Supply(WEAK * asked, now_s + WEAK_BACKOFF_S, WEAK_BACKOFF_S)
        if asked > 0 and supply.until_s - now_s < supply.backoff_s - 5.0:
            backoff = min(2 * supply.backoff_s, WEAK_MOST_S)
            return Supply(WEAK * min(asked, supply.watts), now_s + backoff, backoff)
        return supply
    if supply is None or now_s < supply.until_s:
        return supply
    if now_s > supply.until_s + 4 * supply.backoff_s:
        return None
    return replace(supply, watts=supply.watts / WEAK, until_s=now_s + supply.backoff_s)
