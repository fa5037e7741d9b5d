"""Intervals of a paired bootstrap over blocks: they hold what they should, and a saboteur's do not."""

import math
from dataclasses import replace

import numpy as np
import pytest

from proof_scale import SCALE
from shoestring.base.errors import DataError, UsageError
from shoestring.bundle.divergence_rules import _check_divergence
from shoestring.domain.divergence import BlockTrace
from shoestring.evaluate.language.bootstrap import divergence

RUNS = 150 * SCALE


def traces(random, blocks=80, tokens=64, kl=0.05):
    """Original and candidate on blocks that differ in difficulty; KL is skewed between them."""
    count = tuple(int(one) for one in random.integers(tokens // 2, tokens + 1, blocks))
    loss = random.gamma(9, 0.35, blocks)
    moved = random.gamma(1.5, kl / 1.5, blocks)
    same = tuple(int(random.binomial(n, math.exp(-math.sqrt(one)))) for n, one in zip(count, moved, strict=True))
    original = BlockTrace("original", "selection", count, (0.0,) * blocks, count, tuple(map(float, loss)))
    candidate = BlockTrace("a", "selection", count, tuple(map(float, moved)), same, tuple(map(float, loss + moved)))
    return original, candidate


def test_figures_are_those_of_all_tokens():
    original, candidate = traces(np.random.default_rng(0))
    found = divergence(original, candidate)
    tokens = np.array(candidate.tokens)
    assert found.kl == pytest.approx(float(np.average(candidate.kl, weights=tokens)))
    assert found.agreement == pytest.approx(sum(candidate.same) / sum(candidate.tokens))
    assert found.perplexity == pytest.approx(math.exp(np.average(candidate.loss, weights=tokens)))
    assert found.original_perplexity == pytest.approx(math.exp(np.average(original.loss, weights=tokens)))
    assert (found.blocks, found.tokens) == (80, sum(candidate.tokens))
    assert found.ratio_low < found.perplexity / found.original_perplexity < found.ratio_high
    _check_divergence("here", found)


def test_intervals_hold_the_truth_as_often_as_they_say():
    random = np.random.default_rng(1)
    mean, held = 0.05, 0
    for run in range(RUNS):
        found = divergence(*traces(random), seed=run, draws=500)
        held += found.kl_low <= mean <= found.kl_high
    assert held / RUNS >= 0.95 - 0.03 - 3 * math.sqrt(0.05 * 0.95 / RUNS)  # BCa is short by some points at 80 blocks


def test_drawing_tokens_instead_of_blocks_would_be_caught():
    """The saboteur: it takes every token for an independent one, so its interval is far too narrow."""
    random = np.random.default_rng(2)
    held = 0
    for run in range(RUNS):
        original, candidate = traces(random)

        def cut(trace):
            """Each block as eight blocks of its own: what a draw of tokens amounts to."""
            parts = (tuple(np.repeat(one, 8)) for one in (trace.kl, trace.loss))
            kl, loss = (tuple(map(float, one)) for one in parts)
            count = len(kl)
            return BlockTrace(trace.candidate, trace.split, (8,) * count, kl, (4,) * count, loss)

        found = divergence(cut(original), cut(candidate), seed=run, draws=500)
        held += found.kl_low <= 0.05 <= found.kl_high
    assert held / RUNS < 0.75


def test_pairing_makes_the_ratio_narrow():
    original, candidate = traces(np.random.default_rng(3), kl=0.01)
    paired = divergence(original, candidate)
    order = np.random.default_rng(4).permutation(len(original.loss))
    apart = divergence(replace(original, loss=tuple(original.loss[i] for i in order)), candidate)
    assert paired.ratio_high - paired.ratio_low < (apart.ratio_high - apart.ratio_low) / 5


def test_a_copy_of_the_original_has_no_divergence():
    original, _ = traces(np.random.default_rng(5))
    found = divergence(original, replace(original, candidate="given"))
    assert (found.kl, found.kl_low, found.kl_high, found.agreement) == (0.0, 0.0, 0.0, 1.0)
    assert found.ratio_low == pytest.approx(1.0, abs=1e-9)
    assert found.ratio_high == pytest.approx(1.0, abs=1e-9)
    _check_divergence("here", found)


def test_the_same_seed_gives_the_same_interval():
    one, two = traces(np.random.default_rng(6))
    assert divergence(one, two, seed=3) == divergence(one, two, seed=3)
    assert divergence(one, two, seed=3) != divergence(one, two, seed=4)


def test_what_cannot_be_compared_is_refused():
    original, candidate = traces(np.random.default_rng(7))
    with pytest.raises(DataError, match="other blocks"):
        divergence(replace(original, split="certification"), candidate)
    with pytest.raises(DataError, match="other blocks"):
        divergence(replace(original, tokens=(1, *original.tokens[1:])), candidate)
    few = traces(np.random.default_rng(8), blocks=7)
    with pytest.raises(DataError, match="7 blocks"):
        divergence(*few)
    with pytest.raises(UsageError, match="confidence"):
        divergence(original, candidate, confidence=1.0)
