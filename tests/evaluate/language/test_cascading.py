"""A cascade's threshold: chosen on some prompts, held on others, and no more often wrong than its confidence says."""

from __future__ import annotations

import numpy as np
import pytest

from proof_scale import SCALE
from shoestring.base.errors import UsageError
from shoestring.evaluate.language.cascading import (
    LEAST_KEPT,
    Answered,
    Certified,
    certify_threshold,
    choose_threshold,
    needed,
    to_cascade,
)

TRIALS = 400 * SCALE


def drawn(rng: np.random.Generator, n: int) -> list[Answered]:
    """A small model whose sureness tells nothing: at every threshold, 89 % of the kept answers agree in truth."""
    return [
        Answered(float(level), bool(hit))
        for level, hit in zip(-rng.gamma(2, 0.3, n), rng.random(n) < 0.89, strict=True)
    ]


def test_the_lowest_threshold_that_passes_is_chosen() -> None:
    sure = [Answered(-0.1 - i / 1000, True) for i in range(100)]
    unsure = [Answered(-2.0 - i / 1000, False) for i in range(100)]
    assert choose_threshold(sure + unsure, 0.9) == -2.004  # a few that differ are still within 10 %
    assert choose_threshold(unsure, 0.9) is None
    assert choose_threshold(sure[:20], 0.9) is None  # too few to say
    assert choose_threshold([], 0.9) is None


def test_ties_are_kept_or_passed_on_together() -> None:
    ties = [Answered(-0.5, i % 2 == 0) for i in range(100)]
    sure = [Answered(-0.1, True)] * 100
    assert choose_threshold(sure + ties, 0.9) == -0.1


def test_a_threshold_that_keeps_hardly_anything_is_none() -> None:
    sure = [Answered(-0.1, True)] * 60
    unsure = [Answered(-2.0, False)] * 1000
    assert LEAST_KEPT * 1060 > 60
    assert choose_threshold(sure + unsure, 0.9) is None


def test_what_is_certified_is_counted_on_the_other_split_alone() -> None:
    found = certify_threshold([Answered(-0.1, True)] * 50 + [Answered(-3.0, False)] * 50, -1.0, 0.9)
    assert (found.n, found.kept, found.differing) == (100, 50, 0)
    assert found.p_value == pytest.approx(0.9**50, abs=1e-6)
    assert found.holds
    cascade = to_cascade(found, "small", "large")
    assert cascade is not None
    assert (cascade.small, cascade.large, cascade.measure, cascade.threshold) == (
        "small",
        "large",
        "mean-logprob",
        -1.0,
    )
    assert cascade.kept == 0.5
    assert "50 of 100" in cascade.certificate
    nothing = certify_threshold([Answered(-3.0, True)] * 100, -1.0, 0.9)
    assert (nothing.kept, nothing.p_value, to_cascade(nothing, "a", "b")) == (0, 1.0, None)


def test_how_many_are_needed_is_said() -> None:
    count = needed(0.9)
    assert certify_threshold([Answered(-0.1, True)] * count, -1.0, 0.9).holds
    assert not certify_threshold([Answered(-0.1, True)] * (count - 1), -1.0, 0.9).holds


def wrong_rate(confidence: float, *, peek: bool = False) -> float:
    """How often "at least 90 % of kept answers agree" is certified, which is false."""
    rng = np.random.default_rng([7, int(peek)])
    wrong = 0
    for _ in range(TRIALS):
        selection, certification = drawn(rng, 150), drawn(rng, 150)
        threshold = choose_threshold(certification if peek else selection, 0.9, confidence)
        if threshold is not None:
            wrong += certify_threshold(certification, threshold, 0.9, confidence).holds
    return wrong / TRIALS


def test_certificates_are_false_no_more_often_than_they_say_and_peeking_is_caught() -> None:
    error = 0.1
    allowed = error + 3 * np.sqrt(error * (1 - error) / TRIALS)
    assert 0 < wrong_rate(1 - error) <= allowed
    assert wrong_rate(1 - error, peek=True) > allowed  # the saboteur: the threshold is chosen on what certifies it


@pytest.mark.parametrize(
    "call",
    [
        lambda: choose_threshold([], 1.0),
        lambda: choose_threshold([], 0.9, 0.4),
        lambda: choose_threshold([Answered(0.5, True)], 0.9),
        lambda: certify_threshold([Answered(float("nan"), True)], -1.0, 0.9),
        lambda: needed(0.0),
    ],
)
def test_figures_that_make_no_sense_are_refused(call) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(UsageError):
        call()


def test_a_certificate_stands_by_its_p_value() -> None:
    assert Certified(-1.0, 10, 5, 0, 0.9, 0.95, 0.05).holds
    assert not Certified(-1.0, 10, 5, 0, 0.9, 0.95, 0.0501).holds
