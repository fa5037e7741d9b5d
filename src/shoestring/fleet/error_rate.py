"""How many devices of a wave failed, and how many may fail at most given that: what halts a roll-out."""

from __future__ import annotations

import math
from dataclasses import dataclass

from shoestring.base.errors import UsageError

MAX_ERRORS = 0.05
"""Of the devices that take a release. A limit is not proven below it by few devices: at 95 % it takes 59 without a
failure to say at most 5 %, and 149 to say at most 2 %."""
CONFIDENCE = 0.95
_HALVINGS = 60
"""Of the interval 0 to 1: to the last digit of a float."""
_NEGLIGIBLE = 1e-18


@dataclass(frozen=True)
class Tally:
    """What the devices of a group said about one bundle.

    Args:
        good: devices that confirmed it and never failed with it.
        failed: devices that rolled back from it or refused it.
        trial: devices that have it on trial and said nothing more.
        reasons: of failures, with how many devices gave each, most first.
    """

    good: int
    failed: int
    trial: int
    reasons: tuple[tuple[str, int], ...] = ()

    @property
    def judged(self) -> int:
        """Devices whose word counts."""
        return self.good + self.failed


@dataclass(frozen=True)
class Verdict:
    """Whether a release may go on.

    Args:
        tally: that it rests on.
        upper: the largest rate of errors that these figures leave possible.
        most: the limit.
        confidence: of the bound.
        needed: devices without a failure that would be enough.
    """

    tally: Tally
    upper: float
    most: float
    confidence: float
    needed: int

    @property
    def passes(self) -> bool:
        """Whether the bound keeps the limit."""
        return self.upper <= self.most

    @property
    def words(self) -> str:
        """For people."""
        tally = self.tally
        words = (
            f"{tally.failed} of {tally.judged} devices failed, so at most {self.upper:.1%} of all do "
            f"({self.confidence:.0%} sure); the limit is {self.most:.1%}"
        )
        if self.passes:
            return words
        if tally.failed == 0:
            return f"{words}: {self.needed} devices without a failure are needed"
        return f"{words}; they say: " + "; ".join(f"{reason} ({count})" for reason, count in tally.reasons[:3])


def judge(tally: Tally, most: float = MAX_ERRORS, confidence: float = CONFIDENCE) -> Verdict:
    """Whether so few failed that a release may go to more devices.

    Args:
        tally: of the wave.
        most: rate of errors that is allowed, in (0, 1).
        confidence: in (0.5, 1).

    Raises:
        UsageError: outside of these.
    """
    if not 0 < most < 1 or not 0.5 < confidence < 1:
        raise UsageError(f"a limit of {most:.2%} at {confidence:.2%} confidence makes no sense", hint="say 2% at 95%")
    needed = math.ceil(math.log(1 - confidence) / math.log(1 - most))
    return Verdict(tally, upper_bound(tally.judged, tally.failed, 1 - confidence), most, confidence, needed)


def upper_bound(n: int, count: int, error: float) -> float:
    """One-sided upper bound of a rate (Clopper and Pearson 1934, Biometrika 26:404).

    The rate p at which `count` or fewer of `n` have the probability `error`, found by halving.

    Args:
        n: trials.
        count: of them that failed, 0 to n.
        error: probability that the true rate is higher, in (0, 1).
    """
    if count >= n:
        return 1.0
    low, high = count / n, 1.0  # at that rate one half or more have so few failures: the median is not above it
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        if _at_most(n, count, middle) > error:
            low = middle
        else:
            high = middle
    return high


def _at_most(n: int, count: int, rate: float) -> float:
    """Probability that `count` or fewer of `n` fail, for rates above `count / n`: terms fall from one to the next."""
    if not 0 < rate < 1:
        return 1.0 - rate
    odds = (1 - rate) / rate
    choices = math.lgamma(n + 1) - math.lgamma(count + 1) - math.lgamma(n - count + 1)
    term = math.exp(choices + count * math.log(rate) + (n - count) * math.log1p(-rate))
    total = 0.0
    for k in range(count, -1, -1):
        total += term
        term *= odds * k / (n - k + 1)
        if term < total * _NEGLIGIBLE:
            break
    return total
