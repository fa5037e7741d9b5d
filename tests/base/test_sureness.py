"""How sure an output is: whole numbers that rise with the certainty of the answer."""

from __future__ import annotations

import math

import numpy as np
import pytest

from shoestring.base.errors import EngineError
from shoestring.base.sureness import MAX_LEVEL, MEASURES, STEPS, best_class, sureness


def test_levels_of_known_probabilities() -> None:
    p = np.array([0.7, 0.2, 0.1])
    entropy = -(0.7 * math.log(0.7) + 0.2 * math.log(0.2) + 0.1 * math.log(0.1))
    expected = {
        "top-probability": 7000,
        "margin": 5000,
        "entropy": round(STEPS * (1 - entropy / math.log(3))),
        "logit-margin": round(STEPS * math.log(3.5)),
    }
    assert sureness(p, probabilities=True) == expected
    assert sureness(np.log(p) + 3, probabilities=False) == expected
    assert tuple(expected) == MEASURES


@pytest.mark.parametrize("classes", [2, 10, 1000])
def test_the_ends_of_every_range(classes: int) -> None:
    tie, sure = np.zeros(classes, np.float32), np.zeros(classes, np.float32)
    sure[1] = 1e6
    none = sureness(tie, probabilities=False)
    assert none == {"top-probability": round(STEPS / classes), "margin": 0, "entropy": 0, "logit-margin": 0}
    all_of_it = {"top-probability": STEPS, "margin": STEPS, "entropy": STEPS, "logit-margin": MAX_LEVEL}
    assert sureness(sure, probabilities=False) == all_of_it
    one_hot = np.eye(classes)[1]
    assert sureness(one_hot, probabilities=True) == all_of_it


def test_levels_are_python_integers_whatever_the_type() -> None:
    for kind in (np.float16, np.float32, np.float64):
        assert all(type(level) is int for level in sureness(np.array([1, 2, 4], kind), probabilities=False).values())


def test_a_digit_of_float32_moves_no_level() -> None:
    rng = np.random.default_rng(0)
    moved = 0
    for _ in range(500):
        logits = rng.normal(0, 3, 10)
        one = sureness(logits.astype(np.float32), probabilities=False)
        other = sureness(np.nextafter(logits.astype(np.float32), np.float32(np.inf)), probabilities=False)
        moved += any(abs(one[name] - other[name]) > 1 for name in MEASURES)
    assert moved == 0


def test_of_equal_outputs_the_lowest_class_is_best() -> None:
    assert best_class(np.array([1.0, 3.0, 3.0])) == 1


@pytest.mark.parametrize("bad", [np.array([1.0, np.nan]), np.array([np.inf, 1.0]), np.zeros((1, 3)), np.zeros(1)])
def test_what_is_no_output_is_refused(bad: np.ndarray) -> None:
    with pytest.raises(EngineError):
        sureness(bad, probabilities=False)
