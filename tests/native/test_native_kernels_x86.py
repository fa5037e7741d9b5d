"""Every x86 target gives the interpreter's bits, on random programs of every kind."""

import numpy as np
import pytest

from native import programs, sweep
from native.program_builder import Builder
from proof_scale import SCALE
from shoestring.base.errors import MissingExtraError
from shoestring.native.build import find_compiler
from shoestring.native.compiling import build_library
from shoestring.native.emit import source
from shoestring.native.form import OPEN, Clamp, Conv
from shoestring.native.interpret import run
from shoestring.native.targets import target_named
from shoestring.native.vectors import VECTORS
from shoestring.runtimes import registry

TARGETS = ("x86-64-avx512vnni", "x86-64-avxvnni", "x86-64-avx2", "x86-64-sse41")
WITH_VECTORS = tuple(kind for kind in programs.KINDS if kind.startswith(("conv", "linear", "matmul")))
"""Kinds whose kernels are written on vec_*.h; compilers vectorise the others."""

each_target = pytest.mark.parametrize("name", TARGETS)


def available(name):
    """The target called `name`; skips where the processor or a compiler for it is missing."""
    target = target_named(name)
    if not sweep.runs_here(target):
        pytest.skip(f"this processor lacks one of {', '.join(target.isa)}")
    try:
        find_compiler(target)
    except MissingExtraError as error:
        pytest.skip(str(error))
    return target


def many(kinds, seeds):
    """All programs of these kinds and seeds as one."""
    made = []
    for seed in seeds:
        for number, kind in enumerate(kinds):
            program = programs.make(kind, np.random.default_rng((seed, number)))
            made.append(sweep.merged([program], f"s{seed}_{kind}"))
    return sweep.merged(made)


def check(program, target, seed, *, special=False):
    rng = np.random.default_rng(seed)
    feeds = programs.feeds(program, rng, special=special)
    assert sweep.differences(program, target, feeds, threads=1) == []


@each_target
def test_every_kind_of_operator(name):
    target = available(name)
    check(many(programs.KINDS, [100]), target, seed=100)


@each_target
def test_a_network_on_two_threads(name, tmp_path):
    """Seed (1, 1000) once had one thread's stores reach into another's rows, in up to every run."""
    target = available(name)
    program = programs.network(np.random.default_rng((1, 1000)))
    feeds = programs.feeds(program, np.random.default_rng(1))
    wanted = run(program, feeds, fused=target.fused)
    build_library(program, [target], 2, tmp_path / "network.so")
    with registry.get("native").load(tmp_path / "network.so", 2) as session:
        for _ in range(400):
            found = session.run(feeds)
            for output, array in wanted.items():
                np.testing.assert_array_equal(found[output], array)


@each_target
def test_products_of_many_shapes(name):
    target = available(name)
    for seed in range(SCALE):
        check(many(WITH_VECTORS, [seed]), target, seed)


@each_target
def test_odd_floats(name):
    """Infinities, NaN and subnormals go through float kernels, and clamps answer them, as defined."""
    target = available(name)
    kinds = [f"conv_{shape}_f32" for shape in ("dense", "pointwise", "depthwise", "grouped")] + ["linear_f32"]
    made = []
    for seed in range(3):
        for number, kind in enumerate(kinds):
            program = programs.make(kind, np.random.default_rng((seed, number)))
            made.append(sweep.merged([program], f"s{seed}_{kind}"))
    assert len(made) > len(kinds)
    check(sweep.merged(made), target, 7, special=True)


