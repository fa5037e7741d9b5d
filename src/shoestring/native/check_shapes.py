"""Whether shapes and parameters of an operator agree."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from shoestring.native import form
from shoestring.native.check_words import Place

MAX_SIDE = 32767
"""Of an image: targets keep rows and columns in 16 bits."""

Shape = tuple[int, ...]


def check_shapes(place: Place) -> None:
    """Refuse shapes that do not follow from the operator, and parameters outside their range.

    Raises:
        ModelError: with the operator, what it has and what it should have.
    """
    _RULES[type(place.op)](place, place.op)


def _output(place: Place, wanted: Shape) -> None:
    shape = place.output.shape
    place.must(shape == wanted, f"its output has the shape {shape}; it must be {wanted}")


def _image(place: Place, value_of: str = "input") -> Shape:
    """The shape of the input (or output), which must be one image with sides in 16 bits."""
    shape = place.inputs[0].shape if value_of == "input" else place.output.shape
    sane = len(shape) == 4 and shape[0] == 1 and max(shape[2:]) <= MAX_SIDE
    place.must(sane, f"its {value_of} has the shape {shape}; it must be (1, C, H, W), sides at most {MAX_SIDE}")
    return shape


def _window(place: Place, op: form.Conv | form.Pool, kernel: form.Window) -> None:
    place.must(len(op.pads) == 4 and min(op.pads) >= 0, f"its pads are {op.pads}; they are four, 0 or more")
    place.must(len(op.strides) == 2 and min(op.strides) >= 1, f"its strides are {op.strides}; they are two, 1 or more")
    place.must(len(kernel) == 2 and min(kernel) >= 1, f"its kernel is {kernel}; it has two sides, 1 or more")
    most = max(*op.pads, *op.strides, *kernel)
    place.must(most <= MAX_SIDE, f"a pad, stride or kernel side is {most}; the limit is {MAX_SIDE}")


def _conv(place: Place, op: form.Conv) -> None:
    image, weight = _image(place), op.weight.shape
    _window(place, op, weight[2:])
    fits = len(op.dilations) == 2 and min(op.dilations) >= 1 and max(op.dilations) <= MAX_SIDE
    place.must(fits, f"its dilations are {op.dilations}; they are two, in 1..{MAX_SIDE}")
    fits = op.groups >= 1 and weight[0] % op.groups == 0 and weight[1] * op.groups == image[1]
    place.must(fits, f"weight {weight} in {op.groups} groups does not fit {image[1]} input channels")
    sides = []
    for axis in (0, 1):
        padded = image[2 + axis] + op.pads[axis] + op.pads[axis + 2]
        reach = (weight[2 + axis] - 1) * op.dilations[axis] + 1
        place.must(padded <= MAX_SIDE, f"its padded input has a side of {padded}; the limit is {MAX_SIDE}")
        place.must(reach <= padded, f"its kernel spans {reach}, its padded input only {padded}")
        sides.append((padded - reach) // op.strides[axis] + 1)
    _output(place, (1, weight[0], *sides))


def _linear(place: Place, op: form.Linear) -> None:
    shape = place.inputs[0].shape
    place.must(len(shape) >= 1 and shape[-1] == op.weight.shape[1], f"weight {op.weight.shape} does not fit {shape}")
    _output(place, (*shape[:-1], len(op.weight)))


def _matmul(place: Place, op: form.MatMul) -> None:
    a, b = place.inputs[0].shape, place.inputs[1].shape
    place.must(min(len(a), len(b)) >= 2 and a[-1] == b[-2], f"{a} and {b} cannot be multiplied")
    _output(place, (*_broadcast(place, a[:-2], b[:-2]), a[-2], b[-1]))


def _broadcast(place: Place, a: Shape, b: Shape) -> Shape:
    long = max(len(a), len(b))
    pairs = list(zip((1,) * (long - len(a)) + a, (1,) * (long - len(b)) + b, strict=True))
    place.must(all(m == n or 1 in (m, n) for m, n in pairs), f"{a} and {b} do not broadcast")
    return tuple(max(pair) for pair in pairs)


def _binary(place: Place, op: form.Binary) -> None:
    place.must(op.kind in ("add", "sub", "mul", "div"), f"it cannot {op.kind!r}")
    second = place.inputs[1].shape if op.constant is None else op.constant.shape
    _output(place, _broadcast(place, place.inputs[0].shape, second))


def _same(place: Place, _op: form.Op) -> None:
    _output(place, place.inputs[0].shape)


def _unary(place: Place, op: form.Unary) -> None:
    place.must(op.function in form.UNARY, f"no function {op.function!r}; there are {form.UNARY}")
    place.must(not np.isnan([op.a, op.b]).any(), f"its parameters are {op.a}, {op.b}; NaN is not a parameter")
    _same(place, op)


def _pool(place: Place, op: form.Pool) -> None:
    place.must(op.function in ("max", "average"), f"no function {op.function!r}; there are max and average")
    image, output = _image(place), _image(place, "output")
    _window(place, op, op.kernel)
    place.must(output[:2] == image[:2], f"its output has the shape {output}; channels must be those of {image}")
    for axis in (0, 1):
        last = (output[2 + axis] - 1) * op.strides[axis] - op.pads[axis]
        inside = op.kernel[axis] > op.pads[axis] and last < image[2 + axis]
        place.must(inside, f"a window has no element inside the image: kernel {op.kernel}, pads {op.pads}, {image}")


def _mean(place: Place, _op: form.Op) -> None:
    channels = _image(place)[:2]
    shape = place.output.shape
    fits = shape in (channels, (*channels, 1, 1))
    place.must(fits, f"its output has the shape {shape}; it must be {channels} or {(*channels, 1, 1)}")


def _softmax(place: Place, op: form.Softmax) -> None:
    rank = len(place.inputs[0].shape)
    place.must(-rank <= op.axis < rank, f"its axis is {op.axis}; the input has {rank} axes")
    _same(place, op)


def _concat(place: Place, op: form.Concat) -> None:
    shapes = [value.shape for value in place.inputs]
    first, axis = shapes[0], op.axis
    place.must(0 <= axis < len(first), f"its axis is {axis}; it must be in 0..{len(first) - 1}")
    rest = {(len(shape), shape[:axis], shape[axis + 1 :]) for shape in shapes}
    place.must(len(rest) == 1, f"its inputs {shapes} differ outside axis {axis}")
    _output(place, (*first[:axis], sum(shape[axis] for shape in shapes), *first[axis + 1 :]))


def _slice(place: Place, op: form.Slice) -> None:
    source, shape = place.inputs[0].shape, place.output.shape
    ranks = {len(source), len(shape), len(op.starts), len(op.steps)}
    place.must(
        len(ranks) == 1, f"input {source}, output {shape}, starts {op.starts}, steps {op.steps} differ in length"
    )
    for side, start, step, n in zip(source, op.starts, op.steps, shape, strict=True):
        last = start + step * (n - 1)
        place.must(step != 0, "a step is 0")
        place.must(0 <= start < side and 0 <= last < side, f"it reads {start}..{last} of an axis of {side}")


def _pad(place: Place, op: form.Pad) -> None:
    source, shape = place.inputs[0].shape, place.output.shape
    place.must(len(source) == len(shape) == len(op.before), f"{source}, {shape}, before {op.before} differ in length")
    for side, before, n in zip(source, op.before, shape, strict=True):
        place.must(before >= 0 and before + side <= n, f"{side} elements after {before} do not fit an axis of {n}")
    if place.output.kind == "i8":
        place.must(op.value in range(256), f"its value is {op.value}; it must be a code, 0..255")
    else:
        place.must(not np.isnan(op.value), "its value is NaN")


def _resize(place: Place, op: form.Resize) -> None:
    image, output = _image(place), _image(place, "output")
    place.must(op.function in ("nearest", "bilinear"), f"no function {op.function!r}; there are nearest and bilinear")
    place.must(output[:2] == image[:2], f"its output has the shape {output}; channels must be those of {image}")
    lines: list[tuple[tuple[int, ...], int]] = [(op.rows, 0), (op.columns, 1)]
    if op.function == "bilinear":
        lines += [(op.rows2, 0), (op.columns2, 1)]
        for parts, axis in ((op.row_part, 0), (op.column_part, 1)):
            inside = len(parts) == output[2 + axis] and all(0.0 <= part <= 1.0 for part in parts)
            place.must(inside, f"it has {len(parts)} weights for {output[2 + axis]} lines, or one outside 0..1")
    for line, axis in lines:
        inside = len(line) == output[2 + axis] and all(0 <= at < image[2 + axis] for at in line)
        place.must(inside, f"it has {len(line)} sources for {output[2 + axis]} lines, or one outside the image {image}")


def _transpose(place: Place, op: form.Transpose) -> None:
    shape = place.inputs[0].shape
    place.must(sorted(op.axes) == list(range(len(shape))), f"its axes {op.axes} are no order of {len(shape)} axes")
    _output(place, tuple(shape[axis] for axis in op.axes))


def _reshape(place: Place, _op: form.Op) -> None:
    before, after = place.inputs[0], place.output
    place.must(before.count == after.count, f"{before.shape} and {after.shape} differ in their number of elements")


_RULES: dict[type[form.Op], Callable[[Place, Any], None]] = {
    form.Quantize: _same,
    form.Dequantize: _same,
    form.Table: _same,
    form.Unary: _unary,
    form.Binary: _binary,
    form.Conv: _conv,
    form.Linear: _linear,
    form.MatMul: _matmul,
    form.Pool: _pool,
    form.Mean: _mean,
    form.Softmax: _softmax,
    form.Concat: _concat,
    form.Slice: _slice,
    form.Pad: _pad,
    form.Resize: _resize,
    form.Transpose: _transpose,
    form.Reshape: _reshape,
}
