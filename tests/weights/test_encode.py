"""Rounding: bits that others read, errors at most those of ggml, and the second order far below."""

from itertools import pairwise

import gguf
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from ggml_quantizer import ggml_quantize
from proof_scale import SCALE
from shoestring.base.errors import ModelError, UsageError
from shoestring.weights.decode import dequantize
from shoestring.weights.encode import METHODS, quantize, second_order
from shoestring.weights.layouts import LAYOUTS

ROWS, COLUMNS = 48, 512
SMALLEST = 6e-8  # number of 16 bits above zero
FLOATS = ("F32", "F16", "BF16")


@pytest.fixture(scope="module")
def layer():
    """Weights with a few large columns, and inputs that depend on each other, as in trained models."""
    random = np.random.default_rng(3)
    weight = random.standard_t(5, (ROWS, COLUMNS)) * np.exp(0.3 * random.standard_normal(COLUMNS))
    mixing = random.standard_normal((COLUMNS, COLUMNS)) * np.exp(0.7 * random.standard_normal(COLUMNS))
    inputs = random.standard_normal((4096, 96)) @ mixing[:96] + 0.5 * random.standard_normal((4096, COLUMNS))
    return weight.astype(np.float32), (inputs.T @ inputs / 4096).astype(np.float32)


def read(raw, name, shape):
    """By the package `gguf`, and the same by us."""
    values = gguf.dequantize(raw, gguf.GGMLQuantizationType[name]).reshape(shape)
    assert np.array_equal(values, dequantize(raw, name, shape))
    return values


def loss(weight, raw, name, gram):
    error = (weight - read(raw, name, weight.shape)).astype(np.float64)
    return float(np.einsum("rc,rc->", error @ gram, error))


@pytest.mark.parametrize("name", sorted(LAYOUTS))
def test_each_method_is_better_than_the_one_before(layer, name):
    weight, gram = layer
    found = {method: loss(weight, quantize(weight, name, gram=gram, method=method), name, gram) for method in METHODS}
    assert found["importance"] < found["plain"]
    assert found["second_order"] < 0.6 * found["importance"]
    assert loss(weight, quantize(weight, name, gram=gram), name, gram) == found["second_order"], "it is the default"


@pytest.mark.parametrize("name", sorted(LAYOUTS))
def test_rounds_of_descent_never_raise_the_loss(layer, name):
    weight, gram = layer
    damped = second_order.damp(gram)
    found = [loss(weight, quantize(weight, name, gram=gram, sweeps=sweeps), name, damped) for sweeps in range(5)]
    assert all(after <= before * (1 + 1e-5) for before, after in pairwise(found)), found
    assert found[1] < 0.99 * found[0]


def test_columns_that_hear_nothing_of_each_other_do_worse(layer, monkeypatch):
    weight, gram = layer
    whole = loss(weight, quantize(weight, "Q4_0", gram=gram, sweeps=0), "Q4_0", gram)
    monkeypatch.setattr(second_order, "_unit_upper", lambda gram, _order: np.eye(len(gram), dtype=np.float32))
    deaf = loss(weight, quantize(weight, "Q4_0", gram=gram, sweeps=0), "Q4_0", gram)
    nearest = loss(weight, quantize(weight, "Q4_0", gram=gram, method="importance"), "Q4_0", gram)
    assert whole < 0.6 * deaf
    assert deaf == pytest.approx(nearest, rel=1e-6), "without what the others lose it is rounding to nearest"


@pytest.mark.parametrize("name", sorted(LAYOUTS))
def test_no_worse_than_ggml(layer, name):
    weight, gram = layer
    importance = np.diag(gram).copy()
    for costs in (None, importance):
        if costs is not None and name == "Q8_0":
            continue  # ggml leaves importances aside there
        metric = np.diag(np.ones(COLUMNS, np.float32) if costs is None else costs)
        ours = loss(weight, quantize(weight, name, importance=costs), name, metric)
        theirs = loss(weight, ggml_quantize(weight, name, costs), name, metric)
        assert ours <= theirs * 1.001, (name, costs is None, ours / theirs)


@pytest.mark.parametrize("name", ["Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0"])
def test_what_was_rounded_once_is_met_again(layer, name):
    weight, _ = layer
    once = dequantize(quantize(weight, name, method="plain"), name, weight.shape)
    again = dequantize(quantize(once, name), name, weight.shape)
    assert np.abs(again - once).max() <= 2e-3 * np.abs(once).max()
    assert np.square(again - once).sum() < 1e-5 * np.square(weight).sum()


