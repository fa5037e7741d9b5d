"""Bounds on an operator's output: the activation that TFLite folds into it, or operators behind it."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from shoestring.convert.tflite.emitter import Emitter
from shoestring.convert.tflite.layout import Layout
from shoestring.native.form import Clamp, Op, Value
from shoestring.native.front.builder import affine_of_value, code_of

FUSED: dict[str, tuple[float, float]] = {
    "NONE": (-math.inf, math.inf),
    "RELU": (0.0, math.inf),
    "RELU6": (0.0, 6.0),
    "RELU_N1_TO_1": (-1.0, 1.0),
}
"""Activations that TFLite's operators take, with their bounds."""


def activation(value: Value, clamp: Clamp) -> str | None:
    """The name of the activation with exactly these bounds on that value, None where there is none."""
    wanted = _bounds(value, clamp)
    for name, (low, high) in FUSED.items():
        if value.kind == "i8":
            affine = affine_of_value(value)
            found = (
                0.0 if math.isinf(low) else float(code_of(low, affine)),
                255.0 if math.isinf(high) else float(code_of(high, affine)),
            )
        else:
            found = (low, high)
        if found == wanted:
            return name
    return None


def _bounds(value: Value, clamp: Clamp) -> tuple[float, float]:
    low, high = (0.0, 255.0) if value.kind == "i8" else (-math.inf, math.inf)
    return (low if clamp.low is None else float(clamp.low), high if clamp.high is None else float(clamp.high))


def fused(emitter: Emitter, name: str) -> int:
    """The schema's number of an activation."""
    return int(getattr(emitter.flat.schema.ActivationFunctionType, name))


def clamped(emitter: Emitter, op: Op, layout: Layout, clamp: Clamp, emit: Callable[[int, int], object]) -> None:
    """Emit an operator with its bounds.

    Args:
        emitter: to emit to.
        op: whose output is made.
        layout: of the output.
        clamp: on the output.
        emit: called with the tensor to make and the number of the activation to fold in.
    """
    value = emitter.result(op)
    name = activation(value, clamp)
    made = emitter.new(op.output, layout)
    if name is not None:
        emit(made, fused(emitter, name))
        return
    shape = emitter.flat.shape(made)
    raw = emitter.like(value, f"{op.output}/raw", shape)
    emit(raw, fused(emitter, "NONE"))
    bound(emitter, value, raw, made, *_bounds(value, clamp))


def bound(emitter: Emitter, value: Value, source: int, made: int, low: float, high: float) -> None:
    """MAXIMUM and MINIMUM with constants: codes 0..255 or reals as `value` holds them."""
    ends = [("MAXIMUM", low), ("MINIMUM", high)]
    idle = (0.0, 255.0) if value.kind == "i8" else (-math.inf, math.inf)
    wanted = [(code, limit) for (code, limit), rest in zip(ends, idle, strict=True) if limit != rest]
    for place, (code, limit) in enumerate(wanted):
        last = place == len(wanted) - 1
        target = made if last else emitter.like(value, f"{value.name}/bounded", emitter.flat.shape(made))
        constant = emitter.constant(np.array([limit]), value, (0,), value.scale, value.zero)
        options = "MaximumMinimum"
        emitter.flat.operator(code, (source, constant), target, options=options, int8=value.kind == "i8")
        source = target
