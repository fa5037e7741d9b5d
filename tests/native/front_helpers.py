"""Reads a sketch with the front and compares its program, interpreted, with ONNX Runtime."""

from __future__ import annotations

from collections import Counter

import numpy as np

from native.qdq_models import Sketch, on_ort
from shoestring.native.form import Program
from shoestring.native.front import read_program
from shoestring.native.interpret import run


def kinds(program: Program) -> dict[str, int]:
    """How many operators of each type and output kind a program has, like `Conv i8`."""
    return dict(Counter(f"{type(op).__name__} {program.values[op.output].kind}" for op in program.ops))


def feeds_of(program: Program, seed: int = 1, size: float = 1.0) -> dict[str, np.ndarray]:
    """Bell-shaped reals, or any codes, for every input."""
    rng = np.random.default_rng(seed)
    found = {}
    for port in program.inputs:
        shape = program.values[port.value].shape
        if port.dtype == "float32":
            found[port.name] = rng.normal(0, size, shape).astype(np.float32)
        else:
            limits = np.iinfo(port.dtype)
            found[port.name] = rng.integers(limits.min, limits.max + 1, shape).astype(port.dtype)
    return found


def agree(model: bytes, *, step: float = 0.0, size: float = 1.0, rare: float = 0.02) -> Program:
    """The program of a model, whose answers are those of ONNX Runtime.

    Args:
        model: an ONNX file.
        step: scale of the outputs: they may differ by one step in a share `rare` of places; 0 for float models.
        size: of the inputs.
    """
    program = read_program(model, "sketch")
    feeds = feeds_of(program, size=size)
    ours, theirs = run(program, feeds), on_ort(model, feeds)
    assert ours.keys() == theirs.keys()
    for name, wanted in theirs.items():
        found = ours[name]
        assert found.shape == wanted.shape
        assert found.dtype == wanted.dtype
        assert np.ptp(wanted.astype(np.float64)) > 0, "an answer of one value tells nothing"
        if wanted.dtype != np.float32 or step:
            off = np.abs(found.astype(np.float64) - wanted) / (step or 1)
            assert off.max() < 1.01, name
            assert (off > 0.5).mean() <= rare, name
        else:
            np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-4)
    return program


def refusal(sketch: Sketch, *outputs: str) -> str:
    """What the front says against a model."""
    import pytest

    from shoestring.base.errors import ModelError

    with pytest.raises(ModelError) as caught:
        read_program(sketch.bytes(*outputs), "sketch")
    return str(caught.value)
