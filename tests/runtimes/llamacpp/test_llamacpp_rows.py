"""Log-probabilities, their packed form and KL, against float64 and against what theory says."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from proof_scale import SCALE
from shoestring.runtimes.llamacpp.rows import NotNumbersError, Sums, divergence, log_softmax, pack, unpack

LOGITS = arrays(
    np.float32, st.tuples(st.integers(1, 4), st.integers(2, 40)), elements=st.floats(-30, 30, width=32, allow_nan=False)
)


def exact(logits: np.ndarray) -> np.ndarray:
    """Log-probabilities in float64."""
    wide = logits.astype(np.float64)
    shifted = wide - wide.max(axis=1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))


@given(LOGITS)
@settings(max_examples=100 * SCALE, deadline=None)
def test_log_probabilities_are_those_of_float64(logits: np.ndarray) -> None:
    assert np.allclose(log_softmax(logits), exact(logits), atol=2e-5)


@given(LOGITS, st.integers(0, 2**32 - 1))
@settings(max_examples=100 * SCALE, deadline=None)
def test_divergence_is_that_of_float64_and_zero_to_itself(logits: np.ndarray, seed: int) -> None:
    other = logits + np.random.default_rng(seed).standard_normal(logits.shape).astype(np.float32)
    p, q = exact(logits), exact(other)
    wanted = (np.exp(p) * (p - q)).sum(axis=1)
    assert np.allclose(divergence(log_softmax(logits), log_softmax(other)), wanted, atol=2e-5)
    assert np.allclose(divergence(log_softmax(logits), log_softmax(logits)), 0)


@given(LOGITS)
@settings(max_examples=100 * SCALE, deadline=None)
def test_packing_loses_half_a_step_at_most_and_keeps_the_likeliest_exact(logits: np.ndarray) -> None:
    rows = log_softmax(logits)
    steps, frame = pack(rows)
    assert (steps.min(axis=1) == 0).all()
    assert (frame[:, 0] == rows.max(axis=1)).all()
    loose = frame[:, :1] - frame[:, 1:] * steps
    assert (np.abs(loose - rows) <= 0.51 * frame[:, 1:] + 1e-5).all()
    assert np.allclose(np.exp(unpack(steps, frame)).sum(axis=1), 1, atol=1e-5)


def test_packing_costs_kl_less_than_a_millionth_on_a_vocabulary_of_real_size() -> None:
    rows = log_softmax(np.random.default_rng(0).normal(0, 3, (8, 49_152)).astype(np.float32))
    assert divergence(unpack(*pack(rows)), rows).max() < 1e-6


def test_a_token_that_is_ruled_out_spoils_nothing() -> None:
    logits = np.random.default_rng(1).normal(0, 3, (2, 1000)).astype(np.float32)
    logits[:, 7] = -np.inf
    rows = log_softmax(logits)
    kept = unpack(*pack(rows))
    assert divergence(kept, rows).max() < 1e-5
    assert np.isfinite(kept).all()


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_what_is_no_number_is_refused(value: float) -> None:
    logits = np.zeros((3, 5), np.float32)
    logits[1, 2] = value
    with pytest.raises(NotNumbersError):
        log_softmax(logits)
    with pytest.raises(NotNumbersError):
        log_softmax(np.full((1, 5), -np.inf, np.float32))


def test_sums_are_the_same_however_rows_are_cut() -> None:
    rng = np.random.default_rng(2)
    rows, other = (log_softmax(rng.normal(0, 2, (10, 50)).astype(np.float32)) for _ in range(2))
    following, top = rng.integers(0, 50, 10), rows.argmax(axis=1)
    one, cut = Sums(), Sums()
    for sums, starts in ((one, [0]), (cut, [0, 3, 7])):
        for start, end in zip(starts, [*starts[1:], 10], strict=True):
            sums.add_loss(other[start:end], following[start:end])
            sums.add_divergence(other[start:end], rows[start:end], top[start:end])
    assert one.tokens == cut.tokens == 10
    assert one.same == cut.same
    assert np.allclose([one.kl, one.loss], [cut.kl, cut.loss])
    assert one.loss == pytest.approx(-other[np.arange(10), following].sum(), rel=1e-5)
