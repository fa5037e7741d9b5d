"""The threshold of a cascade of models that write: chosen on some prompts, certified on others.

A small model's answer is kept where the mean log-probability of its tokens is at or above the threshold; else the large
one answers. What is certified is the share of the kept answers that are the large model's own: whoever gets a kept
answer gets, with at least that chance, the very one that the large model would have given.

Given how many of the certification prompts are kept, which the threshold decides without looking at agreement, the
answers among them that differ are binomial (Clopper and Pearson 1934, Biometrika 26:404), so the test is exact. It
speaks of prompts like those of the split, answered at temperature 0 with as many tokens as here.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from shoestring.base.errors import UsageError
from shoestring.domain.text import TokenCascade
from shoestring.evaluate.exact_paired import binomial_p

if TYPE_CHECKING:
    from collections.abc import Sequence

MEASURE = "mean-logprob"
LEAST_KEPT = 0.1
"""Below this share a cascade saves less than its small model costs on the other prompts."""


@dataclass(frozen=True)
class Answered:
    """What the small model did on one prompt.

    Args:
        level: mean log-probability of its tokens, nats; at most 0.
        agrees: whether its answer is the large model's.
    """

    level: float
    agrees: bool


@dataclass(frozen=True)
class Certified:
    """What was tested.

    Args:
        threshold: of the level.
        n: prompts of the certification split.
        kept: of them, that the small model answers.
        differing: of those, where the large one says something else.
        agreement: that is certified of kept answers, a fraction.
        confidence: of it.
        p_value: of "kept answers agree less often".
    """

    threshold: float
    n: int
    kept: int
    differing: int
    agreement: float
    confidence: float
    p_value: float

    @property
    def holds(self) -> bool:
        """Whether the certificate stands."""
        return self.p_value <= 1 - self.confidence


def choose_threshold(selection: Sequence[Answered], agreement: float, confidence: float = 0.95) -> float | None:
    """The lowest threshold whose kept answers would pass the test on this split.

    Args:
        selection: prompts that no certificate rests on.
        agreement: that is wanted of kept answers, in (0, 1).
        confidence: of the certificate, in (0.5, 1).

    Returns:
        A level that occurred, or None where no threshold keeps LEAST_KEPT of the prompts and passes.

    Raises:
        UsageError: a figure out of range, or a level that is no log-probability.
    """
    _check(selection, agreement, confidence)
    ordered = sorted(selection, key=lambda one: -one.level)
    best, differing = None, 0
    for place, one in enumerate(ordered, start=1):
        differing += not one.agrees
        tied = place < len(ordered) and ordered[place].level == one.level
        if tied or place < LEAST_KEPT * len(ordered):
            continue
        if binomial_p(place, differing, 1 - agreement) <= 1 - confidence:
            best = one.level
    return best


def certify_threshold(
    certification: Sequence[Answered], threshold: float, agreement: float, confidence: float = 0.95
) -> Certified:
    """Test a threshold on prompts that took no part in choosing it.

    Args:
        certification: those prompts.
        threshold: as `choose_threshold` gave it.
        agreement, confidence: likewise.

    Raises:
        UsageError: as `choose_threshold`.
    """
    _check(certification, agreement, confidence)
    kept = [one for one in certification if one.level >= threshold]
    differing = sum(not one.agrees for one in kept)
    p_value = binomial_p(len(kept), differing, 1 - agreement) if kept else 1.0
    return Certified(threshold, len(certification), len(kept), differing, agreement, confidence, p_value)


def needed(agreement: float, confidence: float = 0.95) -> int:
    """Kept answers that a certificate needs at least, when all of them agree."""
    _check((), agreement, confidence)
    return math.ceil(math.log(1 - confidence) / math.log(agreement))


def to_cascade(found: Certified, small: str, large: str) -> TokenCascade | None:
    """What goes into the bundle; None where the certificate does not stand.

    Args:
        found: of the certification split.
        small, large: names of the rungs.
    """
    if not found.holds:
        return None
    words = (
        f"at confidence {found.confidence:g}, at least {100 * found.agreement:g} % of kept answers are {large!r}'s own "
        f"at temperature 0: {found.kept} of {found.n} prompts were kept, {found.differing} answers differed, exact "
        f"binomial test, p = {found.p_value:.3g}"
    )
    return TokenCascade(small, large, MEASURE, found.threshold, found.kept / found.n, words)


def _check(answered: Sequence[Answered], agreement: float, confidence: float) -> None:
    if not 0 < agreement < 1:
        raise UsageError(f"the agreement is {agreement:g}, it must lie between 0 and 1", hint="0.9 is usual")
    if not 0.5 < confidence < 1:
        raise UsageError(f"the confidence is {confidence:g}, it must lie between 0.5 and 1", hint="0.95 is usual")
    for one in answered:
        if not (math.isfinite(one.level) and one.level <= 0):
            raise UsageError(f"a mean log-probability is {one.level:g}, it must be a number of at most 0")


__all__ = ["Answered", "Certified", "certify_threshold", "choose_threshold", "needed", "to_cascade"]