def extremes(name="p_extremes"):
    """Weights of -128 and 127 only, so that pairs of products leave int16, with tails in channels, pixels and depth."""
    builder = Builder(np.random.default_rng(3), name)
    outputs = []
    for channels, out, width in ((16, 24, 5), (4, 7, 3), (20, 65, 7)):
        x = builder.input((1, channels, 3, width), "i8", scale=0.02, zero=0)
        y = builder.value((1, out, 3, width), "i8", scale=0.5, zero=0)
        fields = builder._weighted(x, y, (out, channels, 1, 1), OPEN)
        weight = builder.rng.choice(np.array([-128, 127], np.int8), fields["weight"].shape)
        weight[0], weight[1] = 127, -128
        outputs.append(conv(builder, x, y, weight, fields, 1, 3e-4))
    x = builder.input((1, 40, 6, 9), "i8", scale=0.02, zero=255)
    y = builder.value((1, 40, 6, 9), "i8", scale=0.5, zero=128)
    fields = builder._weighted(x, y, (40, 1, 3, 3), Clamp(3, 250))
    weight = builder.rng.choice(np.array([-128, 127], np.int8), fields["weight"].shape)
    outputs.append(conv(builder, x, y, weight, fields, 40, 4e-3))
    return builder.program(*outputs)


def conv(builder, x, y, weight, fields, groups, multiplier):
    pad = weight.shape[-1] // 2
    fields = {**fields, "weight": weight, "multiplier": np.full(len(weight), multiplier, np.float32)}
    return builder.add(Conv, (x,), y, strides=(1, 1), pads=(pad,) * 4, dilations=(1, 1), groups=groups, **fields)


def full(program):
    """Codes of 255 with a few others."""
    rng = np.random.default_rng(5)
    found = {}
    for port in program.inputs:
        codes = np.where(rng.random(program.values[port.value].shape) < 0.8, 255, rng.integers(0, 256)).astype(np.uint8)
        found[port.name] = codes if port.dtype == "uint8" else (codes.astype(np.int16) - 128).astype(np.int8)
    return found


@each_target
def test_largest_products_do_not_saturate(name):
    target = available(name)
    program = extremes()
    assert sweep.differences(program, target, full(program), threads=1) == []


SABOTAGE = {
    "saturating products": (
        "x86-64-avx2",
        "SS_INLINE ss_i32 ss_dot(ss_i32 sum, ss_taps a, ss_weights w) {",
        """SS_INLINE ss_i32 ss_dot(ss_i32 sum, ss_taps a, ss_weights w) {
    const __m256i codes = _mm256_or_si256(a.even, _mm256_slli_epi16(a.odd, 8));
    const __m256i low = _mm256_and_si256(w.even, _mm256_set1_epi16(0x00ff));
    const __m256i pairs = _mm256_maddubs_epi16(codes, _mm256_or_si256(low, _mm256_slli_epi16(w.odd, 8)));
    return _mm256_add_epi32(sum, _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)));
}
SS_INLINE ss_i32 ss_right_dot(ss_i32 sum, ss_taps a, ss_weights w) {""",
    ),
    "rounding towards zero": ("x86-64-sse41", "_mm_cvtps_epi32(", "_mm_cvttps_epi32("),
    "a bound that is forgotten": ("x86-64-avx2", "x = _mm256_max_epu8(", "(void)_mm256_max_epu8("),
    "lanes in another order": ("x86-64-avx2", "_mm256_unpackhi_epi16(ab_low", "_mm256_unpackhi_epi16(ab_high"),
    "codes taken as signed": ("x86-64-sse41", "_mm_srli_epi16(a, 8)", "_mm_srai_epi16(a, 8)"),
}


@pytest.mark.parametrize("fault", SABOTAGE)
def test_a_fault_in_a_header_is_caught(fault, monkeypatch):
    name, right, wrong = SABOTAGE[fault]
    target, kernel = available(name), source.kernel
    headers = (*VECTORS[target.vector].before, f"vec_{target.vector}.h")
    assert any(right in kernel(file) for file in headers)
    monkeypatch.setattr(
        source, "kernel", lambda file: kernel(file).replace(right, wrong) if file in headers else kernel(file)
    )
    program = extremes()
    assert sweep.differences(program, target, full(program), threads=1) != []
