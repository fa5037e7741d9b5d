"""Every operator against the scalar reference, at random places of random programs."""

from __future__ import annotations

import numpy as np
import pytest

from native.interpret.scalar_reference import element
from native.programs import KINDS, feeds, make, network
from shoestring.native.form import Program
from shoestring.native.interpret import run, trace

PLACES = 6


def compare(program: Program, given, fused: bool, rng) -> None:
    """Some elements of every operator's output: equal bits, or both NaN."""
    values = trace(program, given, fused=fused)
    for op in program.ops:
        output, found = program.values[op.output], values[op.output]
        assert found.shape == output.shape
        assert found.dtype == (np.float32 if output.kind == "f32" else np.uint8)
        corners = [tuple(0 for _ in output.shape), tuple(n - 1 for n in output.shape)]
        inner = [tuple(int(rng.integers(n)) for n in output.shape) for _ in range(PLACES)]
        for at in {*corners, *inner}:
            with np.errstate(all="ignore"):
                wanted = found.dtype.type(element(program, op, values, at, fused))
            bits = np.uint32 if output.kind == "f32" else np.uint8
            both_nan = bool(np.isnan(wanted) and np.isnan(found[at]))
            assert both_nan or wanted.view(bits) == found[at].view(bits), (program.name, op, at, wanted, found[at])


@pytest.mark.parametrize("kind", KINDS)
def test_single_operators(kind: str) -> None:
    for seed in range(6):
        rng = np.random.default_rng((seed, 17))
        program = make(kind, rng)
        compare(program, feeds(program, rng), seed % 3 != 0, rng)


# Fractions have no infinity: the multiply-add has tests of its own.
SPECIAL = [kind for kind in KINDS if kind.endswith("f32") and not kind.startswith(("conv", "linear", "matmul"))]
SPECIAL += [kind for kind in KINDS if kind.startswith(("unary", "quantize", "softmax"))]


@pytest.mark.parametrize("kind", SPECIAL)
def test_infinities_nan_and_subnormals(kind: str) -> None:
    for seed in range(4):
        rng = np.random.default_rng((seed, 23))
        program = make(kind, rng)
        compare(program, feeds(program, rng, special=True), True, rng)


@pytest.mark.parametrize("seed", range(12))
def test_networks(seed: int) -> None:
    rng = np.random.default_rng((seed, 31))
    program = network(rng)
    given = feeds(program, rng)
    compare(program, given, seed % 2 == 0, rng)
    values, outputs = trace(program, given, fused=seed % 2 == 0), run(program, given, fused=seed % 2 == 0)
    assert set(values) == set(program.values)
    assert set(outputs) == {port.name for port in program.outputs}


def test_large_convolution_is_cut_into_blocks_without_a_seam(monkeypatch) -> None:
    rng = np.random.default_rng(4)
    program = make("conv_dense_f32", rng)
    given = feeds(program, rng)
    whole = run(program, given)
    monkeypatch.setattr("shoestring.native.interpret.products.BLOCK", 1)
    assert all(np.array_equal(whole[name], part) for name, part in run(program, given).items())
