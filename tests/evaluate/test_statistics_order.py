"""The score statistic, its restricted estimate, and the monotonicity that the exact test rests on."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import minimize_scalar
from scipy.special import xlogy

from shoestring.evaluate.ordering import restricted_wins, score, score_limit, thresholds

ORDER_Z = 1.645
MARGINS = (-0.3, -0.02, 0.0, 0.01, 0.05, 0.4)


def all_outcomes(n: int) -> tuple[np.ndarray, np.ndarray]:
    losses, wins = np.meshgrid(np.arange(n + 1), np.arange(n + 1), indexing="ij")
    return losses, wins


def test_restricted_estimate_maximises_the_likelihood() -> None:
    rng = np.random.default_rng(1)
    for _ in range(200):
        n = int(rng.integers(1, 300))
        losses, wins, same = rng.multinomial(n, rng.dirichlet([0.5, 0.5, 2]))
        margin = float(rng.uniform(-0.5, 0.5))

        def cost(x: float, m: float = margin, a: int = losses, b: int = wins, c: int = same) -> float:
            p = np.maximum([x + m, x, 1 - m - 2 * x], 1e-300)
            return -float(np.sum(xlogy([a, b, c], p)))

        low, high = max(0.0, -margin), (1 - margin) / 2
        found = minimize_scalar(cost, bounds=(low, high), method="bounded", options={"xatol": 1e-10})
        ours = float(restricted_wins(n, losses, wins, margin))
        assert low <= ours <= high
        assert cost(ours) <= cost(float(found.x)) + 1e-7


def test_score_is_the_chi_square_of_the_restricted_fit() -> None:
    n, losses, wins, margin = 200, 9, 4, 0.06
    x = float(restricted_wins(n, losses, wins, margin))
    fit = n * np.array([x + margin, x, 1 - margin - 2 * x])
    chi_square = np.sum((np.array([losses, wins, n - losses - wins]) - fit) ** 2 / fit)
    assert float(score(n, losses, wins, margin)) == pytest.approx(-np.sqrt(chi_square), abs=1e-9)


@pytest.mark.parametrize("margin", MARGINS)
def test_score_rises_with_losses_and_falls_with_wins(margin: float) -> None:
    n = 60
    losses, wins = all_outcomes(n)
    z = np.where(losses + wins <= n, score(n, losses, np.minimum(wins, n - losses), margin), np.nan)
    assert np.nanmin(np.diff(z, axis=0)) >= -1e-9
    assert np.nanmax(np.diff(z, axis=1)) <= 1e-9
    for discordant in range(1, n + 1):
        along = score(n, np.arange(discordant + 1), discordant - np.arange(discordant + 1), margin)
        assert np.all(np.diff(along) > -1e-9)


def test_score_falls_with_the_margin() -> None:
    n = 40
    losses, wins = (part[np.add(*all_outcomes(n)) <= n] for part in all_outcomes(n))
    margins = np.linspace(-0.99, 0.99, 67)
    z = np.array([score(n, losses, wins, float(margin)) for margin in margins])
    assert np.max(np.diff(z, axis=0)) <= 1e-9


def test_limit_is_where_the_score_crosses() -> None:
    for n, losses, wins in ((50, 0, 0), (50, 3, 1), (50, 0, 50), (2000, 40, 70), (50, 49, 0)):
        limit = score_limit(n, losses, wins, ORDER_Z)
        assert float(score(n, losses, wins, limit)) == pytest.approx(-ORDER_Z, abs=1e-6)
    assert score_limit(50, 50, 0, ORDER_Z) == 1.0


def test_thresholds_are_the_largest_losses_inside() -> None:
    n, margin = 80, 0.05
    discordant = np.arange(n + 1)
    most = thresholds(n, discordant, margin, ORDER_Z)
    for count, limit in zip(discordant, most, strict=True):
        losses = np.arange(count + 1)
        assert np.array_equal(score(n, losses, count - losses, margin) <= -ORDER_Z + 1e-8, losses <= limit)
    assert np.array_equal(thresholds(n, discordant, 1.0, ORDER_Z), discordant)
