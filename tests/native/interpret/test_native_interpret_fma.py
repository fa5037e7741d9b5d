"""The emulated fused multiply-add against exact fractions, where rounding twice would go wrong and at the edges."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from native.interpret.scalar_reference import fma
from shoestring.native.interpret.fma import fused_step, plain_step

F = np.float32
FINITE = st.floats(width=32, allow_nan=False, allow_infinity=False)


def same(found, wanted) -> bool:
    """Equal bits."""
    return np.array_equal(np.asarray(found, F).view(np.uint32), np.asarray(wanted, F).view(np.uint32))


def fused(a, b, c) -> np.float32:
    with np.errstate(all="ignore"):
        return fused_step(np.array([a], F), np.array([b], F), np.array([c], F))[0]


HARD = [
    # 1 + 2**-24 lies between two float32; a 2**-60 on either side decides, and float64 loses it.
    (1 + 2**-12, 1 + 2**-12, 2**-60),
    (F(2**-30), F(2**-30), F(1 + 2**-23)),
    (F(1 + 2**-23), F(2**-24), F(1.0)),
    (F(1 - 2**-24), F(2**-24), F(1.0)),
    (F(-(1 + 2**-23)), F(2**-24), F(-1.0)),
    (F(-(1 - 2**-24)), F(2**-24), F(-1.0)),
    (F(1 + 2**-23), F(2**-24), F(1 + 2**-23)),
    # Subnormal results: ties at 2**-150, and products far below.
    (F(2**-100), F(2**-50), F(0.0)),
    (F(2**-100), F(2**-50), F(2**-149)),
    (F(3 * 2**-100), F(2**-50), F(2**-149)),
    (F(2**-149), F(2**-149), F(2**-149)),
    (F(-(2**-149)), F(2**-149), F(2**-126)),
    (F(1 + 2**-23), F(2**-127), F(2**-127)),
    # The largest float32 and beyond.
    (F(3.4e38), F(1.0), F(3.4e38)),
    (F(2**127), F(2.0), F(-3.4e38)),
    (F(np.finfo(F).max), F(1.0), F(2**103)),
    (F(np.finfo(F).max), F(1.0), F(2**102)),
    (F(2**103), F(1 - 2**-24), F(np.finfo(F).max)),
    # Cancellation and signed zeros.
    (F(1 + 2**-23), F(1 - 2**-23), F(-1.0)),
    (F(3.0), F(-2.0), F(6.0)),
    (F(-0.0), F(1.0), F(-0.0)),
    (F(-0.0), F(1.0), F(0.0)),
    (F(-(2**-100)), F(2**-100), F(0.0)),
]


@pytest.mark.parametrize(("a", "b", "c"), HARD)
def test_hard_cases(a, b, c) -> None:
    a, b, c = F(a), F(b), F(c)
    assert same(fused(a, b, c), fma(a, b, c))


def halfway_cases(count: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Sums that are 2**-60 or less away from the middle of two float32: what float64 alone gets wrong."""
    rng = np.random.default_rng(5)
    a = (1 + rng.integers(0, 1 << 23, count) * 2.0**-23).astype(F)
    sign = rng.choice([-1, 1], count)
    b = (sign * 2.0**-24 * (1 + rng.choice([0, 2**-23, -(2**-24)], count))).astype(F)
    c = (1 + rng.integers(0, 1 << 23, count) * 2.0**-23).astype(F)
    # Products so close to half a unit that the sum's low bits decide.
    a = np.where(rng.random(count) < 0.7, (1 + rng.integers(-2, 3, count) * 2.0**-23).astype(F), a)
    power = 2.0 ** rng.integers(-20, 20, count)
    return a, (b * power).astype(F), (c * power).astype(F)


def test_halfway_cases() -> None:
    a, b, c = halfway_cases(3000)
    assert same(fused_step(a, b, c), [fma(*case) for case in zip(a, b, c, strict=True)])


def test_a_sum_rounded_twice_would_fail() -> None:
    """The saboteur: float64 and then float32, without rounding to odd."""
    # 1 + (2**-24 + tiny): the float64 sum drops the tiny part, lies in the middle, and goes to the even 1.0.
    a, b, c = F(1 + 2**-23), F(2**-24 * (1 + 2**-23)), F(1 + 2**-23)
    cases = [
        (F(1 + x * 2**-23), F((1 - x * 2**-23) * 2**-24), F(1 + y * 2**-23)) for x in range(1, 9) for y in range(9)
    ]
    cases.append((a, b, c))
    twice = [F(float(a) * float(b) + float(c)) for a, b, c in cases]
    wanted = [fma(*case) for case in cases]
    assert not same(twice, wanted), "the cases must be hard enough"
    assert same(fused_step(*(np.array(column, F) for column in zip(*cases, strict=True))), wanted)


@settings(max_examples=400, deadline=None, derandomize=True)
@given(FINITE, FINITE, FINITE)
def test_any_finite_numbers(a: float, b: float, c: float) -> None:
    a, b, c = F(a), F(b), F(c)
    with np.errstate(all="ignore"):
        assert same(fused(a, b, c), fma(a, b, c))


@settings(max_examples=400, deadline=None, derandomize=True)
@given(
    st.integers(-160, 10), st.integers(-160, 10), st.integers(0, 2**24), st.integers(0, 2**24), st.integers(0, 2**24)
)
def test_small_numbers(p: int, q: int, i: int, j: int, k: int) -> None:
    a, b, c = F(i * 2.0 ** (p - 24)), F(j * 2.0 ** (q - 24)), F(-k * 2.0**-150)
    assert same(fused(a, b, c), fma(a, b, c))


def test_infinities_and_nan() -> None:
    inf, nan = F(np.inf), F(np.nan)
    assert fused(inf, F(1.0), F(1.0)) == inf
    assert fused(F(2.0), F(1.0), -inf) == -inf
    assert np.isnan(fused(inf, F(0.0), F(1.0)))
    assert np.isnan(fused(inf, F(1.0), -inf))
    assert np.isnan(fused(nan, F(1.0), F(1.0)))


def test_broadcasts_and_takes_long_way_only_where_needed() -> None:
    rng = np.random.default_rng(3)
    a, b = rng.normal(size=(5, 1)).astype(F), rng.normal(size=(1, 7)).astype(F)
    a[2], b[0, 3] = 1e-30, 1e-12
    c = np.zeros((5, 7), F)
    wanted = [[fma(a[i, 0], b[0, j], c[i, j]) for j in range(7)] for i in range(5)]
    assert same(fused_step(a, b, c), wanted)


def test_plain_step_rounds_twice() -> None:
    a = b = F(1 + 2**-12)
    c = F(-1.0)
    plain = plain_step(np.array([a]), np.array([b]), np.array([c]))[0]
    assert same(plain, F(a * b) + c)
    assert not same(plain, fma(a, b, c))
