"""Fits the prices of all levels at once: the most probable weights under the priors, by damped Gauss-Newton steps."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

import numpy as np

from shoestring.costmodel.latency.levels import given, levels, owner, weights_of
from shoestring.costmodel.latency.terms import NAMES, terms

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from shoestring.costmodel.latency.observations import Observation, Setting
    from shoestring.costmodel.latency.terms import Array

NOISE = 0.06
"""Standard deviation of one measurement about the model, natural logarithm; `noisy` rows have NOISY more."""
NOISY = 0.15
HEAVY = 4.0
"""Degrees of freedom of the rows' errors: a row far off is trusted less (Student's t by reweighting)."""


def predict_log(weights: Mapping[str, float], setting: Setting, counts: Array) -> Array:
    """Natural logarithm of the latencies in ms of networks in one setting.

    Args:
        weights: by name; one that is missing is 0, its prior mean.
        setting: of the run.
        counts: (n, terms), see `terms.terms`.
    """
    price = prices(weights, setting)
    return np.asarray(np.log(counts @ np.exp(price)))


def prices(weights: Mapping[str, float], setting: Setting) -> Array:
    """Logarithm of each term's price in a setting."""
    price = np.zeros(len(NAMES))
    shift = given(setting)
    for spread, key, factor in levels(setting):
        for name, _ in weights_of(spread, key):
            value = weights.get(name, 0.0) * factor
            if name.endswith("#scale"):
                shift += value
            else:
                price[NAMES.index(name.rsplit("#", 1)[1])] += value
    return np.asarray(price + shift)


class Design:
    """Which weights each observation's terms lie on, as index arrays."""

    def __init__(self, seen: Sequence[Observation], fixed: Mapping[str, float] | None = None, only: Iterable[str] = ()):
        """Lays out the weights.

        Args:
            seen: the observations.
            fixed: weights held where they are; with `only` the levels that are learnt.
            only: spreads that are learnt; all when empty.
        """
        self.counts = terms(row.features for row in seen)
        self.log_ms = np.array([row.log_ms for row in seen])
        self.variance = np.array([NOISE**2 + (NOISY**2 if row.noisy else 0.0) for row in seen])
        self.index: dict[str, int] = {}
        self.prior: list[float] = []
        known, chosen = fixed or {}, set(only)
        self.base = np.zeros((len(seen), len(NAMES)))
        entries: list[tuple[int, int, int, float]] = []
        cache: dict[Setting, tuple[Array, list[tuple[int, int, float]]]] = {}
        for at, row in enumerate(seen):
            if row.setting not in cache:
                cache[row.setting] = self._lay(row.setting, known, chosen)
            base, laid = cache[row.setting]
            self.base[at] = base
            entries.extend((at, term, weight, factor) for term, weight, factor in laid)
        laid_out = np.array(entries, dtype=np.float64).reshape(-1, 4)
        self.row, self.term, self.weight = (laid_out[:, i].astype(np.int64) for i in range(3))
        self.factor = laid_out[:, 3]

    def _lay(
        self, setting: Setting, known: Mapping[str, float], chosen: set[str]
    ) -> tuple[Array, list[tuple[int, int, float]]]:
        base = np.full(len(NAMES), given(setting))
        laid: list[tuple[int, int, float]] = []
        for spread, key, factor in levels(setting):
            learnt = not chosen or spread in chosen
            for name, prior in weights_of(spread, key):
                touched = range(len(NAMES)) if name.endswith("#scale") else [NAMES.index(name.rsplit("#", 1)[1])]
                if not learnt:
                    base[list(touched)] += known.get(name, 0.0) * factor
                    continue
                at = self.index.setdefault(name, len(self.index))
                if at == len(self.prior):
                    self.prior.append(prior)
                laid.extend((term, at, factor) for term in touched)
        return base, laid

    def blocks(self) -> tuple[Array, list[Array]]:
        """Indices of the shared weights, and of each chip's own."""
        shared, own = [], defaultdict(list)
        for name, at in self.index.items():
            chip = owner(name)
            if chip is None:
                shared.append(at)
            else:
                own[chip].append(at)
        return np.array(shared, dtype=np.int64), [np.array(block) for block in own.values()]

    def price(self, weights: Array) -> Array:
        """Logarithm of the price of each term of each observation, (n, terms)."""
        price = self.base.copy()
        np.add.at(price, (self.row, self.term), weights[self.weight] * self.factor)
        return price


