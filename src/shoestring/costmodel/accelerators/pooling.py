"""Partial pooling: what one cell of a table lacks is lent by its relatives.

Logarithms of a scale are the sum of independent normal effects, one for each label a point carries; the best linear
unbiased prediction follows in closed form (Henderson, Biometrics 31, 1975; Robinson, Statistical Science 6, 1991).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

MEAN_SD = 2.0
"""Of the general mean: next to no prior."""


@dataclass(frozen=True)
class Effects:
    """Standard deviations, in logarithms.

    Args:
        levels: of the effect of each label, in the order that points carry them.
        model: of what a network has to itself on every chip.
        noise: of one measurement.
    """

    levels: tuple[float, ...]
    model: float
    noise: float


@dataclass(frozen=True)
class Pool:
    """Points with labels.

    Args:
        labels: of each point, one for each level.
        models: the network of each point.
        logs: ln(observed / base) of each point.
    """

    labels: tuple[tuple[str, ...], ...]
    models: tuple[str, ...]
    logs: NDArray[np.float64]

    def without(self, model: str) -> Pool:
        """The pool with a network left out everywhere."""
        return self.keep([name != model for name in self.models])

    def keep(self, mask: Sequence[bool]) -> Pool:
        """The points where the mask is true."""
        labels = tuple(each for each, kept in zip(self.labels, mask, strict=True) if kept)
        models = tuple(each for each, kept in zip(self.models, mask, strict=True) if kept)
        return Pool(labels, models, self.logs[np.asarray(mask, dtype=bool)])


def lend(
    pool: Pool, labels: Sequence[tuple[str, ...]], models: Sequence[str], effects: Effects
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Expected logarithm for each query, and its standard deviation for a network nobody has measured.

    Args:
        pool: not empty.
        labels: of the queries.
        models: of the queries; one that the pool has brings its own effect along.
        effects: how far things lie apart.
    """
    among = _shared(pool.labels, pool.labels, effects)
    noise = effects.noise**2 * np.eye(len(pool.models))
    same = np.equal.outer(np.array(pool.models, dtype=object), np.array(pool.models, dtype=object))
    cross = _shared(tuple(labels), pool.labels, effects)
    known = np.equal.outer(np.array(models, dtype=object), np.array(pool.models, dtype=object))
    covariance = among + effects.model**2 * same.astype(float) + noise
    solved = np.linalg.solve(covariance, np.column_stack([pool.logs, cross.T]))
    own = np.linalg.solve(covariance, pool.logs)
    mean = (cross + effects.model**2 * known.astype(float)) @ own
    prior = MEAN_SD**2 + sum(level**2 for level in effects.levels)
    left = prior - np.einsum("ij,ji->i", cross, solved[:, 1:])
    return mean, np.sqrt(np.maximum(left, 0.0) + effects.model**2 + effects.noise**2)


def _shared(one: Sequence[tuple[str, ...]], other: Sequence[tuple[str, ...]], effects: Effects) -> NDArray[np.float64]:
    found = np.full((len(one), len(other)), MEAN_SD**2)
    for level, deviation in enumerate(effects.levels):
        left = np.array([each[level] for each in one], dtype=object)
        right = np.array([each[level] for each in other], dtype=object)
        found += deviation**2 * np.equal.outer(left, right).astype(float)
    return found


def left_out_scores(pool: Pool, effects: Effects) -> NDArray[np.float64]:
    """|error| / standard deviation of each point when its network was left out everywhere."""
    scores = np.empty(len(pool.models))
    names = np.array(pool.models, dtype=object)
    for model in dict.fromkeys(pool.models):
        out = names == model
        labels = [each for each, gone in zip(pool.labels, out, strict=True) if gone]
        mean, deviation = lend(pool.without(model), labels, [model] * len(labels), effects)
        scores[out] = np.abs(pool.logs[out] - mean) / deviation
    return scores
