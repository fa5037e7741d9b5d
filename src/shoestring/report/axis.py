"""Axes of a plot: round ticks, and the map from a value to a place on paper."""

from __future__ import annotations

import math
from dataclasses import dataclass

_STEPS = (1, 2, 2.5, 5, 10)


@dataclass(frozen=True)
class Axis:
    """A linear or logarithmic axis.

    Args:
        low: value at `start`.
        high: value at `end`, above `low`.
        start: coordinate of `low`.
        end: coordinate of `high`.
        ticks: values to mark, within [low, high].
        log: logarithmic; then `low` is above zero.
    """

    low: float
    high: float
    start: float
    end: float
    ticks: tuple[float, ...]
    log: bool = False

    def at(self, value: float) -> float:
        """The coordinate of `value`, held within the axis."""
        inside = min(max(value, self.low), self.high)
        if self.log:
            part = math.log(inside / self.low) / math.log(self.high / self.low)
        else:
            part = (inside - self.low) / (self.high - self.low)
        return self.start + part * (self.end - self.start)


def linear(low: float, high: float, start: float, end: float, wanted: int) -> Axis:
    """A linear axis from `low` to `high` with about `wanted` round ticks."""
    span = high - low
    if span <= 0:
        low, span = low - 0.5, 1.0
        high = low + span
    raw = span / max(1, wanted)
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(factor * power for factor in _STEPS if factor * power >= raw * 0.999)
    first = math.ceil(low / step - 1e-9)
    ticks = []
    while first * step <= high + 1e-9 * span:
        ticks.append(first * step)
        first += 1
    return Axis(low, high, start, end, tuple(ticks))


def logarithmic(low: float, high: float, start: float, end: float) -> Axis:
    """A logarithmic axis over positive values, with ticks at 1, 2 and 5 times the powers of ten."""
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    ticks = [factor * 10.0**power for power in range(first, last + 1) for factor in (1, 2, 5)]
    inside = tuple(tick for tick in ticks if low <= tick <= high)
    return Axis(low, high, start, end, inside, log=True)
