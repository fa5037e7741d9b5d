"""Predicted divergences are those that come; a sample of rows tells what all would; the Gram matrix is the sum it claims to be."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from shoestring.compress.language.fisher import (
    RowSample,
    fisher_gram,
    loss_of,
    position_products,
    row_gradients,
    sample_rows,
)
from tiny_gguf import NARROW
from tiny_language import divergence, drawn_gradients, made, reader, text


def test_the_gram_matrix_is_the_sum_of_squared_gradients() -> None:
    random = np.random.default_rng(0)
    x = random.standard_normal((5, 7, 11)).astype(np.float32)
    g = random.standard_normal((5, 7, 4)).astype(np.float32)
    whole = np.einsum("ntr,ntc->nrc", g, x)
    wanted = np.einsum("nrc,nrd->cd", whole, whole) / (5 * 7)
    assert fisher_gram(position_products(g), x) == pytest.approx(wanted, rel=1e-4, abs=1e-4)
    assert row_gradients(g, x, np.array([3, 1])) == pytest.approx(whole[:, [3, 1]], rel=1e-4, abs=1e-5)


def test_a_sample_of_rows_tells_what_all_would() -> None:
    random = np.random.default_rng(1)
    spread = np.exp(2 * random.standard_normal(200))
    gradients = (random.standard_normal((8, 200, 16)) * spread[:, None]).astype(np.float32)
    errors = random.standard_normal((200, 16)).astype(np.float32)
    whole = loss_of(gradients, errors, np.ones(200), 64)
    found = []
    for seed in range(200):
        sample = sample_rows(np.square(spread), 40, np.random.default_rng(seed))
        found.append(loss_of(gradients[:, sample.rows], errors[sample.rows], sample.weights, 64))
    assert np.mean(found) == pytest.approx(whole, rel=0.05)
    assert np.std(found) < 0.35 * whole


def test_all_rows_are_taken_where_they_are_few() -> None:
    sample = sample_rows(np.zeros(5), 5, np.random.default_rng(0))
    assert isinstance(sample, RowSample)
    assert sample.rows.tolist() == [0, 1, 2, 3, 4]
    assert sample.weights.tolist() == [1] * 5


@pytest.mark.parametrize("role", ["attn_q", "attn_v", "attn_output", "ffn_gate", "ffn_down"])
def test_predicts_the_divergence_of_a_small_error(tmp_path: Path, role: str) -> None:
    _, _, family = made(tmp_path, NARROW)
    read, name = reader(NARROW), f"blk.0.{role}.weight"
    tokens = text(family, 96, 16, seed=2)
    random = np.random.default_rng(3)
    pair = drawn_gradients(read, family, tokens, seed=4)[1][name]
    rows = np.arange(len(read(name)))
    along = row_gradients(pair.g, pair.x, rows)
    predicted, came = [], []
    for _ in range(3):
        error = (0.05 * read(name).std() * random.standard_normal(read(name).shape)).astype(np.float32)
        predicted.append(loss_of(along, error, np.ones(len(rows)), tokens.size))
        other = lambda asked, by=error: read(asked) + by if asked == name else read(asked)  # noqa: E731
        came.append(divergence(read, other, family, tokens))
    assert np.mean(predicted) == pytest.approx(np.mean(came), rel=0.25)
