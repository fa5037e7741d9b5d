"""What a user does, 2,000 times over: choose on one split, certify on another, count the false certificates.

Every repetition has several candidates whose true drop is at the margin (the worst case) or just above it. The
selection split orders them and drops those that look bad; the certification split tests the rest in that order. A
certificate is false when the true drop is not below the margin. The exact size is at most 5 %, so 2,000 repetitions may
show more only by chance: beyond the 99.9 % quantile of Binomial(2000, 0.05), 131, the assertion fails.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import numpy as np
import pytest
from scipy.stats import binom

from proof_scale import SCALE
from shoestring.domain.score import Paired
from shoestring.evaluate.sample_size import critical_losses
from shoestring.evaluate.statistics import certify

REPETITIONS = 2_000 * SCALE
NOMINAL = 0.05
SCENARIOS = [  # n, margin, discordance, drops over the margin
    (500, 0.02, 0.025, (1.0,) * 6),
    (500, 0.02, 0.06, (1.0, 1.0, 1.1, 1.3, 0.5)),
    (500, 0.01, 0.01, (1.0,) * 6),
    (2000, 0.01, 0.01, (1.0,) * 6),
    (2000, 0.01, 0.02, (1.0, 1.0, 1.05, 1.2, 0.3)),
    (2000, 0.02, 0.06, (1.0,) * 6),
]


@cache
def most_losses(n: int, discordant: int, margin: float) -> int:
    return critical_losses(n, discordant, margin, NOMINAL)


def draw(rng: np.random.Generator, n: int, q: float, drops: np.ndarray) -> np.ndarray:
    """(candidates, 2): losses and wins on one split."""
    q_each = np.maximum(q, drops)
    p = np.stack([(q_each + drops) / 2, (q_each - drops) / 2, 1 - q_each], axis=1)
    return rng.multinomial(n, p)[:, :2]


def passes(n: int, counts: np.ndarray, margin: float) -> bool:
    return bool(counts[0] <= most_losses(n, int(counts.sum()), margin))


def two_splits(rng: np.random.Generator, n: int, margin: float, q: float, drops: np.ndarray) -> bool:
    """The honest user. Returns whether a false certificate was given."""
    selection, certification = draw(rng, n, q, drops), draw(rng, n, q, drops)
    seen = (selection[:, 0] - selection[:, 1]) / n
    for index in np.argsort(seen, kind="stable"):
        if seen[index] > margin or not passes(n, certification[index], margin):
            return False
        if drops[index] >= margin:
            return True
    return False


def same_split(rng: np.random.Generator, n: int, margin: float, q: float, drops: np.ndarray) -> bool:
    """The saboteur: the best of the candidates is certified on the data that made it the best."""
    counts = draw(rng, n, q, drops)
    best = np.argmin(counts[:, 0] - counts[:, 1])
    return passes(n, counts[best], margin) and drops[best] >= margin


User = Callable[[np.random.Generator, int, float, float, np.ndarray], bool]


def count_false(user: User, n: int, margin: float, q: float, over: tuple[float, ...]) -> int:
    rng = np.random.default_rng(20240607)
    drops = margin * np.array(over)
    return sum(user(rng, n, margin, q, drops) for _ in range(REPETITIONS))


def assert_covers(false_certificates: int) -> None:
    assert false_certificates <= binom.ppf(0.999, REPETITIONS, NOMINAL), f"{false_certificates} of {REPETITIONS}"


@pytest.mark.parametrize(("n", "margin", "q", "over"), SCENARIOS)
def test_false_certificates_stay_below_the_nominal_rate(
    n: int, margin: float, q: float, over: tuple[float, ...]
) -> None:
    found = count_false(two_splits, n, margin, q, over)
    print(f"n {n}, margin {margin}, discordance {q}: {100 * found / REPETITIONS:.2f} % of {REPETITIONS} false")
    assert_covers(found)


@pytest.mark.parametrize(("n", "margin", "q"), [(500, 0.02, 0.04), (2000, 0.01, 0.02)])
def test_choosing_and_certifying_on_one_split_is_caught(n: int, margin: float, q: float) -> None:
    false_certificates = count_false(same_split, n, margin, q, (1.0,) * 20)
    assert false_certificates > 3 * NOMINAL * REPETITIONS
    with pytest.raises(AssertionError):
        assert_covers(false_certificates)


def test_the_simulated_user_decides_as_certify_does() -> None:
    rng = np.random.default_rng(5)
    for n, margin, q, over in SCENARIOS[:5]:
        for _ in range(4):
            counts = draw(rng, n, q, margin * np.array(over) * rng.uniform(0, 1))
            candidates = [
                (str(i), Paired(n, n - b, n - a, wins=int(b), losses=int(a))) for i, (a, b) in enumerate(counts)
            ]
            expected = np.cumprod([passes(n, row, margin) for row in counts]).astype(bool)
            got = [verdict.certified for verdict in certify(candidates, "top-1", margin, 1 - NOMINAL)]
            assert got == list(expected)
