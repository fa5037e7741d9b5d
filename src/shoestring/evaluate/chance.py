"""Is the original model any good on these data? Checks that stop a fit whose numbers would mean nothing."""

from __future__ import annotations

import math
from collections import Counter
from typing import TYPE_CHECKING

from shoestring.base.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Sequence

CHANCE_P = 0.001  # how rarely a model that guesses may pass as one that does not
SAME_CLASS_SHARE = 0.95  # of answers in one class: no data of several classes gives that
MIN_DIVERSE = 48  # images; fewer may well be of one class

CHECK_HINT = (
    "check the pre-processing (scale, mean and std, resize), the colour order (rgb or bgr), the order of the labels, "
    "and that the data belongs to this model"
)


def check_not_chance(hits: int, n: int, classes: int) -> None:
    """Stop when the original model's own accuracy is not clearly above guessing.

    Args:
        hits: right answers.
        n: of so many.
        classes: that the model tells apart.

    Raises:
        DataError: a guess of one class in `classes` gives `hits` or more with a probability above CHANCE_P (exact
            binomial).
    """
    if not (0 <= hits <= n and n > 0 and classes > 0):
        raise DataError(f"{hits} hits of {n} in {classes} classes make no sense")
    if binomial_tail(hits, n, 1 / classes) <= CHANCE_P:
        return
    raise DataError(
        f"the original model is right on {hits} of {n} images ({100 * hits / n:.1f} %), "
        f"not clearly above chance among {classes} classes ({100 / classes:.1f} %)",
        hint=CHECK_HINT,
    )


def check_diverse(top1: Sequence[int]) -> None:
    """Stop when a model gives nearly all of many different images the same class; the check for unlabelled data.

    Args:
        top1: first class of each of distinct images.

    Raises:
        DataError: at least MIN_DIVERSE images, and SAME_CLASS_SHARE of them or more in one class.
    """
    if len(top1) < MIN_DIVERSE:
        return
    label, count = Counter(top1).most_common(1)[0]
    if count >= SAME_CLASS_SHARE * len(top1):
        raise DataError(
            f"the original model answers class {label} for {count} of {len(top1)} different images",
            hint=f"{CHECK_HINT}; if all images are of one class, add images of others",
        )


def binomial_tail(hits: int, n: int, p: float) -> float:
    """P(X >= hits) for X ~ Binomial(n, p), 0 < p <= 1: the sum of its terms, each from lgamma."""
    if hits <= 0 or p >= 1:
        return 1.0
    log_p, log_q = math.log(p), math.log1p(-p)
    total = 0.0
    for k in range(hits, n + 1):
        log_ways = math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)
        term = math.exp(log_ways + k * log_p + (n - k) * log_q)
        total += term
        if k > n * p and term < 1e-17 * total:
            break  # terms fall from here on, faster than a geometric series far from the mean
    return min(1.0, total)
