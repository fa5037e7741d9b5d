"""From sums to outputs: requantization and clamps."""

from __future__ import annotations

import numpy as np

from shoestring.native.form import OPEN, Array, Clamp, Value

F = np.float32


def centred(codes: Array, zero: int) -> Array:
    """code - zero as int64."""
    return np.asarray(codes.astype(np.int64) - zero)


def to_codes(real: Array, zero: int, clamp: Clamp = OPEN) -> Array:
    """`clamp(rint(real) + zero, low, high)` as uint8; a NaN gives code 0.

    Args:
        real: float32, in steps of the output's scale.
        zero: zero point of the output.
        clamp: codes; open sides are 0 and 255.
    """
    low = 0.0 if clamp.low is None else float(clamp.low)
    high = 255.0 if clamp.high is None else float(clamp.high)
    # float64 holds rint + zero exactly, whatever the float32 was.
    codes = np.clip(np.rint(real).astype(np.float64) + zero, low, high)
    return np.where(np.isnan(codes), 0.0, codes).astype(np.uint8)


def clamp_reals(x: Array, clamp: Clamp) -> Array:
    """`x > low ? x : low`, then `x < high ? x : high`; an open side beside a bound is an infinity."""
    if clamp.low is None and clamp.high is None:
        return np.asarray(x, dtype=F)
    low = F(-np.inf if clamp.low is None else clamp.low)
    high = F(np.inf if clamp.high is None else clamp.high)
    x = np.where(x > low, x, low)
    return np.asarray(np.where(x < high, x, high), dtype=F)


def rescale(sums: Array, multiplier: Array | np.float32, output: Value, clamp: Clamp = OPEN) -> Array:
    """Integer sums to the output: one float32 multiplication, then codes or reals as the output's kind says.

    Args:
        sums: whole numbers below 2**31 in magnitude, int64 or float64.
        multiplier: float32, broadcasts to the sums.
        output: whose kind and zero point count.
        clamp: on the output.
    """
    real = np.asarray(sums.astype(F) * multiplier, dtype=F)
    return clamp_reals(real, clamp) if output.kind == "f32" else to_codes(real, output.zero, clamp)
