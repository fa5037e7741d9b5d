"""What heat leaves for the load, in watts above idle."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from shoestring.device.governor.outlook import blind_watts, ceiling
from shoestring.device.governor.slope import factor

if TYPE_CHECKING:
    from shoestring.device.governor.model import BoardModel
    from shoestring.device.governor.nouns import Limits
    from shoestring.device.governor.outlook import Step
    from shoestring.device.governor.state import State
    from shoestring.device.sensors.readings import Readings

DOUBT = 0.25
"""Share by which a board may shed heat worse than its chip file says (docs/heat.md)."""
LEAST_START = 0.2
"""Of the most load, where a board without a model begins again after a rest."""
BLIND_SHARE = 0.25
"""Of the cheapest rung's full load, where neither a sensor nor a model speaks."""


Numbers = dict[str, float | str | bool | None]


@dataclass(frozen=True, slots=True)
class Cap:
    """What one limit allows.

    Args:
        reason: its name.
        watts: above idle that are aimed at.
        most_watts: above idle; beyond them the load falls at once.
    """

    reason: str
    watts: float
    most_watts: float


def heat_cap(
    model: BoardModel | None,
    moments: tuple[Step, ...],
    state: State,
    readings: Readings,
    celsius: float | None,
    load: tuple[float, float, float],
    limits: Limits,
    now_s: float,
) -> tuple[Cap | None, Numbers]:
    """What heat allows, and the numbers for it.

    Args:
        celsius: a reading to be believed, or None.
        load: watts above idle that are asked for now, the cheapest rung's at full load, the most that is possible.
    """
    limit = limits.celsius
    if limit is None:
        return None, {}
    asked, cheapest, most = load
    if celsius is None or _lies(readings, celsius, model):
        return _blind(model, state, cheapest, limit)
    if model is not None and state.heat is not None:
        heat = state.heat
        above = ceiling(model, moments, heat, model.idle_watts + asked, limit)
        reason = "fan" if heat.stopped or above.fan else "heat"
        numbers: Numbers = {
            "air_celsius": heat.line.offset,
            "gain": heat.line.gain,
            "gain_error": heat.line.gain_error,
            "fan_stopped": heat.stopped if model.fan else None,
            "peak_celsius": above.celsius,
            "peak_in_s": above.seconds,
        }
        return Cap(reason, above.watts - model.idle_watts, above.most_watts - model.idle_watts), numbers
    assert state.slope is not None
    since = math.inf if state.course.changed_s is None else now_s - state.course.changed_s
    times = factor(state.slope, celsius, limit, since)
    base = max(asked, LEAST_START * most) if times > 1 else asked
    allowed = base * times if state.course.changed_s is not None else most / 2
    hard = allowed if times < 1 else max(allowed, asked)
    return Cap("heat", allowed, hard), {
        "thermal_model": False,
        "peak_celsius": state.slope.forecast(),
        "peak_in_s": 60.0,
    }


def _lies(readings: Readings, celsius: float, model: BoardModel | None) -> bool:
    """A board that throttles for heat is hot, whatever its sensor says."""
    if not readings.throttled or model is None or model.throttle_celsius is None:
        return False
    return celsius < model.throttle_celsius - 10.0


def _blind(model: BoardModel | None, state: State, cheapest: float, limit: float) -> tuple[Cap, Numbers]:
    if model is None:
        allowed = BLIND_SHARE * cheapest
        return Cap("assume hot", allowed, allowed), {"thermal_model": False}
    allowed = blind_watts(model, state.heat, limit, DOUBT) - model.idle_watts
    return Cap("assume hot", allowed, allowed), {"air_celsius": model.hottest_air_celsius, "gain": 1 + DOUBT}
