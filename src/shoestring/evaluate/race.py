"""When a verdict on part of the selection split is certain, so that the rest need not be scored.

Two rules. The certain one counts what the images left can still change: the original's answers on them are known, so a
win is possible only where the original is wrong, and the drop on the whole split has a lowest value. A candidate
stopped by it would have been rejected in any case, so no ladder changes.

The likely one is a bet (Waudby-Smith and Ramdas 2024, JRSS B 86:1, arXiv 2010.09686, section 5: sampling without
replacement). Against H: "on all N images of the split the drop is at most m" the wealth

    W_t = product over i <= t of 1 + b_i (x_i - m_i),   m_i = (N m - S_{i-1}) / (N - i + 1),

grows when losses (x = 1) outnumber wins (x = -1). The split is in the order of the images' hashes, which is a random
one; so under H the mean of x_i given the past is at most m_i, W is a supermartingale as long as b_i >= 0 is chosen
beforehand, and by Ville's inequality W ever reaches 1/e with chance at most e, however often one looks.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from shoestring.base.errors import DataError, UsageError
from shoestring.base.units import format_points

OFF, CERTAIN, LIKELY = "off", "certain", "likely"
RULES = (OFF, CERTAIN, LIKELY)
ERROR = 1e-3
"""Chance that the likely rule stops a candidate whose drop on the whole split is within the margin."""
MOST_BET = 0.75  # of the largest bet that cannot lose everything; aGRAPA's truncation in the paper
ROUNDING = 1e-9
PRIOR_VARIANCE = 0.05  # of one outcome, before any is seen: most outcomes are 0


@dataclass(frozen=True)
class Standing:
    """A candidate after part of the split.

    Args:
        seen: images scored.
        total: of the split.
        losses: original right, variant wrong, among those seen.
        wins: the other way round.
        wins_left: images not seen on which the original is wrong: no more wins are possible.
        differences: loss minus win of each image seen, in order: 1, 0 or -1.
    """

    seen: int
    total: int
    losses: int
    wins: int
    wins_left: int
    differences: tuple[int, ...]

    @property
    def lowest_drop(self) -> float:
        """What the drop on the whole split cannot fall below."""
        return (self.losses - self.wins - self.wins_left) / self.total

    @property
    def words(self) -> str:
        """`after 310 of 1,000 images (losses 31, wins 2)`."""
        return f"after {self.seen:,} of {self.total:,} images (losses {self.losses:,}, wins {self.wins:,})"


def check_rule(rule: str) -> None:
    """Raises UsageError unless `rule` is one of RULES."""
    if rule not in RULES:
        raise UsageError(f"there is no race rule {rule!r}", hint=f"one of: {', '.join(RULES)}")


def standing(
    original: Sequence[tuple[int, ...]], variant: Sequence[tuple[int, ...]], labels: Sequence[int] | None
) -> Standing:
    """Where a variant stands after the first len(variant) images.

    Args:
        original: best classes of every image of the split, best first.
        variant: of the first images, in the same order.
        labels: right classes of all images; None for agreement with the original.

    Raises:
        DataError: more answers of the variant than of the original, or another number of labels.
    """
    total, seen = len(original), len(variant)
    if seen > total or (labels is not None and len(labels) != total):
        raise DataError(f"{seen} answers, {total} originals and {None if labels is None else len(labels)} labels")
    truth = [top[0] for top in original] if labels is None else labels
    before = [label == top[0] for label, top in zip(truth, original, strict=True)]
    after = [label == top[0] for label, top in zip(truth, variant, strict=False)]
    differences = tuple(int(was) - int(hit) for was, hit in zip(before, after, strict=False))
    return Standing(
        seen=seen,
        total=total,
        losses=differences.count(1),
        wins=differences.count(-1),
        wins_left=before[seen:].count(False),
        differences=differences,
    )


def verdict(now: Standing, metric: str, margin: float, rule: str) -> str | None:
    """Why the drop on the whole split is above `margin`, or None while that is open or untrue.

    Args:
        now: the standing.
        metric: for the words.
        margin: a fraction in (0, 1).
        rule: one of RULES.

    Raises:
        UsageError: an unknown rule.
    """
    check_rule(rule)
    fall = f"{metric} falls by more than {format_points(margin)} on the selection split"
    if rule != OFF and now.lowest_drop > margin:
        return f"{fall}: certain {now.words}, since the rest can hold no more than {now.wins_left:,} wins"
    if rule == LIKELY and most_wealth(now.differences, now.total, margin) >= 1 / ERROR:
        return f"{fall}: certain but for a chance of {ERROR:g}, {now.words}"
    return None


def most_wealth(differences: Sequence[int], total: int, margin: float) -> float:
    """The largest wealth that betting on "the drop on all `total` images is above `margin`" has reached.

    Args:
        differences: of the images seen, in random order: 1 loss, -1 win, 0 neither.
        total: images of the split, at least len(differences).
        margin: a fraction in [0, 1).

    Returns:
        At least 1; infinity when the images seen alone leave no other possibility.
    """
    log_wealth = most = 0.0
    fallen, squares = 0, 0
    for place, difference in enumerate(differences):
        expected = (total * margin - fallen) / (total - place)
        if expected < -1 - ROUNDING:
            return math.inf
        if expected < -1 + ROUNDING:
            break  # H holds only if all images left are wins; the certain rule decides
        mean = fallen / (place + 1)
        variance = (PRIOR_VARIANCE + squares) / (place + 1) - mean * mean
        edge = mean - expected
        bet = edge / (max(variance, 1e-6) + edge * edge)
        bet = min(max(0.0, bet), MOST_BET / (1 + expected))
        log_wealth += math.log1p(bet * (difference - expected))
        most = max(most, log_wealth)
        fallen += difference
        squares += difference * difference
    return math.exp(min(most, 700.0))
