"""How small a drop each method certifies from the same counts: `python benchmarks/certificates.py`.

For each n and discordance it draws seeded outcomes of a variant whose true drop is zero, and prints the median over the
draws of the smallest margin that each method certifies at 95 %, in points. Lower is better. All methods but the last
hold for every n.
"""

from __future__ import annotations

import math

import numpy as np

from shoestring.domain.score import Paired
from shoestring.evaluate.exact_paired import rate_bounds
from shoestring.evaluate.statistics import drop_upper

ERROR = 0.05
DRAWS = 101
SIZES = (500, 1_000, 2_000)
DISCORDANCES = (0.01, 0.02, 0.04)


def exact(differences: np.ndarray) -> float:
    n, losses, wins = len(differences), int((differences > 0).sum()), int((differences < 0).sum())
    return drop_upper(Paired(n, n - wins, n - losses, wins=wins, losses=losses), "top-1", 1 - ERROR)


def two_rates(differences: np.ndarray) -> float:
    """Clopper-Pearson for losses and for wins, half the error each."""
    n, losses, wins = len(differences), int((differences > 0).sum()), int((differences < 0).sum())
    return rate_bounds(n, losses, ERROR)[1] - rate_bounds(n, wins, ERROR)[0]


def betting(differences: np.ndarray) -> float:
    """One-sided capital process, predictable plug-in bets (Waudby-Smith and Ramdas 2024, JRSS B 86:1, section 4)."""
    n = len(differences)
    t = np.arange(1, n + 1)
    mean = np.cumsum(differences) / (t + 1)
    variance = (0.25 + np.cumsum((differences - mean) ** 2)) / (t + 1)
    bet = np.sqrt(2 * math.log(1 / ERROR) / (n * np.concatenate([[0.25], variance[:-1]])))
    low, high = -1.0, 1.0
    while high - low > 1e-5:
        margin = (low + high) / 2
        capital = np.cumsum(np.log1p(np.minimum(bet, 0.75 / (1 - margin)) * (margin - differences)))
        low, high = (low, margin) if capital.max() >= math.log(1 / ERROR) else (margin, high)
    return high


def empirical_bernstein(differences: np.ndarray) -> float:
    """Maurer and Pontil 2009, theorem 4, for values in [-1, 1]."""
    n, log = len(differences), math.log(2 / ERROR)
    return float(differences.mean() + math.sqrt(2 * differences.var(ddof=1) * log / n) + 2 * 7 * log / (3 * (n - 1)))


def hoeffding(differences: np.ndarray) -> float:
    """Hoeffding 1963, for values in [-1, 1]."""
    return float(differences.mean() + math.sqrt(2 * math.log(1 / ERROR) / len(differences)))


def wald(differences: np.ndarray) -> float:
    """The normal approximation: not valid, shown as the yardstick."""
    return float(differences.mean() + 1.6449 * differences.std() / math.sqrt(len(differences)))


METHODS = {
    "ours": exact,
    "two Clopper-Pearson": two_rates,
    "betting": betting,
    "empirical Bernstein": empirical_bernstein,
    "Hoeffding": hoeffding,
    "Wald (invalid)": wald,
}


def main() -> None:
    rng = np.random.default_rng(7)
    print("| n | discordance | " + " | ".join(METHODS) + " |")
    print("|---" * (len(METHODS) + 2) + "|")
    for n in SIZES:
        for discordance in DISCORDANCES:
            share = [discordance / 2, 1 - discordance, discordance / 2]
            draws = [rng.choice([-1.0, 0.0, 1.0], size=n, p=share) for _ in range(DRAWS)]
            medians = [100 * float(np.median([bound(draw) for draw in draws])) for bound in METHODS.values()]
            print(f"| {n:,} | {100 * discordance:g} % | " + " | ".join(f"{value:.2f}" for value in medians) + " |")


if __name__ == "__main__":
    main()