@pytest.mark.parametrize("name", ["Q4_0", "Q4_K"])
def test_the_factor_of_a_gram_matrix_does_not_matter(layer, name):
    weight, gram = layer
    expected = quantize(weight, name, gram=gram)
    for factor in (2.0**-60, 2.0**60):
        assert np.array_equal(quantize(weight, name, gram=gram * np.float32(factor)), expected)


def test_inputs_that_never_vary_are_few_columns(layer):
    """A Gram matrix of one text of few tokens has no inverse."""
    weight, _ = layer
    inputs = np.random.default_rng(4).standard_normal((3, COLUMNS)).astype(np.float32)
    gram = inputs.T @ inputs
    nearest = quantize(weight, "Q4_0", gram=gram, method="importance")
    assert loss(weight, quantize(weight, "Q4_0", gram=gram), "Q4_0", gram) < 0.1 * loss(weight, nearest, "Q4_0", gram)


@pytest.mark.parametrize("name", [*FLOATS, *sorted(LAYOUTS)])
def test_odd_weights(name):
    gram = np.zeros((256, 256), np.float32)
    for weight in (
        np.zeros((2, 256), np.float32),
        np.full((1, 256), 3.0, np.float32),
        np.full((1, 256), -3.0, np.float32),
        np.eye(3, 256, dtype=np.float32) * 1e-30,
        np.linspace(-60_000, 60_000, 256, dtype=np.float32)[None],
    ):
        for options in ({}, {"method": "plain"}, {"gram": gram}, {"importance": gram[0]}):
            values = read(quantize(weight, name, **options), name, weight.shape)
            assert np.isfinite(values).all()
            assert np.abs(values - weight).max() <= 0.35 * np.abs(weight).max() + SMALLEST, options


@settings(max_examples=40 * SCALE, deadline=None)
@given(
    weight=arrays(np.float32, (3, 256), elements=st.floats(-65_504, 65_504, width=32)),
    name=st.sampled_from(sorted(LAYOUTS)),
    second=st.booleans(),
)
def test_any_finite_weights_give_finite_values(weight, name, second):
    gram = np.ones((256, 256), np.float32) if second else None
    raw = quantize(weight, name, gram=gram)
    assert np.isfinite(read(raw, name, weight.shape)).all()


@pytest.mark.parametrize("name", FLOATS)
def test_floats_are_rounded_as_gguf_rounds_them(layer, name):
    weight, _ = layer
    expected = gguf.quantize(weight, gguf.GGMLQuantizationType[name])
    assert np.array_equal(quantize(weight, name), expected.view(np.uint8).reshape(ROWS, -1))


def test_what_is_refused(layer):
    weight, gram = layer
    with pytest.raises(ModelError, match=r"\(48, 512\) are no matrix of finite numbers"):
        quantize(np.where(weight == weight[0, 0], np.nan, weight), "Q4_0")
    with pytest.raises(ModelError, match="no matrix"):
        quantize(weight[0], "Q4_0")
    with pytest.raises(ModelError, match="rows of 96 elements cannot be stored as Q4_K, which takes multiples of 256"):
        quantize(weight[:, :96], "Q4_K")
    with pytest.raises(ModelError, match="IQ2_S is read, and not written"):
        quantize(weight, "IQ2_S")
    with pytest.raises(ModelError, match="a weight of 70,000 has no block type: the limit is 65,504"):
        quantize(np.full((1, 32), 7e4, np.float32), "Q4_0")
    with pytest.raises(ModelError, match="F16 does not hold 100,000"):
        quantize(np.full((1, 32), 1e5, np.float32), "F16")
    with pytest.raises(UsageError, match=r"a Gram matrix of shape \(512,\) is no finite one of 512 columns"):
        quantize(weight, "Q4_0", gram=gram[0])
    with pytest.raises(UsageError, match="the Gram matrix has negative squares"):
        quantize(weight, "Q4_0", gram=-gram + 2 * np.diag(np.diag(gram)))
    with pytest.raises(UsageError, match=r"importances of shape \(3,\)"):
        quantize(weight, "Q4_0", importance=gram[0, :3])
    with pytest.raises(UsageError, match="'second_order' is not known, or needs a Gram matrix"):
        quantize(weight, "Q4_0", method="second_order")
