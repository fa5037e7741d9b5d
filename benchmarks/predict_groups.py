"""What benchmarks/predict.py prints: groups of predictions of rows that the predictor had not seen."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from shoestring.domain.estimate import Estimate

Cases = Callable[[], Iterable[tuple[float, Estimate]]]


@dataclass(frozen=True)
class Group:
    """Args: name; target: median and p90 of the absolute error to reach, in percent, or None; cases: yields what was
    measured with what was predicted, in the same unit."""

    name: str
    target: tuple[float, float] | None
    cases: Cases
