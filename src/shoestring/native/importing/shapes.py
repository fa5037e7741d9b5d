"""Operators that move elements: codes stay codes."""

from __future__ import annotations

import numpy as np
import onnx

from shoestring.native.form import Concat, Pad, Reshape, Slice, Transpose, Value
from shoestring.native.importing.graph import Array, attribute
from shoestring.native.importing.reader import Reader, Refused, requantize
from shoestring.native.importing.window import keep


def reshape(reader: Reader, node: onnx.NodeProto) -> None:
    """Reshape, Flatten, Squeeze, Unsqueeze."""
    keep(reader, node, lambda inputs, output: Reshape(node.name, inputs, output))


def identity(reader: Reader, node: onnx.NodeProto) -> None:
    """Identity, Dropout, Cast of float to float."""
    reader.same[node.output[0]] = node.input[0]


def transpose(reader: Reader, node: onnx.NodeProto) -> None:
    rank = len(reader.graph.shape(node.input[0]))
    axes = tuple(int(i) for i in attribute(node, "perm", list(range(rank))[::-1]))
    keep(reader, node, lambda inputs, output: Transpose(node.name, inputs, output, axes))


def concat(reader: Reader, node: onnx.NodeProto) -> None:
    """Codes of other scales are requantized to the result's first."""
    axis = int(attribute(node, "axis")) % len(reader.graph.shape(node.output[0]))
    sources = [reader.integer(name) for name in node.input]
    target = reader.quantized_as(node.output[0])
    if target is None or any(source is None for source in sources):
        keep(reader, node, lambda inputs, output: Concat(node.name, inputs, output, axis), tuple(node.input))
        return
    quantizer, value = target
    names = []
    for number, source in enumerate(sources):
        if source is None:
            raise Refused("an input is no code")
        name = source.name
        if (source.scale, source.zero) != (value.scale, value.zero):
            name = f"{node.output[0]}/input{number}"
            same = Value(name, source.shape, "i8", value.scale, value.zero)
            reader.add(requantize(f"{node.name}/requantize{number}", source, same), same)
        names.append(name)
    reader.take([quantizer])
    reader.add(Concat(node.name, tuple(names), value.name, axis), value)


def slices(reader: Reader, node: onnx.NodeProto) -> None:
    """Slice with constant bounds."""
    shape = reader.graph.shape(node.input[0])
    starts, ends = _constant(reader, node, 1), _constant(reader, node, 2)
    axes = _constant(reader, node, 3) if len(node.input) > 3 and node.input[3] else np.arange(len(starts))
    steps = _constant(reader, node, 4) if len(node.input) > 4 and node.input[4] else np.ones(len(starts), np.int64)
    first, step = [0] * len(shape), [1] * len(shape)
    for start, end, axis, by in zip(starts, ends, axes, steps, strict=True):
        axis = int(axis) % len(shape)
        first[axis], _, step[axis] = slice(int(start), int(end), int(by)).indices(shape[axis])
    keep(reader, node, lambda inputs, output: Slice(node.name, inputs, output, tuple(first), tuple(step)))


def split(reader: Reader, node: onnx.NodeProto) -> None:
    """One slice for each output."""
    shape = reader.graph.shape(node.input[0])
    axis = int(attribute(node, "axis", 0)) % len(shape)
    at = 0
    for number, output in enumerate(node.output):
        first = tuple(at if i == axis else 0 for i in range(len(shape)))
        part = onnx.helper.make_node("Slice", [node.input[0]], [output], f"{node.name}/{number}")
        keep(
            reader,
            part,
            lambda inputs, made, first=first, part=part: Slice(part.name, inputs, made, first, (1,) * len(shape)),
        )
        at += reader.graph.shape(output)[axis]


def pad(reader: Reader, node: onnx.NodeProto) -> None:
    """Constant padding; of codes only with a constant that has a code."""
    if attribute(node, "mode", "constant") != "constant":
        raise Refused(f"mode {attribute(node, 'mode')!r}")
    shape = reader.graph.shape(node.input[0])
    given = _constant(reader, node, 1)
    axes = _constant(reader, node, 3) if len(node.input) > 3 and node.input[3] else np.arange(len(shape))
    if np.any(given < 0):
        raise Refused("its padding is negative")
    before = [0] * len(shape)
    for axis, count in zip(axes, given[: len(axes)], strict=True):
        before[int(axis) % len(shape)] = int(count)
    constant = reader.graph.real_constant(node.input[2]) if len(node.input) > 2 and node.input[2] else np.zeros(1)
    if constant is None:
        raise Refused("its constant is not known")
    value = float(np.asarray(constant).reshape(-1)[0])
    source, result = reader.integer(node.input[0]), node.output[0]
    if source is not None:
        code = np.rint(np.float32(value) / np.float32(source.scale)) + source.zero
        if 0 <= code <= 255 and np.float32(code - source.zero) * np.float32(source.scale) == np.float32(value):
            keep(reader, node, lambda inputs, output: Pad(node.name, inputs, output, tuple(before), float(code)))
            return
    reader.add(Pad(node.name, (reader.real(node.input[0]),), result, tuple(before), value), reader.new_real(result))


def gather(reader: Reader, node: onnx.NodeProto) -> None:
    """One constant index: a slice without its axis."""
    index = reader.graph.constants.get(node.input[1])
    if index is None or index.ndim != 0:
        raise Refused("it picks by more than one constant index")
    shape = reader.graph.shape(node.input[0])
    axis = int(attribute(node, "axis", 0)) % len(shape)
    first = tuple(int(index) % shape[axis] if i == axis else 0 for i in range(len(shape)))
    name = f"{node.output[0]}/slice"
    reader.graph.shapes[name] = tuple(1 if i == axis else n for i, n in enumerate(shape))
    part = onnx.helper.make_node("Slice", [node.input[0]], [name], f"{node.name}/slice")
    keep(reader, part, lambda inputs, made: Slice(part.name, inputs, made, first, (1,) * len(shape)))
    whole = onnx.helper.make_node("Reshape", [name], [node.output[0]], node.name)
    reshape(reader, whole)


def _constant(reader: Reader, node: onnx.NodeProto, place: int) -> Array:
    found = reader.graph.constants.get(node.input[place])
    if found is None:
        raise Refused("its bounds are not constant")
    return found.reshape(-1)
