"""Operators that move elements. They work on codes where there are codes, whatever follows."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from shoestring.base.errors import ModelError
from shoestring.native.form import Concat, Pad, Reshape, Slice, Table, Transpose, Value
from shoestring.native.front.builder import Affine, Builder, affine_of_value, code_of, requantized
from shoestring.native.front.graph import Node

F = np.float32


def reshape(builder: Builder, node: Node) -> None:
    """Reshape, Flatten, Squeeze, Unsqueeze: the graph knows the shape that comes out."""
    builder.moved(node, Reshape)


def transpose(builder: Builder, node: Node) -> None:
    rank = len(builder.shape(node.inputs[0]))
    axes = tuple(int(n) for n in node.attributes.get("perm", range(rank)[::-1]))
    builder.moved(node, Transpose, axes=axes)


def concat(builder: Builder, node: Node) -> None:
    """In codes where all inputs are codes and share a scale, or all readers want one scale."""
    shape = builder.shape(node.outputs[0])
    axis = int(node.attributes["axis"]) % len(shape)
    names = [name for name in node.inputs if 0 not in builder.graph.shapes.get(name, (1,))]
    codes = [builder.codes[name] for name in names if name in builder.codes]
    affine = builder.affine(node.outputs[0])
    shared = {affine_of_value(value) for value in codes}
    if len(codes) == len(names) and (affine is not None or len(shared) == 1):
        target = affine if affine is not None else shared.pop()
        inputs = [_in_scale(builder, node, value, target) for value in codes]
        made = builder.new(node.outputs[0], shape, target)
        builder.codes[node.outputs[0]] = builder.emit(Concat, node.name, inputs, made, axis=axis)
        return
    reals = [builder.real(name) for name in names]
    made = builder.new(node.outputs[0], shape, None)
    builder.reals[node.outputs[0]] = builder.emit(Concat, node.name, reals, made, axis=axis)


def _in_scale(builder: Builder, node: Node, value: Value, affine: Affine) -> Value:
    if affine_of_value(value) == affine:
        return value
    made = builder.new(f"{node.name}/{value.name}", value.shape, affine)
    return builder.emit(Table, made.name, (value,), made, table=requantized(value, affine))


def _whole_numbers(builder: Builder, node: Node, place: int, what: str) -> list[int] | None:
    """A constant input as a list, or None where it is left out."""
    name = node.input(place)
    if not name:
        return None
    value = builder.constant(name)
    if value is None:
        raise ModelError(f"its {what} are not constant")
    return [int(n) for n in value.reshape(-1)]


def slices(builder: Builder, node: Node) -> None:
    shape = builder.shape(node.inputs[0])
    starts, ends = (_whole_numbers(builder, node, i, name) for i, name in ((1, "starts"), (2, "ends")))
    if starts is None or ends is None:
        raise ModelError("it has no starts or ends")
    axes = _whole_numbers(builder, node, 3, "axes") or list(range(len(starts)))
    steps = _whole_numbers(builder, node, 4, "steps") or [1] * len(starts)
    first, by = [0] * len(shape), [1] * len(shape)
    for start, end, axis, step in zip(starts, ends, axes, steps, strict=True):
        if step == 0:
            raise ModelError("it has a step of 0")
        first[axis], _, by[axis] = slice(start, end, step).indices(shape[axis])
    builder.moved(node, Slice, starts=tuple(first), steps=tuple(by))


def split(builder: Builder, node: Node) -> None:
    """Slices, one for each output."""
    source, names = builder.carried(node.inputs[0])
    axis = int(node.attributes.get("axis", 0)) % len(source.shape)
    start = 0
    for output in node.outputs:
        if not output:
            raise ModelError("one of its outputs is left out")
        shape = builder.shape(output)
        starts = tuple(start if i == axis else 0 for i in range(len(shape)))
        made = builder.like(source, output, shape)
        names[output] = builder.emit(Slice, output, (source,), made, starts=starts, steps=(1,) * len(shape))
        start += shape[axis]


def gather(builder: Builder, node: Node) -> None:
    """With constant indices at equal distances: a slice."""
    source, names = builder.carried(node.inputs[0])
    axis = int(node.attributes.get("axis", 0)) % len(source.shape)
    indices = builder.constant(node.inputs[1])
    if indices is None or indices.ndim > 1 or indices.size == 0:
        raise ModelError("its indices are not one constant number or list")
    side = source.shape[axis]
    if (indices < -side).any() or (indices >= side).any():
        raise ModelError(f"its indices reach outside an axis of {side}")
    places = [int(n) % side for n in indices.reshape(-1)]
    steps = {b - a for a, b in pairwise(places)}
    step = steps.pop() if len(steps) == 1 else 1
    if steps or step == 0:
        raise ModelError("its indices are not at equal distances")
    rank = len(source.shape)
    cut = (*source.shape[:axis], len(places), *source.shape[axis + 1 :])
    starts = tuple(places[0] if i == axis else 0 for i in range(rank))
    by = tuple(step if i == axis else 1 for i in range(rank))
    made = builder.emit(
        Slice, node.name, (source,), builder.like(source, node.outputs[0], cut), starts=starts, steps=by
    )
    names[node.outputs[0]] = builder.reshaped(made, f"{node.name}/shape", builder.shape(node.outputs[0]))


def pad(builder: Builder, node: Node) -> None:
    """Constant padding; in codes where its value is a code."""
    mode = node.attributes.get("mode", "constant")
    if mode != "constant":
        raise ModelError(f"its mode is {mode!r}; constant padding can be compiled")
    shape = builder.shape(node.inputs[0])
    pads = _whole_numbers(builder, node, 1, "pads")
    if pads is None:
        raise ModelError("it has no pads")
    axes = _whole_numbers(builder, node, 3, "axes") or list(range(len(shape)))
    if min(pads, default=0) < 0 or len(pads) != 2 * len(axes):
        raise ModelError(f"its pads are {pads}; they are two for each axis, 0 or more")
    before = [0] * len(shape)
    for axis, n in zip(axes, pads, strict=False):
        before[axis] = n
    given = builder.constant(node.input(2))
    if node.input(2) and (given is None or given.size != 1):
        raise ModelError("its value is not one constant number")
    value = 0.0 if given is None else float(given.reshape(-1)[0])
    codes = builder.codes.get(node.inputs[0])
    out = node.outputs[0]
    if codes is not None and _is_code(value, codes):
        made = builder.like(codes, out, builder.shape(out))
        code = code_of(value, affine_of_value(codes))
        builder.codes[out] = builder.emit(Pad, node.name, (codes,), made, before=tuple(before), value=code)
        return
    source = builder.real(node.inputs[0])
    made = builder.like(source, out, builder.shape(out))
    builder.reals[out] = builder.emit(Pad, node.name, (source,), made, before=tuple(before), value=value)


def _is_code(real: float, value: Value) -> bool:
    """Whether a real number survives quantization exactly."""
    code = code_of(real, affine_of_value(value))
    return bool(F(code - value.zero) * F(value.scale) == F(real))
