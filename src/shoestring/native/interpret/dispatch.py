"""Which function computes which operator."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from shoestring.base.errors import ModelError
from shoestring.native import form
from shoestring.native.form import Array, Value
from shoestring.native.functions import unary
from shoestring.native.interpret import elementwise, moves, products, windows

Inputs = tuple[Array, ...]
Sources = tuple[Value, ...]
Evaluate = Callable[[form.Op, Inputs, Sources, Value, bool], Array]
_EVALUATE: dict[type[form.Op], Evaluate] = {}


def evaluate(op: form.Op, known: Mapping[str, Value], values: Mapping[str, Array], fused: bool) -> Array:
    """The output of one operator.

    Args:
        op: any of `form`.
        known: descriptions of all values.
        values: what has been computed so far.
        fused: float32 products and sums round once.

    Raises:
        ModelError: an operator that the form does not have.
    """
    inputs, sources = tuple(values[n] for n in op.inputs), tuple(known[n] for n in op.inputs)
    found = _EVALUATE.get(type(op))
    if found is None:
        raise ModelError(f"operator {op.name!r} is a {type(op).__name__}, which the form does not have")
    return found(op, inputs, sources, known[op.output], fused)


def _does(kind: type[form.Op]) -> Callable[[Callable[..., Array]], Callable[..., Array]]:
    def register(function: Callable[..., Array]) -> Callable[..., Array]:
        _EVALUATE[kind] = function
        return function

    return register


@_does(form.Conv)
def _conv(op: form.Conv, x: Inputs, of: Sources, out: Value, fused: bool) -> Array:
    return products.conv(op, x[0], of[0], out, fused)


@_does(form.Linear)
def _linear(op: form.Linear, x: Inputs, of: Sources, out: Value, fused: bool) -> Array:
    return products.linear(op, x[0], of[0], out, fused)


@_does(form.MatMul)
def _matmul(op: form.MatMul, x: Inputs, of: Sources, out: Value, fused: bool) -> Array:
    return products.matmul(op, x[0], x[1], (of[0], of[1]), out, fused)


@_does(form.Quantize)
def _quantize(op: form.Quantize, x: Inputs, of: Sources, out: Value, fused: bool) -> Array:
    return elementwise.quantize(x[0], out)


@_does(form.Dequantize)
def _dequantize(op: form.Dequantize, x: Inputs, of: Sources, out: Value, fused: bool) -> Array:
    return elementwise.dequantize(x[0], of[0])


@_does(form.Binary)
def _binary(op: form.Binary, x: Inputs, of: Sources, out: Value, fused: bool) -> Array:
    return elementwise.binary(op, x, of, out)


@_does(form.Table)
def _table(op: form.Table, x: Inputs, of: Sources, out: Value, fused: bool) -> Array:
    return np.asarray(op.table[x[0]])


@_does(form.Unary)
def _unary(op: form.Unary, x: Inputs, of: Sources, out: Value, fused: bool) -> Array:
    return unary(op.function, x[0], op.a, op.b)


@_does(form.Pool)
def _pool(op: form.Pool, x: Inputs, of: Sources, out: Value, fused: bool) -> Array:
    return windows.pool(op, x[0], of[0], out)


@_does(form.Mean)
def _mean(op: form.Mean, x: Inputs, of: Sources, out: Value, fused: bool) -> Array:
    return windows.mean(op, x[0], of[0], out)


@_does(form.Softmax)
def _softmax(op: form.Softmax, x: Inputs, of: Sources, out: Value, fused: bool) -> Array:
    return windows.softmax(op, x[0])


@_does(form.Resize)
def _resize(op: form.Resize, x: Inputs, of: Sources, out: Value, fused: bool) -> Array:
    return windows.resize(op, x[0], out)


@_does(form.Concat)
def _concat(op: form.Concat, x: Inputs, of: Sources, out: Value, fused: bool) -> Array:
    return np.concatenate(x, axis=op.axis)


@_does(form.Slice)
def _slice(op: form.Slice, x: Inputs, of: Sources, out: Value, fused: bool) -> Array:
    return moves.strided(op, x[0], out)


@_does(form.Pad)
def _pad(op: form.Pad, x: Inputs, of: Sources, out: Value, fused: bool) -> Array:
    return moves.padded(op, x[0], out)


@_does(form.Transpose)
def _transpose(op: form.Transpose, x: Inputs, of: Sources, out: Value, fused: bool) -> Array:
    return np.ascontiguousarray(np.transpose(x[0], op.axes))


@_does(form.Reshape)
def _reshape(op: form.Reshape, x: Inputs, of: Sources, out: Value, fused: bool) -> Array:
    return x[0].reshape(out.shape)
