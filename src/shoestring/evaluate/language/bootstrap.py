"""Scores of a variant against the original with intervals of a paired bootstrap over blocks.

Tokens of one block hang together, so blocks are drawn and not tokens, and of a block the original's loss goes with the
variant's. Intervals are BCa: bias-corrected and accelerated (Efron and Tibshirani 1993, An Introduction to the
Bootstrap, section 14.3), which needs no symmetry; KL of blocks is skewed.
"""

from __future__ import annotations

import math
from statistics import NormalDist
from typing import TYPE_CHECKING, Any

import numpy as np

from shoestring.base.errors import DataError
from shoestring.domain.divergence import Divergence
from shoestring.evaluate.statistics import check_confidence

if TYPE_CHECKING:
    from collections.abc import Callable

    from shoestring.domain.divergence import BlockTrace

DRAWS = 4_000  # an end of a 95 % interval then rests on 100 draws
MIN_BLOCKS = 8  # below it an interval would be invented
_EDGE = 1e-6  # keeps quantiles away from 0 and 1
_NORMAL = NormalDist()

Numbers = np.ndarray[Any, np.dtype[np.float64]]


def divergence(
    original: BlockTrace, candidate: BlockTrace, *, confidence: float = 0.95, seed: int = 0, draws: int = DRAWS
) -> Divergence:
    """KL, agreement and perplexity of a candidate, on the blocks of one split.

    Args:
        original: its own trace there.
        candidate: of the same blocks and tokens.
        confidence: of each interval, two-sided, in [0.5, 0.999].
        seed: of the draws.
        draws: of blocks, at least 100.

    Returns:
        Means over tokens; intervals by blocks, each holding its mean.

    Raises:
        DataError: other blocks than the original's, or fewer than MIN_BLOCKS.
        UsageError: the confidence is out of range.
    """
    check_confidence(confidence)
    check_same_blocks(original, candidate)
    if len(candidate.tokens) < MIN_BLOCKS:
        raise DataError(
            f"{len(candidate.tokens)} blocks of text are too few for an interval, at least {MIN_BLOCKS} are needed",
            hint="give more texts",
        )
    # Weighted sums over blocks: tokens, KL, agreeing tokens, loss of the candidate, loss of the original.
    tokens = np.array(candidate.tokens, float)
    parts = np.stack(
        [
            tokens,
            tokens * np.array(candidate.kl),
            np.array(candidate.same, float),
            tokens * np.array(candidate.loss),
            tokens * np.array(original.loss),
        ]
    )
    drawn, left_out = _draw(parts, seed, draws), parts.sum(axis=1, keepdims=True) - parts
    total = sum(candidate.tokens)
    kl, agreement = mean_over_tokens(candidate.tokens, candidate.kl), sum(candidate.same) / total
    loss, before = (mean_over_tokens(candidate.tokens, trace.loss) for trace in (candidate, original))

    def ends(value: float, figure: Callable[[Numbers], Numbers]) -> tuple[float, float]:
        return _bca(value, figure(drawn), figure(left_out), confidence)

    kl_low, kl_high = ends(kl, lambda sums: sums[1] / sums[0])
    agreement_low, agreement_high = ends(agreement, lambda sums: sums[2] / sums[0])
    ratio_low, ratio_high = ends(math.exp(loss - before), lambda sums: np.exp((sums[3] - sums[4]) / sums[0]))
    return Divergence(
        split=candidate.split,
        blocks=len(candidate.tokens),
        tokens=total,
        kl=kl,
        kl_low=max(0.0, kl_low),
        kl_high=kl_high,
        agreement=agreement,
        agreement_low=max(0.0, agreement_low),
        agreement_high=min(1.0, agreement_high),
        perplexity=math.exp(loss),
        original_perplexity=math.exp(before),
        ratio_low=ratio_low,
        ratio_high=ratio_high,
        confidence=confidence,
    )


def check_same_blocks(original: BlockTrace, candidate: BlockTrace) -> None:
    """Raises DataError unless both scored the same tokens of the same split."""
    if (original.split, original.tokens) != (candidate.split, candidate.tokens):
        raise DataError(
            f"{candidate.candidate!r} scored other blocks than the original on {candidate.split!r}",
            hint="score both on the same texts, with the same tokenizer",
        )


def mean_over_tokens(tokens: tuple[int, ...], values: tuple[float, ...]) -> float:
    """Mean over all tokens of what is known as the mean of each block; as `bundle.divergence_rules` counts it again."""
    return math.fsum(count * value for count, value in zip(tokens, values, strict=True)) / sum(tokens)


def _draw(parts: Numbers, seed: int, draws: int) -> Numbers:
    """Sums over as many blocks as there are, drawn with replacement: (figures, draws)."""
    blocks = parts.shape[1]
    random = np.random.default_rng([seed, blocks])
    times = random.multinomial(blocks, np.full(blocks, 1 / blocks), size=draws)
    return np.asarray(parts @ times.T, float)


def _bca(value: float, drawn: Numbers, left_out: Numbers, confidence: float) -> tuple[float, float]:
    """Equations 14.9 to 14.15 of Efron and Tibshirani; an end never passes the value itself."""
    below = float(np.mean(drawn < value) + np.mean(drawn == value) / 2)
    bias = _NORMAL.inv_cdf(min(1 - _EDGE, max(_EDGE, below)))
    away = left_out.mean() - left_out
    spread = float(np.sum(away**2)) ** 1.5
    acceleration = 0.0 if spread == 0 else float(np.sum(away**3)) / (6 * spread)
    ends = []
    for share in ((1 - confidence) / 2, (1 + confidence) / 2):
        z = bias + _NORMAL.inv_cdf(share)
        moved = _NORMAL.cdf(bias + z / max(_EDGE, 1 - acceleration * z))
        ends.append(float(np.quantile(drawn, min(1 - _EDGE, max(_EDGE, moved)))))
    return min(value, ends[0]), max(value, ends[1])
