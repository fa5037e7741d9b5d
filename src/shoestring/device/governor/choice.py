"""Which rung, at which rate, for so many watts above idle."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from shoestring.device.governor.nouns import Limits

STAY = 1.01
"""Another rung must be worth this many times the one that runs."""
RESTING = 0.01
"""Below this share of what could be had, a board rests rather than dribble."""
FULL, FULL_WITH_DEADLINE = 1.0, 0.85
"""Share of the engine's time that may be planned; where answers have a deadline, queues must stay short."""


@dataclass(frozen=True, slots=True)
class Option:
    """A rung that may run now.

    Args:
        name: of it.
        quality: certified, 0 to 1.
        busy_s: of one example at full clock, s.
        load_watts: above idle while it computes all the time, W, or in shares of the full load where nobody knows.
    """

    name: str
    quality: float
    busy_s: float
    load_watts: float


@dataclass(frozen=True, slots=True)
class Pick:
    """A rung at a rate.

    Args:
        name: of the rung; None rests.
        rate: 1/s.
        value: quality x rate, less where the rate is below the least one.
        watts: above idle.
    """

    name: str | None
    rate: float
    value: float
    watts: float


REST = Pick(None, 0.0, 0.0, 0.0)


def worth(quality: float, rate: float, least: float) -> float:
    """Quality x rate; below the least rate it falls with the rate squared, so that quality is given first."""
    return quality * rate * min(1.0, rate / least) if least > 0 else quality * rate


def capacity(option: Option, limits: Limits, clock: float) -> float:
    """Examples a second that the engine can do at this share of the clock."""
    return clock / option.busy_s * (FULL if limits.deadline_s is None else FULL_WITH_DEADLINE)


def best(options: Iterable[Option], watts: float, limits: Limits, clock: float, stay: str | None) -> Pick:
    """The most certified quality x rate within these watts above idle.

    The clock counts for how much can be done, not for the watts: a clock that comes back must not find too much load.

    Args:
        watts: above idle, at most; below zero is none.
        clock: share of the full one.
        stay: the rung that runs.
    """
    found, score = REST, 0.0
    for option in options:
        most = capacity(option, limits, clock)
        wanted = min(limits.rate, most)
        rate = min(wanted, watts / (option.busy_s * option.load_watts))
        if rate < RESTING * wanted:
            continue
        value = worth(option.quality, rate, limits.least_rate)
        against = value * STAY if option.name == stay else value
        if against > score:
            found, score = Pick(option.name, rate, value, rate * option.busy_s * option.load_watts), against
    return found


def floored(rate: float) -> float:
    """Three digits of a rate, rounded down."""
    if rate <= 0:
        return 0.0
    unit = 10.0 ** (math.floor(math.log10(rate)) - 2)
    return round(math.floor(rate / unit + 1e-9) * unit, 12)


__all__ = ["REST", "Option", "Pick", "best", "capacity", "floored", "worth"]
