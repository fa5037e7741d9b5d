"""Conv, ConvTranspose, Gemm and MatMul, in floats or in 8 bits.

An 8-bit layer reads bytes (`grids`), sums them times its weights in int32, and makes reals:
`sum / (input scale * weight scale) + bias`, then its activation; or bytes of the next layer's grid, rounded to the
nearest, halves away from 0. The bytes are shifted codes, so the bias takes the shift times the sum of the weights; zero
points of the next layer go into it too. Weight codes and scales stay as they are (the sign of whole layers may turn).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from shoestring.base.errors import ModelError
from shoestring.convert.ncnn import ends
from shoestring.convert.ncnn.building import Blob, Builder, OnGrid, canonical
from shoestring.convert.ncnn.ends import End, clamping
from shoestring.convert.ncnn.grids import LIMIT, Grid
from shoestring.convert.ncnn.layers import Param, Weight
from shoestring.native.form import Array
from shoestring.native.front.graph import Node, Shape
from shoestring.native.front.images import window

F = np.float32
INTEGER, REQUANTIZED = 1, 101
"""Of the parameter int8_scale_term: makes reals, makes bytes."""
_ALMOST = 1 - 1e-4  # of the whole range of bytes: nothing is left to clamp


@dataclass(frozen=True, eq=False)
class Product:
    """What a layer multiplies with.

    Args:
        weight: float32, or int8 codes about 0; output channels first.
        bias: in reals, float64, one for each output channel.
        scale: of codes, float32, one for each output channel; None for float weights.
        grid: of the input's codes.
    """

    weight: Array
    bias: Array
    scale: Array | None = None
    grid: Grid | None = None

    def per_channel(self) -> Array:
        """Sum of the weight codes of each output channel."""
        return np.asarray(self.weight.reshape(len(self.weight), -1).astype(np.int64).sum(axis=1))


def conv(builder: Builder, node: Node) -> None:
    """Over images, or over sequences as images of one row."""
    source = node.inputs[0]
    shape = builder.shape(source)
    if len(shape) not in (3, 4) or shape[0] != 1:
        raise ModelError(f"its input has the shape {shape}; it must be an image (1, C, H, W) or sequence (1, C, L)")
    product = _conv_product(builder, node)
    image = builder.codes(source) if product.grid is not None else builder.real(source)
    if len(shape) == 3:
        image = builder.reshaped(image, (shape[1], 1, shape[2]))
    weight = product.weight
    kernel = (1, weight.shape[2]) if weight.ndim == 3 else (weight.shape[2], weight.shape[3])
    fields = window(node, kernel, image.dims[1:])
    group = int(node.attributes.get("group", 1))
    params = _window_params(fields, len(weight), weight.size)
    if group > 1:
        params[7] = group
    if product.grid is not None and product.grid.pad:
        params[18] = float(product.grid.pad)
    reach = [
        (image.dims[1 + i] + fields["pads"][i] + fields["pads"][i + 2] - fields["dilations"][i] * (kernel[i] - 1) - 1)
        // fields["strides"][i]
        + 1
        for i in (0, 1)
    ]
    kind = "Convolution" if group == 1 else "ConvolutionDepthWise"
    _finish(builder, node, _Step(kind, image, (len(weight), *reach), params, 5), product, node.outputs[0])


def _window_params(fields: dict[str, Any], channels: int, weights: int) -> dict[int, Param]:
    (height, width), (down, right), pads = fields["kernel"], fields["strides"], fields["pads"]
    gap_down, gap_right = fields["dilations"]
    params: dict[int, Param] = {0: channels, 1: width, 11: height, 2: gap_right, 12: gap_down, 3: right, 13: down}
    top, left, bottom, behind = pads
    return params | {4: left, 14: top, 15: behind, 16: bottom, 6: weights}


def _conv_product(builder: Builder, node: Node) -> Product:
    real = _float_weight(builder, node)
    bias = _bias(builder, node.input(2), len(real))
    found = ends.integer_conv(builder, node)
    if isinstance(found, str):
        _stays(builder, node, found)
        return Product(real, bias)
    return Product(found[0], bias, found[1], builder.on_grid[node.inputs[0]].grid)


def _stays(builder: Builder, node: Node, reason: str) -> None:
    if reason:
        builder.notes.append(f"{node} has 8-bit weights and works in float: {reason}")


def _float_weight(builder: Builder, node: Node) -> Array:
    value = builder.constant(node.inputs[1])
    if value is None or value.dtype != F:
        raise ModelError(f"its weight {node.inputs[1]!r} is not constant float32 (8-bit weights count as such)")
    return value


def _bias(builder: Builder, name: str, channels: int) -> Array:
    if not name:
        return np.zeros(channels)
    value = builder.constant(name)
    if value is None:
        raise ModelError(f"its bias {name!r} is computed; it must be constant")
    if value.size not in (1, channels):
        raise ModelError(f"its bias {name!r} has the shape {value.shape}; it must be ({channels},)")
    return np.broadcast_to(value.reshape(-1).astype(np.float64), (channels,))


def gemm(builder: Builder, node: Node) -> None:
    """With constant weights and bias."""
    if node.attributes.get("transA", 0):
        raise ModelError("its transA is set; transpose its first input instead")
    axis = 0 if node.attributes.get("transB", 0) else 1
    alpha, beta = F(node.attributes.get("alpha", 1.0)), float(node.attributes.get("beta", 1.0))
    real = np.moveaxis(_float_weight(builder, node), axis, 0)
    bias = _bias(builder, node.input(2), len(real)) * beta
    _linear(builder, node, real, bias, axis, alpha, node.outputs[0])


def matmul(builder: Builder, node: Node) -> None:
    """With constant weights, and the bias that alone is added to it; or of two activations."""
    weight = builder.constant(node.inputs[1])
    if weight is None or weight.ndim != 2 or node.inputs[0] in builder.graph.constants:
        _two_blobs(builder, node)
        return
    real = _float_weight(builder, node).T
    name, output = _added_bias(builder, node, len(real))
    _linear(builder, node, real, _bias(builder, name, len(real)), 1, F(1), output)


def _added_bias(builder: Builder, node: Node, channels: int) -> tuple[str, str]:
    output = node.outputs[0]
    adder = builder.sole_reader(output)
    if adder is None or adder.op_type != "Add":
        return "", output
    name = adder.inputs[0] if adder.inputs[1] == output else adder.inputs[1]
    value = builder.constant(name)
    fits = value is not None and value.size == channels and value.shape[-1:] == (channels,)
    if not fits or builder.shape(adder.outputs[0]) != builder.shape(output):
        return "", output
    builder.absorbed.add(adder)
    return name, adder.outputs[0]


def _linear(builder: Builder, node: Node, real: Array, bias: Array, axis: int, alpha: Any, output: str) -> None:
    """A fully connected layer over the last axis; all axes before it are rows."""
    tensor = node.inputs[0]
    shape = builder.shape(tensor)
    rows = canonical((1, *shape[:-1])) if len(shape) > 1 else (1,)
    count = int(np.prod(rows))
    flat: Shape = (count, shape[-1]) if count > 1 else (shape[-1],)
    product, source = Product(np.ascontiguousarray(real * alpha), bias), None
    if builder.quantized:
        found = ends.integer_weights(builder, node, axis)
        if isinstance(found, str):
            _stays(builder, node, found)
        else:
            grid = builder.on_grid[tensor].grid
            product = Product(found[0], bias, found[1] * alpha, grid)
            source = _flat_codes(builder, tensor, flat)
    if source is None:
        source = builder.reshaped(builder.real(tensor), flat)
    outputs = len(product.weight)
    dims = (count, outputs) if count > 1 else (outputs,)
    params: dict[int, Param] = {0: outputs, 2: product.weight.size}
    _finish(builder, node, _Step("InnerProduct", source, dims, params, 1), product, output)


def _flat_codes(builder: Builder, tensor: str, flat: Shape) -> Blob:
    """Codes of a tensor as rows: shared with other readers where its blob has those axes already."""
    found = builder.on_grid[tensor]
    if found.source is None or found.source.dims == flat:
        return builder.codes(tensor)
    name = f"{tensor}/rows"
    if name not in builder.on_grid:
        builder.on_grid[name] = OnGrid(found.grid, builder.reshaped(found.source, flat))
    return builder.codes(name)


@dataclass(frozen=True, eq=False)
class _Step:
    """A layer but for its weights: `bias_key` is the number of the parameter that says whether it has a bias."""

    kind: str
    source: Blob
    dims: Shape
    params: dict[int, Param]
    bias_key: int


def _finish(builder: Builder, node: Node, step: _Step, product: Product, output: str) -> None:
    """Emit the layer with what stands behind it."""
    end = ends.end_of(builder, output)
    builder.absorbed.update(end.absorbed)
    requantized = (
        product.scale is not None
        and step.kind != "InnerProduct"
        and end.own is None
        and end.quantize is not None
        and ends.wants_codes(builder, end.quantize)
    )
    if requantized and end.quantize is not None and end.grid is not None:
        codes = _emit_codes(builder, node, step, product, end, end.grid)
        builder.absorbed.add(end.quantize)
        builder.on_grid[end.quantize.outputs[0]] = OnGrid(end.grid, None, codes)
        return
    low, high = end.low, end.high
    if end.grid is not None and end.own is None:
        low, high = (min(max(limit, end.grid.low), end.grid.high) for limit in (low, high))
    params = step.params | (clamping(low, high) if end.own is None else end.own)
    weights = _weights(product, product.bias, 1)
    if product.grid is not None:
        params[8] = INTEGER
    if product.bias.any() or product.grid is not None:
        params[step.bias_key] = 1
    else:
        weights = weights[:1]
    bounds = (low, high) if end.own is None else (-np.inf, np.inf)
    builder.enter(end.tensor, builder.emit(step.kind, node.name, [step.source], step.dims, params, weights, bounds))


def _emit_codes(builder: Builder, node: Node, step: _Step, product: Product, end: End, grid: Grid) -> Blob:
    """A layer that makes the bytes of the next one."""
    shifted = replace(product, bias=product.bias + grid.shift)
    whole = LIMIT * grid.scale
    edges = [grid.sign * (limit + grid.shift) for limit in (max(end.low, grid.low), min(end.high, grid.high))]
    low, high = max(min(edges), -whole), min(max(edges), whole)
    params = step.params | {8: REQUANTIZED, step.bias_key: 1}
    if low > -whole * _ALMOST or high < whole * _ALMOST:
        params |= clamping(low, high)
    weights = (*_weights(shifted, shifted.bias, grid.sign), Weight(np.array([1 / grid.scale], F)))
    return builder.emit(step.kind, node.name, [step.source], step.dims, params, weights)


def _weights(product: Product, bias: Array, sign: int) -> tuple[Weight, ...]:
    """Weights, bias and scales as ncnn reads them; `sign` turns the whole layer."""
    if product.grid is None or product.scale is None:
        return (Weight(product.weight, tagged=True), Weight(bias.astype(F)))
    grid = product.grid
    step = product.scale.astype(np.float64) * grid.scale
    bias = sign * (bias + (grid.centre - grid.zero) * product.per_channel() * step)
    codes = (product.weight.astype(np.int16) * (sign * grid.sign)).astype(np.int8)
    scales = (1 / product.scale.astype(np.float64)).astype(F)
    return (Weight(codes, tagged=True), Weight(bias.astype(F)), Weight(scales), Weight(np.array([1 / grid.scale], F)))


def _two_blobs(builder: Builder, node: Node) -> None:
    """MatMul of two tensors, their leading axes as one."""
    shapes = [builder.shape(name) for name in node.inputs[:2]]
    if min(len(shape) for shape in shapes) < 2:
        raise ModelError(f"its inputs have {[len(shape) for shape in shapes]} axes; they must have 2 or more")
    counts = [int(np.prod(shape[:-2], dtype=np.int64)) for shape in shapes]
    first, second = (builder.real(name) for name in node.inputs[:2])
    (rows, inner), columns = shapes[0][-2:], shapes[1][-1]
    if counts[1] == 1:
        pair = [builder.reshaped(first, (counts[0] * rows, inner)), builder.reshaped(second, (inner, columns))]
        dims: Shape = (counts[0] * rows, columns)
    elif counts[0] == counts[1] and shapes[0][:-2] == shapes[1][:-2]:
        sizes = ((rows, inner), (inner, columns))
        pair = [builder.reshaped(blob, (counts[0], *size)) for blob, size in zip((first, second), sizes, strict=True)]
        dims = (counts[0], rows, columns)
    else:
        raise ModelError(f"it broadcasts {shapes[0]} with {shapes[1]}; write out the leading axes with Expand")
    builder.enter(node.outputs[0], builder.emit("MatMul", node.name, pair, dims))


def conv_transpose(builder: Builder, node: Node) -> None:
    """In floats; ncnn has no 8-bit form."""
    shape = builder.shape(node.inputs[0])
    weight = _float_weight(builder, node)
    group = int(node.attributes.get("group", 1))
    if (
        len(shape) != 4
        or (group > 1 and weight.shape[1] != 1)
        or str(node.attributes.get("auto_pad", "NOTSET")) != "NOTSET"
    ):
        raise ModelError("only a ConvTranspose over images with stated pads, of one group or depthwise, can go")
    if node.inputs[1] in builder.graph.quantized:
        _stays(builder, node, "ncnn has no 8-bit Deconvolution")
    weight = weight if group > 1 else np.ascontiguousarray(weight.transpose(1, 0, 2, 3))
    image = builder.real(node.inputs[0])
    fields = window(node, (weight.shape[2], weight.shape[3]), image.dims[1:])
    params = _window_params(fields, len(weight), weight.size)
    behind = tuple(int(n) for n in node.attributes.get("output_padding", (0, 0)))
    params |= {18: behind[1], 19: behind[0]} | ({7: group} if group > 1 else {})
    if "output_shape" in node.attributes:
        raise ModelError("its output_shape is set; state pads instead")
    kind = "Deconvolution" if group == 1 else "DeconvolutionDepthWise"
    dims = builder.shape(node.outputs[0])[1:]
    bias = _bias(builder, node.input(2), len(weight))
    _finish(builder, node, _Step(kind, image, dims, params, 5), Product(weight, bias), node.outputs[0])
