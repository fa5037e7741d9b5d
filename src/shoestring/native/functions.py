"""Elementary functions with one exact definition, for the interpreter and (the same steps, in C) for every target.

All steps are float32 additions, multiplications and divisions, each rounded once and never fused, so that any machine
with IEEE 754 arithmetic gives the same bits. kernels/functions.h holds the same steps.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
F = np.float32

EXP_LOW, EXP_HIGH = F(-87.0), F(88.0)  # exp stays a normal float32 in between
LOG2_E = F(1.44269504)
LN2_HIGH, LN2_LOW = F(0.693359375), F(-2.12194440e-4)
EXP_TERMS = (1.9875691500e-4, 1.3981999507e-3, 8.3334519073e-3, 4.1665795894e-2, 1.6666665459e-1, 5.0000001201e-1)
"""Coefficients of expf in the Cephes library (S. Moshier, 1992): relative error below 2e-7."""


def exp(x: Array) -> Array:
    """e**x, x clamped to -87..88. Cephes' reduction: x = n ln 2 + r, a polynomial in r, then 2**n by exponent bits.

    A NaN is treated as -87.
    """
    x = np.where(x > EXP_LOW, x, EXP_LOW)
    x = np.where(x < EXP_HIGH, x, EXP_HIGH).astype(F)
    n = np.rint(x * LOG2_E).astype(F)
    r = (x - n * LN2_HIGH) - n * LN2_LOW
    p = np.full_like(r, F(EXP_TERMS[0]))
    for term in EXP_TERMS[1:]:
        p = p * r + F(term)
    p = (p * (r * r) + r) + F(1.0)
    two_n = ((n.astype(np.int32) + 127) << 23).view(F)
    return np.asarray(p * two_n, dtype=F)


def sigmoid(x: Array) -> Array:
    """1 / (1 + exp(-x))."""
    return np.asarray(F(1.0) / (F(1.0) + exp(-x)), dtype=F)


def tanh(x: Array) -> Array:
    """1 - 2 / (exp(2 x) + 1)."""
    return np.asarray(F(1.0) - F(2.0) / (exp(F(2.0) * x) + F(1.0)), dtype=F)


def unary(function: str, x: Array, a: float, b: float) -> Array:
    """The function of a `Unary` op on float32 values.

    Args:
        function: a name in `form.UNARY`.
        x: any shape.
        a, b: parameters, rounded to float32 first.
    """
    fa, fb, one, zero = F(a), F(b), F(1.0), F(0.0)
    if function == "clip":
        return np.asarray(_at_most(_at_least(x, fa), fb), dtype=F)
    if function == "leaky_relu":
        return np.where(x < zero, fa * x, x).astype(F)
    if function == "sigmoid":
        return sigmoid(x)
    if function == "hard_sigmoid":
        return _at_most(_at_least(fa * x + fb, zero), one)
    if function == "hard_swish":
        return np.asarray(x * _at_most(_at_least(F(1 / 6) * x + F(0.5), zero), one), dtype=F)
    if function == "silu":
        return np.asarray(x * sigmoid(x), dtype=F)
    if function == "tanh":
        return tanh(x)
    if function == "exp":
        return exp(x)
    if function == "sqrt":
        return np.sqrt(x)
    if function == "neg":
        return np.asarray(-x, dtype=F)
    if function == "abs":
        return np.abs(x)
    raise ValueError(f"no function {function!r}")


def _at_least(x: Array, low: np.float32) -> Array:
    """`x > low ? x : low`: a NaN gives low."""
    return np.where(x > low, x, low).astype(F)


def _at_most(x: Array, high: np.float32) -> Array:
    """`x < high ? x : high`: a NaN gives high."""
    return np.where(x < high, x, high).astype(F)
