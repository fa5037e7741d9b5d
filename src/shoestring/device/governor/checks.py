"""What nobody can mean, refused before the first decision."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from shoestring.base.errors import UsageError

if TYPE_CHECKING:
    from shoestring.device.governor.nouns import Limits, RungPlan

COOLEST, WARMEST = 0.0, 125.0
"""Degrees Celsius that a limit may lie between: no board we know runs outside."""


def check(plans: tuple[RungPlan, ...], limits: Limits) -> None:
    """Refuse plans and limits out of range. Raises UsageError with value and limit."""
    if not plans:
        raise UsageError("there is no rung to run", hint="a bundle has at least one")
    names = [plan.name for plan in plans]
    for plan in plans:
        if names.count(plan.name) > 1:
            raise UsageError(f"two rungs are called {plan.name!r}", hint="names tell them apart")
        _within(f"quality of {plan.name}", plan.quality, 0.0, 1.0)
        _above(f"seconds of {plan.name}", plan.busy_s)
        _above(f"highest seconds of {plan.name}", plan.busy_high_s)
        if plan.load_watts is not None:
            _above(f"watts of {plan.name}", plan.load_watts)
    _above("the rate", limits.rate)
    _within("the least rate", limits.least_rate, 0.0, 1e9)
    for what, value in (
        ("the limit on watts", limits.watts),
        ("the deadline", limits.deadline_s),
        ("the battery", limits.battery_wh),
        ("the hours", limits.hours),
    ):
        if value is not None:
            _above(what, value)
    if limits.celsius is not None:
        _within("the limit on temperature", limits.celsius, COOLEST, WARMEST)
    if limits.pinned is None:
        return
    if limits.pinned not in names:
        raise UsageError(f"no rung is called {limits.pinned!r}", hint=f"there are {', '.join(names)}")
    if not plans[names.index(limits.pinned)].certified and not limits.allow_degraded:
        raise UsageError(f"{limits.pinned} is not certified", hint="--allow-degraded runs rungs below the proven floor")


def _above(what: str, value: float) -> None:
    if not (math.isfinite(value) and value > 0):
        raise UsageError(f"{what} is {value:g}; it must be above 0")


def _within(what: str, value: float, low: float, high: float) -> None:
    if not low <= value <= high:
        raise UsageError(f"{what} is {value:g}; it must be {low:g} to {high:g}")
