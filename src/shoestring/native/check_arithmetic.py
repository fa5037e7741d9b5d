"""Whether the arithmetic of an operator stays in range for every input there can be."""

from __future__ import annotations

import numpy as np

from shoestring.native import form
from shoestring.native.check_words import Place
from shoestring.native.form import Array, Clamp, Value

MAX_SUM = (1 << 31) - 1
"""Of an int32 accumulator, in magnitude."""

MAX_STEPS = float(1 << 30)
"""Of a requantized sum before its zero point, in magnitude: the conversion to int32 is then always defined."""

F = np.float32


def check_arithmetic(place: Place) -> None:
    """Refuse sums that can leave int32, multipliers that are not finite and positive, and clamps out of range.

    Raises:
        ModelError: with the operator, its bound and the limit.
    """
    op = place.op
    if isinstance(op, form.Conv | form.Linear | form.Binary):
        _check_clamp(place, op.clamp)
    if isinstance(op, form.Binary) and op.constant is not None:
        _check_constant(place, op, op.constant)
    if place.inputs[0].kind != "i8":
        return
    if isinstance(op, form.Conv | form.Linear):
        _check_weighted(place, op)
    elif isinstance(op, form.MatMul):
        # check_kinds has made sure of the multiplier.
        bound = place.inputs[0].shape[-1] * reach(place.inputs[0].zero) * reach(place.inputs[1].zero)
        _check_scaled(place, np.array([bound]), np.array([0.0 if op.multiplier is None else op.multiplier]))
    elif isinstance(op, form.Binary):
        _check_binary(place, op)
    elif isinstance(op, form.Mean):
        _check_average(place, place.inputs[0].shape[2] * place.inputs[0].shape[3])
    elif isinstance(op, form.Pool) and op.function == "average":
        _check_average(place, op.kernel[0] * op.kernel[1])


def reach(zero: int) -> int:
    """Largest |code - zero| of any code."""
    return max(zero, 255 - zero)


def _check_scaled(place: Place, bound: Array, multiplier: Array) -> None:
    """Largest sums, whole numbers, and the multipliers that they meet."""
    worst = int(bound.max())
    place.must(worst <= MAX_SUM, f"its int32 sums can reach {worst}; the limit is {MAX_SUM}")
    _check_multiplier(place, multiplier)
    limit = MAX_STEPS if place.output.kind == "i8" else float(np.finfo(F).max)
    largest = float((bound.astype(np.float64) * multiplier.astype(F)).max())
    place.must(largest < limit, f"its scaled sums can reach {largest:.4g}; they must stay below {limit:.4g}")


def _check_multiplier(place: Place, multiplier: Array) -> None:
    """As float32, which may have made it zero or infinite."""
    with np.errstate(over="ignore"):
        rounded = multiplier.astype(F)
    good = np.isfinite(rounded) & (rounded > 0)
    if not good.all():
        place.must(False, f"a multiplier is {multiplier[~good][0]}; it must be finite and above zero in float32")


def _check_weighted(place: Place, op: form.Conv | form.Linear) -> None:
    weights = np.abs(op.weight.astype(np.int64)).reshape(len(op.weight), -1).sum(axis=1)
    bound = np.abs(op.bias.astype(np.int64)) + weights * reach(place.inputs[0].zero)
    if op.multiplier is not None:
        _check_scaled(place, bound, op.multiplier)


def _check_binary(place: Place, op: form.Binary) -> None:
    place.must(op.kind != "div", "codes are not divided; the form has i8 add, sub and mul")
    sides = [(value.scale, value.zero) for value in place.inputs]
    if op.constant is not None:
        sides.append((op.constant_scale, op.constant_zero))
    (scale_a, zero_a), (scale_b, zero_b) = sides
    if op.kind == "mul":
        ratio = float(F(scale_a * scale_b)) / place.output.scale
        _check_scaled(place, np.array([reach(zero_a) * reach(zero_b)]), np.array([ratio]))
        return
    ratios = np.array([scale_a / place.output.scale, scale_b / place.output.scale])
    _check_multiplier(place, ratios)
    largest = float(reach(zero_a) * ratios[0] + reach(zero_b) * ratios[1])
    place.must(largest < MAX_STEPS, f"its scaled sums can reach {largest:.4g}; they must stay below {MAX_STEPS:.4g}")


def _check_average(place: Place, count: int) -> None:
    source: Value = place.inputs[0]
    ratio = source.scale / place.output.scale
    _check_multiplier(place, np.array([ratio, ratio / count]))
    # One element alone may be the whole window, so the largest scaled sum is that of one element, whatever the count.
    worst = count * reach(source.zero)
    place.must(worst <= MAX_SUM, f"its int32 sums can reach {worst}; the limit is {MAX_SUM}")
    largest = reach(source.zero) * ratio
    place.must(largest < MAX_STEPS, f"its average can reach {largest:.4g} steps; it must stay below {MAX_STEPS:.4g}")


def _check_clamp(place: Place, clamp: Clamp) -> None:
    low, high = clamp.low, clamp.high
    for bound in (low, high):
        if bound is None:
            continue
        if place.output.kind == "i8":
            place.must(bound in range(256), f"its clamp holds {bound}; it must be a code, 0..255")
        else:
            place.must(not np.isnan(bound), "its clamp holds NaN")
    if low is not None and high is not None:
        place.must(low <= high, f"its clamp is {low}..{high}; the low side is above the high side")


def _check_constant(place: Place, op: form.Binary, constant: Array) -> None:
    whole = place.inputs[0].kind == "i8"
    wanted = np.dtype(np.uint8 if whole else np.float32)
    place.must(constant.dtype == wanted, f"its constant is {constant.dtype}; it must be {wanted}")
    place.must(constant.size > 0, "its constant is empty")
    if not whole:
        place.must((op.constant_scale, op.constant_zero) == (1.0, 0), "a float constant has scale 1 and zero point 0")
        return
    place.must(0 <= op.constant_zero <= 255, f"its constant has the zero point {op.constant_zero}; codes are 0..255")
    sane = np.isfinite(op.constant_scale) and op.constant_scale > 0
    place.must(bool(sane), f"its constant has the scale {op.constant_scale}; it must be finite and above zero")
