"""Pools, means, normalisations and softmax."""

from __future__ import annotations

import math

import numpy as np

from shoestring.base.errors import ModelError
from shoestring.convert.ncnn.building import Blob, Builder
from shoestring.convert.ncnn.layers import Param, Weight
from shoestring.convert.ncnn.moves import along
from shoestring.native.form import Array
from shoestring.native.front.graph import Node, Shape
from shoestring.native.front.images import kernel_of, window

F = np.float32
LARGEST, AVERAGE = 0, 1
VALID = 1  # of pad_mode: windows that fit
REDUCTIONS = {"ReduceSum": 0, "ReduceMean": 3, "ReduceMax": 4, "ReduceMin": 5, "ReduceL1": 7, "ReduceL2": 8}


def pool(builder: Builder, node: Node) -> None:
    """MaxPool and AveragePool over images, or over sequences as images of one row."""
    if len([name for name in node.outputs if name]) > 1:
        raise ModelError("its second output, the places of the maxima, cannot go")
    image, shape = _image(builder, node)
    fields = window(node, kernel_of(node), image.dims[1:])
    if fields["dilations"] != (1, 1):
        raise ModelError("its windows are dilated; pool a Slice of every phase instead")
    out = builder.shape(node.outputs[0])
    dims = out[1:] if len(shape) == 4 else (out[1], 1, out[2])
    (height, width), (down, right), (top, left, bottom, behind) = fields["kernel"], fields["strides"], fields["pads"]
    function = LARGEST if node.op_type == "MaxPool" else AVERAGE
    counted = bool(node.attributes.get("count_include_pad", 0))
    # Windows that hang over the edge (ceil_mode) need that much more padding, which an average must not count.
    more = [
        (dims[1] - 1) * down + height - image.dims[1] - top - bottom,
        (dims[2] - 1) * right + width - image.dims[2] - left - behind,
    ]
    if counted and max(more) > 0:
        raise ModelError("it counts padding, and its windows hang over the edge; pad first, with ceil_mode off")
    params: dict[int, Param] = {0: function, 1: width, 11: height, 2: right, 12: down, 3: left, 13: top}
    params |= {14: behind + max(more[1], 0), 15: bottom + max(more[0], 0), 5: VALID, 6: int(counted)}
    bounds = (image.low, image.high)
    builder.enter(node.outputs[0], builder.emit("Pooling", node.name, [image], dims, params, bounds=bounds))


def _image(builder: Builder, node: Node) -> tuple[Blob, Shape]:
    shape = builder.shape(node.inputs[0])
    if len(shape) not in (3, 4) or shape[0] != 1:
        raise ModelError(f"its input has the shape {shape}; it must be an image (1, C, H, W) or sequence (1, C, L)")
    blob = builder.real(node.inputs[0])
    return builder.reshaped(blob, blob.dims if len(shape) == 4 else (shape[1], 1, shape[2])), shape


def global_pool(builder: Builder, node: Node) -> None:
    image, _ = _image(builder, node)
    _whole_image(builder, node, image, LARGEST if node.op_type == "GlobalMaxPool" else AVERAGE)


def _whole_image(builder: Builder, node: Node, image: Blob, function: int) -> None:
    params: dict[int, Param] = {0: function, 4: 1}
    bounds = (image.low, image.high)
    made = builder.emit("Pooling", node.name, [image], image.dims[:1], params, bounds=bounds)
    builder.enter(node.outputs[0], made)


def reduce(builder: Builder, node: Node) -> None:
    """Over axes that lie side by side, or one after the other."""
    shape = builder.shape(node.inputs[0])
    axes = sorted({axis % len(shape) for axis in _axes(builder, node, len(shape))})
    axes = [axis for axis in axes if shape[axis] != 1]
    source = builder.real(node.inputs[0])
    if node.op_type == "ReduceMean" and axes == [2, 3] and len(shape) == 4 and shape[0] == 1:
        _whole_image(builder, node, source, AVERAGE)
        return
    if axes and axes != list(range(axes[0], axes[-1] + 1)):
        raise ModelError(f"it reduces axes {axes} of {shape}, which do not lie side by side; do it in two steps")
    if axes:
        sizes = (math.prod(shape[: axes[0]]), math.prod(shape[i] for i in axes), math.prod(shape[axes[-1] + 1 :]))
        source = builder.reshaped(source, sizes)
        params: dict[int, Param] = {0: REDUCTIONS[node.op_type], 1: 0, 3: (1,), 4: 1, 5: 1}
        source = builder.emit("Reduction", node.name, [source], (sizes[0], 1, sizes[2]), params)
    builder.enter(node.outputs[0], source)


