"""Intervals from errors on unseen rows: conformal, by ground and kind, scaled by how strange the network is.

An error of the logarithm is divided by the size that errors have at the network's novelty; the interval takes the
quantile of these scores (Mondrian split conformal: Vovk and others, Algorithmic Learning in a Random World, 2005). Each
score comes from a fit that had not seen the network.
"""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from shoestring.costmodel.latency.cases import published_cases

if TYPE_CHECKING:
    from collections.abc import Sequence

    from shoestring.costmodel.latency.cases import Case

CONFIDENCE = 0.9
FEWEST = 40
"""Scores below which a group makes no interval."""


@dataclass(frozen=True)
class Group:
    """What shares an interval. Args: ground; kind; relation: see cases.Case."""

    ground: str
    kind: str
    relation: str = ""


@functools.cache
def published_groups() -> dict[Group, tuple[Case, ...]]:
    """The shipped cases by group."""
    found: dict[Group, list[Case]] = {}
    for case in published_cases():
        found.setdefault(Group(case.ground, case.kind, case.relation), []).append(case)
    return {group: tuple(cases) for group, cases in found.items()}


@functools.cache
def share(group: Group, without: str = "") -> float:
    """How much of the source chip's own error a transfer takes over: least squares through the origin.

    Args:
        group: of the transfer.
        without: a network whose cases are left out.

    Returns:
        0 to 1.
    """
    cases = [case for case in published_groups().get(group, ()) if case.network != without]
    if not cases:
        return 0.0
    source = np.array([case.source for case in cases])
    error = np.array([case.log_ms - case.predicted for case in cases])
    return float(np.clip(source @ error / (source @ source + 1e-9), 0.0, 1.0))


@functools.cache
def spread(group: Group, without: str = "") -> tuple[float, float, float] | None:
    """Interval rule of a group: half width in log = quantile x (base + slope x novelty).

    Args:
        group: of the estimate.
        without: a network whose cases are left out.

    Returns:
        (base, slope, quantile), or None with fewer than FEWEST cases.
    """
    cases = [case for case in published_groups().get(group, ()) if case.network != without]
    if len(cases) < FEWEST:
        return None
    taken = share(group, without) if group.ground == "transfer" else 0.0
    errors = np.abs([case.log_ms - case.predicted - taken * case.source for case in cases])
    base, slope = _size(np.array([case.novelty for case in cases]), errors)
    scores = errors / (base + slope * np.array([case.novelty for case in cases]))
    return base, slope, _quantile(scores, len({case.network for case in cases}))


def half_width(group: Group, novelty: float, without: str = "") -> float | None:
    """Half the interval in natural logarithms; None where too few cases support one."""
    rule = spread(group, without)
    return None if rule is None else rule[2] * (rule[0] + rule[1] * novelty)


def _size(novelty: np.ndarray, errors: np.ndarray) -> tuple[float, float]:
    capped = np.minimum(errors, np.quantile(errors, 0.95))
    slope, base = np.polyfit(novelty, capped, 1)
    if slope <= 0 or base <= 0.2 * capped.mean():
        base = max(0.2 * float(capped.mean()), 0.0) if slope > 0 else float(capped.mean())
        slope = max(0.0, float(((capped - base) @ novelty) / (novelty @ novelty))) if slope > 0 else 0.0
    return float(base), float(slope)


def _quantile(scores: Sequence[float] | np.ndarray, networks: int) -> float:
    """The scores of one network hang together, so that few networks are fewer witnesses than their rows: the level
    rises by a share of 2 / networks of what is left to 1. Without it eight networks covered 87 %."""
    ordered = np.sort(np.asarray(scores))
    level = CONFIDENCE + (1 - CONFIDENCE) * min(1.0, 2 / networks)
    at = min(len(ordered), math.ceil((len(ordered) + 1) * level)) - 1
    return float(ordered[at])
