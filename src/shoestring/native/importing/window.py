"""Pools, resizes and softmax, and the window arithmetic that convolutions share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import onnx

from shoestring.native.form import Mean, Pads, Pool, Resize, Softmax, Value, Window
from shoestring.native.importing.graph import attribute
from shoestring.native.importing.reader import Reader, Refused

Geometry = tuple[Window, Window, Pads, Window]


def pads_of(node: onnx.NodeProto, size: Sequence[int], kernel: Sequence[int]) -> Geometry:
    """Kernel, strides, pads (top, left, bottom, right) and dilations of a node with two spatial axes."""
    if len(size) != 2:
        raise Refused(f"its input has {len(size)} spatial axes, not 2")
    strides = tuple(int(n) for n in attribute(node, "strides", [1, 1]))
    dilations = tuple(int(n) for n in attribute(node, "dilations", [1, 1]))
    pads = [int(n) for n in attribute(node, "pads", [0, 0, 0, 0])]
    auto = attribute(node, "auto_pad", "NOTSET")
    if auto in ("SAME_UPPER", "SAME_LOWER"):
        for axis in (0, 1):
            reach = (int(kernel[axis]) - 1) * dilations[axis] + 1
            total = max(0, (-(-size[axis] // strides[axis]) - 1) * strides[axis] + reach - size[axis])
            small, large = total // 2, total - total // 2
            pads[axis], pads[axis + 2] = (small, large) if auto == "SAME_UPPER" else (large, small)
    elif auto == "VALID":
        pads = [0, 0, 0, 0]
    if min(pads) < 0:
        raise Refused(f"its padding {pads} is negative")
    top, left, bottom, right = pads
    return (int(kernel[0]), int(kernel[1])), (strides[0], strides[1]), (top, left, bottom, right), (
        dilations[0],
        dilations[1],
    )


def max_pool(reader: Reader, node: onnx.NodeProto) -> None:
    """Largest value of a window; codes stay codes."""
    if len(node.output) > 1 and node.output[1]:
        raise Refused("its indices are asked for")
    shape = reader.graph.shape(node.input[0])
    kernel, strides, pads, dilations = pads_of(node, shape[2:], attribute(node, "kernel_shape"))
    if dilations != (1, 1):
        raise Refused(f"its dilations are {dilations}")
    keep(reader, node, lambda inputs, output: Pool(node.name, inputs, output, "max", kernel, strides, pads))


def average_pool(reader: Reader, node: onnx.NodeProto) -> None:
    """Mean of a window."""
    shape = reader.graph.shape(node.input[0])
    kernel, strides, pads, dilations = pads_of(node, shape[2:], attribute(node, "kernel_shape"))
    if dilations != (1, 1):
        raise Refused(f"its dilations are {dilations}")
    counts = bool(attribute(node, "count_include_pad", 0))
    _scaled(
        reader, node, lambda inputs, output: Pool(node.name, inputs, output, "average", kernel, strides, pads, counts)
    )


def global_average(reader: Reader, node: onnx.NodeProto) -> None:
    """GlobalAveragePool, or a ReduceMean over both spatial axes."""
    shape = reader.graph.shape(node.input[0])
    if node.op_type == "ReduceMean":
        axes = attribute(node, "axes")
        if axes is None and len(node.input) > 1 and node.input[1]:
            constant = reader.graph.constants.get(node.input[1])
            axes = None if constant is None else constant.tolist()
        if axes is None or len(shape) != 4 or sorted(axis % 4 for axis in axes) != [2, 3]:
            raise Refused(f"it takes the mean over axes {axes} of {shape}, not over the last two of four")
    if len(shape) != 4:
        raise Refused(f"its input has shape {shape}, not four axes")
    _scaled(reader, node, lambda inputs, output: Mean(node.name, inputs, output))


def softmax(reader: Reader, node: onnx.NodeProto) -> None:
    """Over one axis."""
    shape = reader.graph.shape(node.input[0])
    axis = int(attribute(node, "axis", -1)) % len(shape)
    op = Softmax(node.name, (reader.real(node.input[0]),), node.output[0], axis)
    reader.add(op, reader.new_real(node.output[0]))


def resize(reader: Reader, node: onnx.NodeProto) -> None:
    """Resize or Upsample of the two spatial axes, nearest or bilinear."""
    before, after = reader.graph.shape(node.input[0]), reader.graph.shape(node.output[0])
    if len(before) != 4 or before[:2] != after[:2]:
        raise Refused(f"it resizes {before} to {after}; only the last two of four axes can be")
    mode = attribute(node, "mode", "nearest")
    if mode not in ("nearest", "linear"):
        raise Refused(f"mode {mode!r}")
    scales = _scales(reader, node, before, after)
    where = [_coordinates(node, before[2 + i], after[2 + i], scales[i]) for i in (0, 1)]
    if mode == "nearest":
        rows, columns = (_nearest(node, x, before[2 + i]) for i, x in enumerate(where))
        keep(reader, node, lambda inputs, output: Resize(node.name, inputs, output, "nearest", rows, columns))
        return
    pairs = [_pair(x, before[2 + i]) for i, x in enumerate(where)]
    fields = dict(
        zip(("rows", "rows2", "row_part", "columns", "columns2", "column_part"), (*pairs[0], *pairs[1]), strict=True)
    )
    target = reader.quantized_as(node.output[0])
    source = reader.integer(node.input[0])
    if source is not None and target is not None and (source.scale, source.zero) == (target[1].scale, target[1].zero):
        reader.take([target[0]])
        op = Resize(node.name, (source.name,), target[1].name, "bilinear", **fields)  # type: ignore[arg-type]
        reader.add(op, target[1])
        return
    op = Resize(
        node.name, (reader.real(node.input[0]),), node.output[0], "bilinear", **fields  # type: ignore[arg-type]
    )
    reader.add(op, reader.new_real(node.output[0]))


def keep(reader: Reader, node: onnx.NodeProto, make: object, inputs: tuple[str, ...] | None = None) -> None:
    """An operator that moves or selects: codes in, codes of the same scale out; floats likewise."""
    names = inputs if inputs is not None else (node.input[0],)
    sources = [reader.integer(name) for name in names]
    result = node.output[0]
    first = sources[0]
    if first is not None and all(s is not None and (s.scale, s.zero) == (first.scale, first.zero) for s in sources):
        value = replace(first, name=f"{result}/codes", shape=reader.graph.shape(result))
        reader.add(make(tuple(s.name for s in sources if s is not None), value.name), value)  # type: ignore[operator]
        reader.codes[result] = value.name
        return
    reader.add(make(tuple(reader.real(name) for name in names), result), reader.new_real(result))  # type: ignore[operator]


def _scaled(reader: Reader, node: onnx.NodeProto, make: object) -> None:
    """An operator with one input whose result is quantized anew."""
    source, target = reader.integer(node.input[0]), reader.quantized_as(node.output[0])
    if source is not None and target is not None:
        reader.take([target[0]])
        reader.add(make((source.name,), target[1].name), target[1])  # type: ignore[operator]
        return
    value = Value(node.output[0], reader.graph.shape(node.output[0]), "f32")
    reader.add(make((reader.real(node.input[0]),), value.name), value)  # type: ignore[operator]


def _scales(
    reader: Reader, node: onnx.NodeProto, before: tuple[int, ...], after: tuple[int, ...]
) -> tuple[float, float]:
    for name in node.input[1:3]:
        constant = reader.graph.constants.get(name)
        if constant is not None and constant.size == 4 and constant.dtype == np.float32:
            return float(constant[2]), float(constant[3])
    return after[2] / before[2], after[3] / before[3]


def _coordinates(node: onnx.NodeProto, before: int, after: int, scale: float) -> np.ndarray:
    """Where every output index lies in the input (ONNX, operator Resize)."""
    default = "asymmetric" if node.op_type == "Upsample" else "half_pixel"
    mode = attribute(node, "coordinate_transformation_mode", default)
    x = np.arange(after, dtype=np.float64)
    if mode == "asymmetric":
        return x / scale
    if mode == "align_corners":
        return x * ((before - 1) / (after - 1)) if after > 1 else x * 0
    if mode == "pytorch_half_pixel" and after == 1:
        return x * 0
    if mode in ("half_pixel", "pytorch_half_pixel"):
        return (x + 0.5) / scale - 0.5
    if mode == "tf_half_pixel_for_nn":
        return (x + 0.5) / scale
    raise Refused(f"coordinates {mode!r}")


def _nearest(node: onnx.NodeProto, x: np.ndarray, size: int) -> tuple[int, ...]:
    mode = attribute(node, "nearest_mode", "floor" if node.op_type == "Upsample" else "round_prefer_floor")
    rounding = {
        "round_prefer_floor": lambda v: np.ceil(v - 0.5),
        "round_prefer_ceil": lambda v: np.floor(v + 0.5),
        "floor": np.floor,
        "ceil": np.ceil,
    }.get(mode)
    if rounding is None:
        raise Refused(f"rounding {mode!r}")
    return tuple(int(i) for i in np.clip(rounding(x), 0, size - 1))


def _pair(x: np.ndarray, size: int) -> tuple[tuple[int, ...], tuple[int, ...], tuple[float, ...]]:
    """First source, second source, and the part of the second."""
    x = np.clip(x, 0, size - 1)
    low = np.floor(x).astype(int)
    high = np.minimum(low + 1, size - 1)
    return (
        tuple(int(i) for i in low),
        tuple(int(i) for i in high),
        tuple(float(np.float32(part)) for part in x - low),
    )