def _axes(builder: Builder, node: Node, rank: int) -> list[int]:
    if "axes" in node.attributes:
        return [int(axis) for axis in node.attributes["axes"]]
    found = builder.whole(node, 1, "axes")
    if found:
        return found
    return [] if node.attributes.get("noop_with_empty_axes", 0) else list(range(rank))


def softmax(builder: Builder, node: Node) -> None:
    """Over one axis."""
    shape = builder.shape(node.inputs[0])
    if builder.graph.opset < 13:
        raise ModelError("its operator set is older than 13; shoestring import brings it up to date")
    axis = int(node.attributes.get("axis", -1)) % len(shape)
    blob, place = along(builder, builder.real(node.inputs[0]), shape, axis)
    made = builder.emit("Softmax", node.name, [blob], blob.dims, {0: place, 1: 1}, bounds=(0.0, 1.0))
    builder.enter(node.outputs[0], made)


def layer_norm(builder: Builder, node: Node) -> None:
    """Over the last axes."""
    if len([name for name in node.outputs if name]) > 1:
        raise ModelError("its second output cannot go")
    shape = builder.shape(node.inputs[0])
    axis = int(node.attributes.get("axis", -1)) % len(shape)
    count = math.prod(shape[axis:])
    rows = math.prod(shape[:axis])
    blob = builder.reshaped(builder.real(node.inputs[0]), (rows, count) if rows > 1 else (count,))
    scale = _vector(builder, node, 1, count, 1.0)
    shift = _vector(builder, node, 2, count, 0.0)
    params: dict[int, Param] = {0: count, 1: float(node.attributes.get("epsilon", 1e-5)), 2: 1}
    builder.enter(node.outputs[0], builder.emit("LayerNorm", node.name, [blob], blob.dims, params, (scale, shift)))


def instance_norm(builder: Builder, node: Node) -> None:
    image, _ = _image(builder, node)
    channels = image.dims[0]
    scale, shift = _vector(builder, node, 1, channels, 1.0), _vector(builder, node, 2, channels, 0.0)
    params: dict[int, Param] = {0: channels, 1: float(node.attributes.get("epsilon", 1e-5)), 2: 1}
    builder.enter(node.outputs[0], builder.emit("InstanceNorm", node.name, [image], image.dims, params, (scale, shift)))


def batch_norm(builder: Builder, node: Node) -> None:
    """One factor and one term for each channel."""
    image, _ = _image(builder, node)
    channels = image.dims[0]
    scale, shift, mean, variance = (_vector(builder, node, i, channels, 0.0).values for i in (1, 2, 3, 4))
    root = np.sqrt(variance.astype(np.float64) + float(node.attributes.get("epsilon", 1e-5)))
    factor: Array = (scale / root).astype(F)
    term: Array = (shift - mean * scale / root).astype(F)
    params: dict[int, Param] = {0: channels, 1: 1}
    weights = (Weight(factor), Weight(term))
    builder.enter(node.outputs[0], builder.emit("Scale", node.name, [image], image.dims, params, weights))


def _vector(builder: Builder, node: Node, place: int, count: int, default: float) -> Weight:
    name = node.input(place)
    if not name:
        return Weight(np.full(count, default, F))
    value = builder.constant(name)
    if value is None or value.size not in (1, count):
        raise ModelError(f"its input {name!r} is not constant with {count} numbers")
    return Weight(np.broadcast_to(value.reshape(-1).astype(F), (count,)))


def lrn(builder: Builder, node: Node) -> None:
    image, _ = _image(builder, node)
    attributes = node.attributes
    params: dict[int, Param] = {0: 0, 1: int(attributes["size"]), 2: float(attributes.get("alpha", 1e-4))}
    params |= {3: float(attributes.get("beta", 0.75)), 4: float(attributes.get("bias", 1.0))}
    builder.enter(node.outputs[0], builder.emit("LRN", node.name, [image], image.dims, params))