def fit(
    seen: Sequence[Observation], *, fixed: Mapping[str, float] | None = None, only: Iterable[str] = (),
    start: Mapping[str, float] | None = None, steps: int = 25,
) -> dict[str, float]:  # fmt: skip
    """The most probable weights.

    Args:
        seen: observations.
        fixed: weights of the levels that are not learnt.
        only: spreads that are learnt; all when empty.
        start: weights to begin with.
        steps: at most so many.

    Returns:
        Weights by name.
    """
    if not seen:
        return {}
    design = Design(seen, fixed, only)
    weights = np.array([(start or {}).get(name, 0.0) for name in design.index])
    damping, now = 1e-2, _objective(design, weights)
    for _ in range(steps):
        step = _step(design, weights, damping)
        after = _objective(design, weights + step)
        if after < now:
            weights, damping = weights + step, max(damping / 5, 1e-6)
            if now - after < 1e-3 * len(seen) ** 0.5:
                break
            now = after
        else:
            damping *= 10
    return dict(zip(design.index, weights.tolist(), strict=True))


def _residuals(design: Design, weights: Array) -> tuple[Array, Array]:
    parts = design.counts * np.exp(design.price(weights))
    total = parts.sum(axis=1)
    return design.log_ms - np.log(total), parts / total[:, None]


def _objective(design: Design, weights: Array) -> float:
    residual, _ = _residuals(design, weights)
    heavy = (HEAVY + 1) / 2 * np.log1p(residual**2 / design.variance / HEAVY)
    return float(heavy.sum() + 0.5 * ((weights / np.array(design.prior)) ** 2).sum())


def _step(design: Design, weights: Array, damping: float) -> Array:
    """One damped step. Weights of one chip meet those of another only through the shared ones, so each chip's block is
    eliminated alone (Schur complement) and only the shared weights are solved for together."""
    from scipy.sparse import coo_matrix

    residual, share = _residuals(design, weights)
    trust = (HEAVY + 1) / (HEAVY + residual**2 / design.variance) / design.variance
    slope = coo_matrix(
        (share[design.row, design.term] * design.factor, (design.row, design.weight)), (len(residual), len(weights))
    ).tocsr()
    inverse = 1 / np.array(design.prior) ** 2
    normal = (slope.T @ slope.multiply(trust[:, None])).tocsr()
    gradient = slope.T @ (trust * residual) - inverse * weights
    pad = inverse * (1 + damping)
    shared, blocks = design.blocks()
    reduced = normal[shared][:, shared].toarray() + np.diag(pad[shared])
    right = gradient[shared].copy()
    kept = []
    for block in blocks:
        own = normal[block]
        inside = own[:, block].toarray() + np.diag(pad[block])
        across = own[:, shared].toarray()
        touched = np.flatnonzero(across.any(axis=0))
        across = across[:, touched]
        solved = np.linalg.solve(inside, np.column_stack([across, gradient[block]]))
        reduced[np.ix_(touched, touched)] -= across.T @ solved[:, :-1]
        right[touched] -= across.T @ solved[:, -1]
        kept.append((block, touched, solved))
    step = np.zeros(len(weights))
    step[shared] = np.linalg.solve(reduced, right)
    for block, touched, solved in kept:
        step[block] = solved[:, -1] - solved[:, :-1] @ step[shared[touched]]
    return step
