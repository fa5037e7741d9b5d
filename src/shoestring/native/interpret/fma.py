"""One float32 multiply-add a step, as hardware does it: fused (rounded once) or as two operations (rounded twice).

float64 holds every product of two float32 exactly (24 + 24 bits) and has more than two bits to spare over float32, so a
sum rounded to odd in float64 rounds to the right float32 (S. Boldo and G. Melquiond, "Emulation of FMA and correctly
rounded sums: proved algorithms using rounding to odd", IEEE Transactions on Computers 57(4), 2008).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from shoestring.native.form import Array

F = np.float32
Step = Callable[[Array, Array, Array], Array]

_DROPPED = np.int64((1 << 29) - 1)  # bits of a float64 that a normal float32 has no room for
_HALF = np.int64(1 << 28)
_SMALLEST_NORMAL = 2.0**-126


def fused_step(a: Array, b: Array, total: Array) -> Array:
    """a * b + total rounded once, float32 arrays that broadcast.

    Rounding the float64 sum again goes wrong only where that sum lies exactly between two float32, or where float32 is
    subnormal and drops more bits: only those elements take the long way.
    """
    product = a.astype(np.float64) * b
    near = np.asarray(product + total)
    result = near.astype(F)
    doubtful = np.equal(near.view(np.int64) & _DROPPED, _HALF)
    doubtful |= np.abs(near) < _SMALLEST_NORMAL
    if doubtful.any():
        where = np.nonzero(doubtful)
        addend = np.broadcast_to(total, near.shape)[where].astype(np.float64)
        result[where] = rounded_to_odd(np.broadcast_to(product, near.shape)[where], addend).astype(F)
    return result


def rounded_to_odd(x: Array, y: Array) -> Array:
    """x + y in float64, an inexact sum rounded to the odd neighbour; Knuth's two-sum finds the error."""
    near = np.asarray(x + y)
    part = near - x
    error = (x - (near - part)) + (y - part)
    bits = near.view(np.int64)
    moves = np.isfinite(near) & (error != 0) & (bits & 1 == 0)
    outwards = np.where((error > 0) == (near > 0), np.int64(1), np.int64(-1))
    return np.asarray(np.where(moves, bits + outwards, bits)).view(np.float64)


def plain_step(a: Array, b: Array, total: Array) -> Array:
    """a * b rounded to float32, then the sum rounded to float32."""
    return np.asarray(a * b + total, dtype=F)


def step_of(fused: bool) -> Step:
    """The multiply-add of a target with (or without) a fused one."""
    return fused_step if fused else plain_step
