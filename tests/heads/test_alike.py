"""The verdict on an image: no confident object lost, none invented. And that sabotage is seen."""

from __future__ import annotations

from dataclasses import replace
from itertools import permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shoestring.heads import DEFAULT_RULE, Found, compare
from shoestring.heads.alike import matched
from shoestring.heads.found import none_found

PEOPLE = Found(
    np.array([[0.1, 0.1, 0.2, 0.4], [0.5, 0.1, 0.6, 0.4], [0.7, 0.5, 0.9, 0.9]]),
    np.array([0, 0, 2]),
    np.array([0.9, 0.6, 0.3]),
)


def shifted(found: Found, by: float) -> Found:
    return replace(found, corners=found.corners + np.array([by, 0.0, by, 0.0]))


def test_the_same_boxes_are_alike() -> None:
    seen = compare(PEOPLE, PEOPLE)
    assert (seen.confident, seen.lost, seen.invented, seen.alike) == (2, 0, 0, True)
    assert seen.overlap == pytest.approx(2.0)


def test_an_order_says_nothing() -> None:
    for order in permutations(range(3)):
        assert compare(PEOPLE, PEOPLE.take(np.array(order))).alike


SABOTAGE = {
    "a confident box gone": lambda found: found.take(np.array([1, 2])),
    "all boxes gone": lambda _: none_found(),
    "another class": lambda found: replace(found, classes=np.array([0, 1, 2])),
    "moved by a width": lambda found: shifted(found, 0.1),
    "half as high": lambda found: replace(found, corners=found.corners * [1, 1, 1, 0.5] + [0, 0, 0, 0.05]),
    "faded below sight": lambda found: replace(found, scores=np.array([0.9, 0.24, 0.3])),
    "two taken for one": lambda found: found.take(np.array([0, 2])),
    "a confident box from nowhere": lambda found: Found(
        np.concatenate([found.corners, [[0.3, 0.7, 0.4, 0.9]]]),
        np.append(found.classes, 0),
        np.append(found.scores, 0.8),
    ),
    "the same box twice": lambda found: found.take(np.array([0, 0, 1, 2])),
}


@pytest.mark.parametrize("sabotage", SABOTAGE.values(), ids=SABOTAGE)
def test_sabotage_is_seen(sabotage) -> None:  # type: ignore[no-untyped-def]
    assert not compare(PEOPLE, sabotage(PEOPLE)).alike


HARMLESS = {
    "a score that falls from 0.6 to 0.3": lambda found: replace(found, scores=np.array([0.9, 0.3, 0.3])),
    "a faint box gone": lambda found: found.take(np.array([0, 1])),
    "a faint box that becomes sure": lambda found: replace(found, scores=np.array([0.9, 0.6, 0.55])),
    "moved a little": lambda found: shifted(found, 0.02),
    "a faint box from nowhere": lambda found: Found(
        np.concatenate([found.corners, [[0.3, 0.7, 0.4, 0.9]]]),
        np.append(found.classes, 0),
        np.append(found.scores, 0.45),
    ),
}


@pytest.mark.parametrize("change", HARMLESS.values(), ids=HARMLESS)
def test_what_crosses_no_line_is_no_change(change) -> None:  # type: ignore[no-untyped-def]
    assert compare(PEOPLE, change(PEOPLE)).alike


def test_lost_and_invented_are_counted_apart() -> None:
    seen = compare(PEOPLE, shifted(PEOPLE, 0.25))
    assert (seen.lost, seen.invented, seen.overlap) == (2, 2, 0.0)


def test_two_empty_pictures_are_alike() -> None:
    assert compare(none_found(), none_found()).alike


def crowd(seed: int, count: int) -> Found:
    rng = np.random.default_rng(seed)
    corner = rng.uniform(0, 0.2, (count, 2))
    corners = np.concatenate([corner, corner + rng.uniform(0.2, 0.3, (count, 2))], axis=1)
    return Found(corners, rng.integers(0, 2, count), rng.uniform(0.2, 1.0, count))


def best_of_all_ways(fits: np.ndarray) -> int:
    """The most rows that can have a column of their own, by trying every way."""
    rows, columns = fits.shape
    most = 0
    for order in permutations(range(columns), min(rows, columns)):
        for chosen in permutations(range(rows), min(rows, columns)):
            most = max(most, sum(fits[row, column] > 0 for row, column in zip(chosen, order, strict=True)))
    return most


@settings(max_examples=40, deadline=None, derandomize=True)
@given(seed=st.integers(0, 10_000), rows=st.integers(1, 4), columns=st.integers(1, 4))
def test_a_matching_is_the_largest_and_one_to_one(seed: int, rows: int, columns: int) -> None:
    rng = np.random.default_rng(seed)
    fits = rng.uniform(0, 1, (rows, columns)) * (rng.uniform(0, 1, (rows, columns)) < 0.5)
    found = matched(fits)
    assert len(set(found.values())) == len(found) == best_of_all_ways(fits)
    assert all(fits[row, column] > 0 for row, column in found.items())


def test_a_greedy_matching_would_lose_one() -> None:
    """Row 0 fits column 0 best, but row 1 fits nothing else: greed leaves row 1 alone."""
    assert matched(np.array([[0.9, 0.6], [0.8, 0.0]])) == {0: 1, 1: 0}


def test_a_long_chain_of_changes_is_followed() -> None:
    count = 1_000
    fits = np.zeros((count, count))
    for row in range(count - 1):  # each row would rather have the column of the next one
        fits[row, row], fits[row, row + 1] = 0.9, 0.5
    fits[count - 1, 0] = 0.5
    assert len(matched(fits)) == count


@settings(max_examples=60, deadline=None, derandomize=True)
@given(seed=st.integers(0, 10_000), ours=st.integers(0, 8), theirs=st.integers(0, 8))
def test_turned_round_lost_is_invented(seed: int, ours: int, theirs: int) -> None:
    one, other = crowd(seed, ours), crowd(seed + 1, theirs)
    there, back = compare(one, other), compare(other, one)
    assert (there.lost, there.invented) == (back.invented, back.lost)
    assert there.alike == back.alike
    assert there.confident == int((one.scores >= DEFAULT_RULE.sure).sum())
    kept = there.confident - there.lost
    assert DEFAULT_RULE.overlap * kept <= there.overlap <= kept
