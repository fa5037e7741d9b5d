"""Writers of the operators of `more_ops`."""

from __future__ import annotations

import numpy as np

from shoestring.convert.tflite.clamps import fused
from shoestring.convert.tflite.emitter import Emitter
from shoestring.convert.tflite.layout import plain
from shoestring.convert.tflite.more_ops import Extreme, LayerNorm, Lookup, Power, Reduce
from shoestring.convert.tflite.moves import common

REDUCTIONS = {"mean": "MEAN", "sum": "SUM", "max": "REDUCE_MAX", "min": "REDUCE_MIN"}


def layer_norm(emitter: Emitter, op: LayerNorm) -> None:
    """Means, a difference, its square, an inverse root and two products."""
    flat, source = emitter.flat, emitter.source(op)
    rank = len(source.shape)
    x = emitter.tensor(source.name, plain(rank))
    axes = flat.plain(list(range(op.axis, rank)), "int32", "axes")
    small = (*source.shape[: op.axis], *(1,) * (rank - op.axis))

    def step(code: str, inputs: tuple[int, ...], shape: tuple[int, ...], what: str, target: int | None = None) -> int:
        made = emitter.like(source, f"{op.output}/{what}", shape) if target is None else target
        if code == "MEAN":
            return flat.operator(code, inputs, made, options="Reducer", keepDims=True)
        if code == "RSQRT":
            return flat.operator(code, inputs, made)
        options = code.capitalize()
        return flat.operator(code, inputs, made, options=options, fusedActivationFunction=fused(emitter, "NONE"))

    mean = step("MEAN", (x, axes), small, "mean")
    off = step("SUB", (x, mean), source.shape, "off")
    square = step("MUL", (off, off), source.shape, "square")
    variance = step("MEAN", (square, axes), small, "variance")
    safe = step("ADD", (variance, flat.plain([op.epsilon], "float32", "epsilon")), small, "safe")
    root = step("RSQRT", (safe,), small, "root")
    made = emitter.new(op.output, plain(rank))
    normed = step("MUL", (off, root), source.shape, "normed")
    scaled = step(
        "MUL", (normed, _vector(emitter, op.scale)), source.shape, "scaled", None if op.shift is not None else made
    )
    if op.shift is not None:
        step("ADD", (scaled, _vector(emitter, op.shift)), source.shape, "shifted", made)


def _vector(emitter: Emitter, values: np.ndarray) -> int:
    return emitter.flat.plain(values, "float32", "vector")


def reduce(emitter: Emitter, op: Reduce) -> None:
    source, result = emitter.source(op), emitter.result(op)
    layout = emitter.layout(source.name) if op.keep else plain(len(source.shape))
    tensor = emitter.tensor(source.name, layout)
    axes = emitter.flat.plain(sorted(layout.index(axis) for axis in op.axes), "int32", "axes")
    made = emitter.new(op.output, layout if op.keep else plain(len(result.shape)))
    emitter.flat.operator(REDUCTIONS[op.function], (tensor, axes), made, options="Reducer", keepDims=op.keep)


def extreme(emitter: Emitter, op: Extreme) -> None:
    result = emitter.result(op)
    layout = common(emitter, op.inputs, len(result.shape))
    tensors = [emitter.widened(name, layout) for name in op.inputs]
    if op.constant is not None:
        tensors.append(emitter.constant(op.constant, result, layout))
    code = "MAXIMUM" if op.function == "max" else "MINIMUM"
    emitter.flat.operator(code, tensors, emitter.new(op.output, layout), options="MaximumMinimum")


def power(emitter: Emitter, op: Power) -> None:
    layout = emitter.layout(op.inputs[0])
    exponent = emitter.flat.plain([op.exponent], "float32", "exponent")
    made = emitter.new(op.output, layout)
    emitter.flat.operator("POW", (emitter.own(op.inputs[0]), exponent), made, options="Pow")


def lookup(emitter: Emitter, op: Lookup) -> None:
    table = emitter.floats(f"{op.name}/table", op.table)
    made = emitter.new(op.output, plain(len(emitter.result(op).shape)))
    emitter.flat.operator("GATHER", (table, emitter.own(op.inputs[0])), made, options="Gather", axis=0)


__all__ = ["extreme", "layer_norm", "lookup", "power", "reduce"]
