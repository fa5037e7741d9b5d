"""Classes in order, paired counts and distances."""

from __future__ import annotations

import math

import numpy as np
import pytest

from shoestring.base.errors import DataError, EngineError
from shoestring.base.outputs import MAX_SQNR_DB, mean_kl, softmax, sqnr_db
from shoestring.domain.score import Paired
from shoestring.evaluate.metrics import paired, top_classes


def test_top_classes_best_first_and_ties_by_lower_index() -> None:
    logits = np.array([[0.0, 3.0, 3.0, -1.0], [1.0, 1.0, 1.0, 1.0]], np.float32)
    assert top_classes(logits, 3) == ((1, 2, 0), (0, 1, 2))
    assert top_classes(logits, 9) == ((1, 2, 0, 3), (0, 1, 2, 3))
    assert all(type(index) is int for row in top_classes(logits) for index in row)


def test_top_classes_of_bytes_are_not_turned_round() -> None:
    assert top_classes(np.array([[0, 200, 100]], np.uint8), 3) == ((1, 2, 0),)


def test_top_classes_takes_infinity_but_not_nan() -> None:
    assert top_classes(np.array([[-np.inf, np.inf, 0.0]]), 3) == ((1, 2, 0),)
    with pytest.raises(EngineError, match="NaN\\) for 1 of 2 images"):
        top_classes(np.array([[0.0, 1.0], [np.nan, 1.0]]))
    with pytest.raises(EngineError, match="shape"):
        top_classes(np.zeros((2, 3, 4)))
    with pytest.raises(DataError):
        top_classes(np.zeros((2, 3)), 0)


def test_paired_with_labels() -> None:
    original = ((0, 1), (1, 0), (2, 0), (0, 2))
    variant = ((0, 1), (0, 1), (1, 2), (2, 0))
    labels = (0, 1, 1, 2)
    assert paired(original, variant, labels) == Paired(n=4, original_hits=2, variant_hits=3, wins=2, losses=1)
    assert paired(original, variant, labels, k=2) == Paired(n=4, original_hits=3, variant_hits=4, wins=1, losses=0)


def test_paired_without_labels_is_agreement() -> None:
    original, variant = ((0, 1), (1, 0), (2, 0)), ((0, 2), (0, 1), (2, 1))
    counts = paired(original, variant, None)
    assert counts == Paired(n=3, original_hits=3, variant_hits=2, wins=0, losses=1)
    assert counts.drop == pytest.approx(1 / 3)


def test_paired_counts_add_up() -> None:
    rng = np.random.default_rng(0)
    for _ in range(20):
        tops = [tuple(map(tuple, rng.permuted(np.tile(np.arange(6), (50, 1)), axis=1).tolist())) for _ in range(2)]
        counts = paired(tops[0], tops[1], rng.integers(0, 6, 50).tolist(), k=2)
        assert counts.variant_hits - counts.original_hits == counts.wins - counts.losses


@pytest.mark.parametrize(
    ("original", "variant", "labels", "k"),
    [
        (((0,),), (), None, 1),
        ((), (), None, 1),
        (((0,),), ((0,),), (0, 1), 1),
        (((0,),), ((0,),), None, 5),
        (((0,),), ((0,),), (0,), 0),
    ],
)
def test_paired_refuses_what_makes_no_sense(
    original: tuple[tuple[int, ...], ...], variant: tuple[tuple[int, ...], ...], labels: tuple[int, ...] | None, k: int
) -> None:
    with pytest.raises(DataError):
        paired(original, variant, labels, k)


def test_softmax_does_not_overflow() -> None:
    result = softmax(np.array([[1e4, 0.0], [0.0, math.log(3)]]))
    assert result == pytest.approx(np.array([[1, 0], [0.25, 0.75]]))


def test_mean_kl() -> None:
    half, quarter = np.log([[0.5, 0.5]]), np.log([[0.25, 0.75]])
    assert mean_kl(half, half) == 0
    assert mean_kl(half, quarter) == pytest.approx(0.5 * math.log(2) + 0.5 * math.log(2 / 3))
    assert mean_kl(half + 7, quarter - 3) == pytest.approx(mean_kl(half, quarter))
    with pytest.raises(EngineError, match="cannot be compared"):
        mean_kl(half, np.array([[np.inf, 0.0]]))


def test_sqnr() -> None:
    reference = np.array([[3.0, 4.0]])
    assert sqnr_db(reference, reference) == MAX_SQNR_DB
    assert sqnr_db(reference, reference + np.array([[0.3, 0.4]])) == pytest.approx(20)
    assert sqnr_db(np.zeros((1, 2)), reference) == -MAX_SQNR_DB
    for other in (np.zeros((1, 3)), np.array([[np.nan, 0.0]])):
        with pytest.raises(EngineError, match="cannot be compared"):
            sqnr_db(reference, other)
