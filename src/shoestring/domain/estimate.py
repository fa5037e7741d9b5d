"""A predicted figure, which never goes without its interval and its ground."""

from __future__ import annotations

from dataclasses import dataclass

GROUNDS = ("measured", "calibrated", "transfer", "anchored", "specifications", "formula")
"""From the firmest: this very model was measured there; other models were, with this runtime; the model was measured on
another chip; no more than a few models were measured there; only the data sheet speaks; arithmetic on figures of the
chip file."""


@dataclass(frozen=True)
class Estimate:
    """A predicted figure.

    Args:
        value: median, in `unit`.
        low: lower end of the interval.
        high: upper end.
        unit: `ms`, `bytes`, `mJ`, `W`, `USD`, `C`, `tokens/s`, `1/s`.
        ground: one of GROUNDS.
        rests_on: what it was calibrated on, in words, the weightiest first.
        protocol: how the figure would be measured: batch, warm-up, what is timed.
        confidence: of the interval.
        widened: why the interval is wider than the ground's own, in words; empty when it is not.
    """

    value: float
    low: float
    high: float
    unit: str
    ground: str
    rests_on: tuple[str, ...]
    protocol: str
    confidence: float = 0.9
    widened: tuple[str, ...] = ()


@dataclass(frozen=True)
class NoClaim:
    """Nothing supports a figure.

    Args:
        why: for people, with what would have to be measured.
    """

    why: str
