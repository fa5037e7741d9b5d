"""Suppression leaves the best box of each thing, and nothing else."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from shoestring.heads.found import Found, join, overlaps
from shoestring.heads.suppress import MAX_CANDIDATES, suppress


def some(seed: int, count: int, classes: int = 3) -> Found:
    rng = np.random.default_rng(seed)
    corner = rng.uniform(0, 0.6, (count, 2))
    corners = np.concatenate([corner, corner + rng.uniform(0.05, 0.4, (count, 2))], axis=1)
    return Found(corners, rng.integers(0, classes, count), np.round(rng.uniform(0, 1, count), 1))


@settings(max_examples=60, deadline=None, derandomize=True)
@given(seed=st.integers(0, 10_000), count=st.integers(0, 40), overlap=st.floats(0.05, 0.95))
def test_who_stays_and_who_goes(seed: int, count: int, overlap: float) -> None:
    found = some(seed, count)
    kept = suppress(found, overlap)
    fits = overlaps(kept.corners, kept.corners)
    same = kept.classes[:, None] == kept.classes[None, :]
    np.fill_diagonal(same, False)
    assert not (same & (fits > overlap)).any(), "two boxes of one thing stayed"
    assert (np.diff(kept.scores) <= 0).all()
    for place in range(len(found)):  # whoever went has a better one in its place
        fits = overlaps(found.corners[place : place + 1], kept.corners)[0]
        better = (kept.classes == found.classes[place]) & (kept.scores >= found.scores[place])
        there = (kept.corners == found.corners[place]).all(axis=1) & (kept.classes == found.classes[place])
        assert there.any() or (better & (fits > overlap)).any()


def test_another_class_is_another_thing() -> None:
    twice = np.array([[0.1, 0.1, 0.3, 0.3]] * 2)
    assert len(suppress(Found(twice, np.array([0, 1]), np.array([0.9, 0.8])), 0.5)) == 2
    assert len(suppress(Found(twice, np.array([0, 0]), np.array([0.9, 0.8])), 0.5)) == 1


def test_of_equal_scores_the_first_stays() -> None:
    found = Found(np.array([[0.1, 0.1, 0.3, 0.3], [0.11, 0.1, 0.31, 0.3]]), np.array([0, 0]), np.array([0.5, 0.5]))
    assert suppress(found, 0.5).corners[0, 0] == 0.1


def test_a_flood_of_boxes_is_cut_to_the_best() -> None:
    count = 3 * MAX_CANDIDATES
    lefts = np.linspace(0, 1, count)
    corners = np.stack([lefts, np.zeros(count), lefts + 1e-6, np.ones(count)], axis=1)
    kept = suppress(Found(corners, np.zeros(count, np.int64), np.linspace(0.1, 0.9, count)), 0.5)
    assert len(kept) == MAX_CANDIDATES
    assert kept.scores.max() == 0.9


def test_overlaps_are_shares_of_the_union() -> None:
    one = np.array([[0.0, 0.0, 2.0, 2.0]])
    others = np.array([[0.0, 0.0, 2.0, 2.0], [1.0, 0.0, 3.0, 2.0], [5.0, 5.0, 6.0, 6.0], [1.0, 1.0, 1.0, 1.0]])
    np.testing.assert_allclose(overlaps(one, others), [[1.0, 1 / 3, 0.0, 0.0]])
    assert overlaps(others[3:], others[3:]) == 0.0


def test_nothing_joined_is_nothing() -> None:
    assert len(join([])) == 0
    assert len(suppress(join([]), 0.5)) == 0
