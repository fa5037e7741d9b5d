"""Searches over integers: never worse than their start, exact where all answers can be listed, better than nearest."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from shoestring.compress.adaround import learn_rounding
from shoestring.compress.blocks import gptq_metric
from shoestring.compress.descent import by_gptq, descend, nearest, quadratic_error, refit_scales, search

LIMIT = 7


def problem(channels: int, k: int, seed: int, *, own: bool = False):
    """Rows, scales and a Gram matrix of correlated inputs; `own`: one matrix a row."""
    rng = np.random.default_rng(seed)
    mixes = rng.normal(0, 1, (channels if own else 1, 4 * k, k)) @ (rng.normal(0, 1, (k, k)) / k**0.5 + 0.5)
    grams = mixes.transpose(0, 2, 1) @ mixes / (4 * k)
    rows = rng.normal(0, 1, (channels, k))
    return rows, np.abs(rows).max(axis=1) / LIMIT, grams if own else grams[0]


def error(rows, integers, scales, gram) -> float:
    return float(quadratic_error(rows, integers * scales[:, None], gram).sum())


@pytest.mark.parametrize("own", [True, False])
@pytest.mark.parametrize("seed", range(3))
def test_descent_never_rises_and_ends_where_no_single_change_helps(own: bool, seed: int) -> None:
    rows, scales, gram = problem(6, 20, seed, own=own)
    start = nearest(rows, scales, LIMIT)
    found = descend(rows, scales, gram, LIMIT, start, sweeps=100)
    assert error(rows, found, scales, gram) < error(rows, start, scales, gram)
    assert np.abs(found.astype(int)).max() <= LIMIT
    best = quadratic_error(rows, found * scales[:, None], gram)
    for column, change in itertools.product(range(20), (-1, 1)):
        tried = found.astype(np.int64)
        tried[:, column] = np.clip(tried[:, column] + change, -LIMIT, LIMIT)
        assert (quadratic_error(rows, tried * scales[:, None], gram) >= best - 1e-9).all()


def test_blocks_of_columns_give_the_answer_of_one_block(monkeypatch) -> None:
    rows, scales, gram = problem(5, 30, 7)
    whole = descend(rows, scales, gram, LIMIT, nearest(rows, scales, LIMIT))
    monkeypatch.setattr("shoestring.compress.descent.BLOCK", 7)
    assert np.array_equal(descend(rows, scales, gram, LIMIT, nearest(rows, scales, LIMIT)), whole)


def test_near_the_optimum_of_all_integers() -> None:
    rows, scales, gram = problem(4, 4, 3)
    every = np.array(list(itertools.product(range(-LIMIT, LIMIT + 1), repeat=4)))
    for row, scale in zip(rows, scales, strict=True):
        lowest = quadratic_error(np.broadcast_to(row, every.shape), every * scale, gram).min()
        start = nearest(row[None], scale[None], LIMIT)
        found = descend(row[None], scale[None], gram, LIMIT, start)
        reached = error(row[None], found, scale[None], gram)
        assert lowest <= reached + 1e-9
        assert reached <= lowest + 0.5 * (error(row[None], start, scale[None], gram) - lowest) + 1e-9


@pytest.mark.parametrize("own", [True, False])
def test_search_beats_each_of_its_parts(own: bool) -> None:
    rows, scales, gram = problem(8, 36, 5, own=own)
    integers, found = search(rows, gram, LIMIT, np.full(8, 1e-8))
    by_parts = [nearest(rows, scales, LIMIT), descend(rows, scales, gram, LIMIT, nearest(rows, scales, LIMIT))]
    if not own:
        by_parts.append(by_gptq(rows, scales, gptq_metric(gram), LIMIT))
    assert error(rows, integers, found, gram) < min(error(rows, part, scales, gram) for part in by_parts)
    assert np.array_equal(found.astype(np.float32), found)
    assert integers.dtype == np.int8


def test_search_keeps_to_the_smallest_scale_allowed() -> None:
    rows, _, gram = problem(4, 12, 1)
    floor = np.full(4, 5.0)
    _, scales = search(rows, gram, LIMIT, floor)
    assert (scales >= 5.0).all()


def test_refitted_scales_are_the_best_for_their_integers() -> None:
    rows, scales, gram = problem(5, 16, 2)
    integers = nearest(rows, scales, LIMIT)
    best = refit_scales(rows, integers, gram, scales)
    lowest = quadratic_error(rows, integers * best[:, None], gram)
    for factor in (0.99, 1.01):
        assert (quadratic_error(rows, integers * best[:, None] * factor, gram) > lowest).all()


@pytest.mark.parametrize("own", [True, False])
def test_learned_rounding_beats_nearest(own: bool) -> None:
    rows, scales, gram = problem(6, 24, 4, own=own)
    learned = learn_rounding(rows, scales, gram, LIMIT, steps=300, seed=0)
    assert error(rows, learned, scales, gram) < 0.8 * error(rows, nearest(rows, scales, LIMIT), scales, gram)
    exact = rows / scales[:, None]
    assert (np.abs(learned - exact) < 1 + 1e-6).all()
    assert np.array_equal(learned, learn_rounding(rows, scales, gram, LIMIT, steps=300, seed=0))


def test_learned_rounding_without_correlation_is_nearest() -> None:
    rows, scales, _ = problem(6, 24, 6)
    learned = learn_rounding(rows, scales, np.eye(24), LIMIT, steps=300)
    assert np.mean(learned == nearest(rows, scales, LIMIT)) > 0.97
