"""Every Arm target gives the interpreter's bits, under emulation, on random programs of every kind."""

import shutil

import numpy as np
import pytest

from native import programs, sweep
from native.program_builder import Builder
from proof_scale import SCALE
from shoestring.base.errors import MissingExtraError
from shoestring.native.build import find_compiler
from shoestring.native.emit import source
from shoestring.native.emit.source import emit
from shoestring.native.form import Clamp, Conv
from shoestring.native.targets import target_named

TARGETS = ("armv8.6-i8mm", "armv8.2-dotprod", "armv8-neon", "armv7-neon")
DISTINCT = TARGETS[1:]  # i8mm uses the kernels of the dot products
TUNED = ("armv8-cortex-a53", "armv8-cortex-a72")
WITH_VECTORS = tuple(kind for kind in programs.KINDS if kind.startswith(("conv", "linear")))
"""Kinds whose kernels are written on vec_*.h; compilers vectorise the others."""

each_target = pytest.mark.parametrize("name", TARGETS)


def available(name):
    """The target called `name`; skips where its emulator or a compiler for it is missing."""
    target = target_named(name)
    if shutil.which(target.emulator[0]) is None:
        pytest.skip(f"{target.emulator[0]} is not here")
    try:
        find_compiler(target)
    except MissingExtraError as error:
        pytest.skip(str(error))
    return target


def many(kinds, seed):
    """A program of each kind, as one."""
    made = [programs.make(kind, np.random.default_rng((seed, number))) for number, kind in enumerate(kinds)]
    return sweep.merged([sweep.merged([one], f"s{seed}_{number}") for number, one in enumerate(made)])


def check(program, target, seed):
    feeds = programs.feeds(program, np.random.default_rng(seed))
    assert sweep.differences(program, target, feeds, threads=1) == []


@pytest.mark.parametrize("name", DISTINCT)
def test_every_kind_of_operator(name):
    check(many(programs.KINDS, 200), available(name), seed=200)


@pytest.mark.parametrize("name", TARGETS + (TUNED if SCALE > 1 else ()))
def test_products_of_many_shapes(name):
    target = available(name)
    for seed in range(210, 210 + SCALE):
        check(many(WITH_VECTORS, seed), target, seed)


@pytest.mark.parametrize("name", DISTINCT)
def test_networks_on_two_threads(name):
    target = available(name)
    for seed in range(220, 220 + SCALE):
        program = sweep.merged(
            [sweep.merged([programs.network(np.random.default_rng((seed, i)))], f"n{i}") for i in range(2)]
        )
        feeds = programs.feeds(program, np.random.default_rng(seed))
        assert sweep.differences(program, target, feeds, threads=2) == []


def extremes(weights):
    """Layers with these weights only, with tails in channels, pixels and depth."""
    builder = Builder(np.random.default_rng(3), "p_extremes")
    outputs = []
    cases = ((16, 24, 5, 1, 0), (4, 7, 3, 1, 0), (20, 65, 7, 3, 0), (96, 20, 9, 1, 77), (40, 40, 9, 3, 255))
    for channels, out, width, kernel, zero in cases:
        groups = 40 if out == 40 else 1
        x = builder.input((1, channels, 3, width), "i8", scale=0.02, zero=zero)
        y = builder.value((1, out, 3, width), "i8", scale=0.5, zero=128 - zero % 2)
        fields = builder._weighted(x, y, (out, channels // groups, kernel, kernel), Clamp(3, 250) if zero else Clamp())
        weight = builder.rng.choice(np.array(weights, np.int8), fields["weight"].shape)
        weight[0], weight[1] = weights[0], weights[-1]
        fields |= {"weight": weight, "multiplier": np.full(out, 3e-4, np.float32)}
        outputs.append(builder.add(Conv, (x,), y, pads=(kernel // 2,) * 4, groups=groups, **fields))
    return builder.program(*outputs)


def lowest(program):
    """Codes of 0, stored as -128, with a few others."""
    rng = np.random.default_rng(5)
    found = {}
    for port in program.inputs:
        shape = program.values[port.value].shape
        codes = np.where(rng.random(shape) < 0.9, 0, rng.integers(0, 256, shape))
        found[port.name] = codes.astype(np.uint8) if port.dtype == "uint8" else (codes - 128).astype(np.int8)
    return found


@pytest.mark.parametrize("weights", [(-128, 127), (-127, 127)], ids=["wide", "narrow"])
@each_target
def test_largest_products_stay_exact(name, weights):
    target = available(name)
    program = extremes(weights)
    assert sweep.differences(program, target, lowest(program), threads=1) == []


def test_only_weights_that_overflow_pairs_are_added_one_by_one():
    target = target_named("armv8-neon")
    assert "#define SS_WIDE_WEIGHTS 0" in emit(extremes((-127, 127)), target, 1).source
    assert "#define SS_WIDE_WEIGHTS 1" in emit(extremes((-128, 127)), target, 1).source
    assert "#define SS_WIDE_WEIGHTS 0" in emit(extremes((-128, 127)), target_named("armv8.2-dotprod"), 1).source


SABOTAGE = {
    "sixteen bits for two products of -128": ("armv8-neon", "neon_pairs.h", "#if SS_WIDE_WEIGHTS", "#if 0"),
    "rounding towards zero": ("armv8-neon", "neon_base.h", "vcvtnq_s32_f32(", "vcvtq_s32_f32("),
    "no rounding on 32 bits": ("armv7-neon", "neon_base.h", "12582912.0f", "12582911.0f"),
    "a bound that is forgotten": ("armv8.2-dotprod", "neon_base.h", "x = vmaxq_s8(", "(void)vmaxq_s8("),
    "taps of another step": ("armv8.2-dotprod", "vec_neon_dot.h", "taps[i], Q)", "taps[i], 3 - (Q))"),
    "rows in another order": ("armv8-neon", "neon_pairs.h", "vld1q_s8(rows[2])", "vld1q_s8(rows[0])"),
}


@pytest.mark.parametrize("fault", SABOTAGE)
def test_a_fault_in_a_header_is_caught(fault, monkeypatch):
    name, header, right, wrong = SABOTAGE[fault]
    target = available(name)
    kernel = source.kernel
    assert right in kernel(header)
    monkeypatch.setattr(
        source, "kernel", lambda file: kernel(file).replace(right, wrong) if file == header else kernel(file)
    )
    program = extremes((-128, 127))
    assert sweep.differences(program, target, lowest(program), threads=1) != []
