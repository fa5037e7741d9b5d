"""Random programs of one operator and small networks: LiteRT answers what our interpreter does."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("ai_edge_litert")

from convert.tflite.written import on_litert, with_scales
from native.programs import KINDS, feeds, make, network
from shoestring.base.errors import EngineError, ModelError
from shoestring.convert.tflite import emitter
from shoestring.native.interpret import run

F = np.float32
SEEDS = range(4)
FLOAT_TOLERANCE = 1e-4
"""Of the largest value: XNNPACK sums and exponentiates in its own order."""

MIXED_TOLERANCE = 0.02
LEFT_OUT = {"table"}
"""Tables of random codes stand for no function; see test_tflite_refusals."""


def differences(found, wanted) -> float:
    """The largest difference: in codes of integers, else relative to the largest value; of what is finite."""
    assert found.keys() == wanted.keys()
    largest = 0.0
    for name, value in wanted.items():
        assert (found[name].shape, found[name].dtype) == (value.shape, value.dtype)
        finite = np.isfinite(value)
        one, other = found[name][finite].astype(np.float64), value[finite].astype(np.float64)
        assert np.isfinite(one).all()
        size = np.abs(other).max(initial=0.0) if value.dtype == np.float32 else 1.0
        largest = max(largest, np.abs(one - other).max(initial=0.0) / (size or 1.0))
    return largest


def arrays(program, rng, *, divided=False):
    """Inputs; without zeros where one divides another, since 0 / 0 under a bound differs between engines."""
    found = {name: np.asarray(value) for name, value in feeds(program, rng).items()}
    return {name: np.where(value == 0, F(1), value) for name, value in found.items()} if divided else found


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind not in LEFT_OUT])
def test_an_operator(kind):
    for seed in SEEDS:
        rng = np.random.default_rng((seed, KINDS.index(kind)))
        found = with_scales(make(kind, rng))
        given = arrays(found.program, rng, divided=kind.startswith("div"))
        try:
            answers = on_litert(found, given)
        except ModelError as error:
            assert kind.startswith("linear") and "has one axis" in error.message
            continue
        integers = any(port.dtype != "float32" for port in found.program.outputs)
        limit = 0.0 if integers and not kind.startswith("resize_bilinear") else FLOAT_TOLERANCE
        if kind == "resize_bilinear_i8":
            limit = 1.0  # coordinates in float32 differ in their last bit, which moves ties
        assert differences(answers, run(found.program, given)) <= limit


@pytest.mark.parametrize("seed", range(12))
def test_a_network(seed):
    rng = np.random.default_rng(seed)
    found = with_scales(network(rng))
    given = arrays(found.program, rng)
    try:
        answers = on_litert(found, given)
    except ModelError as error:
        pytest.skip(f"the network holds a table of random codes: {error.message}")
    integers = any(port.dtype != "float32" for port in found.program.outputs)
    # Between floats and codes a difference in the last bit can move a code.
    assert differences(answers, run(found.program, given)) <= (0.0 if integers else MIXED_TOLERANCE)


@pytest.mark.parametrize("kind", ["conv_dense_i8", "add_i8", "quantize", "pad_i8"])
def test_a_wrong_shift_of_codes_is_seen(kind, monkeypatch):
    monkeypatch.setattr(emitter, "SHIFT", 129)
    worst = 0.0
    for seed in SEEDS:
        rng = np.random.default_rng((seed, KINDS.index(kind)))
        found = with_scales(make(kind, rng))
        given = arrays(found.program, rng)
        try:
            worst = max(worst, differences(on_litert(found, given), run(found.program, given)))
        except EngineError as error:
            assert "zero point" in error.message
    assert worst > 0.0
