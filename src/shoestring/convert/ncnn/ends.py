"""What stands behind a layer: activations it can do itself, and whether its result is wanted as codes."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from shoestring.convert.ncnn.building import FLOAT_MAX, Builder
from shoestring.convert.ncnn.grids import LIMIT, Grid
from shoestring.convert.ncnn.layers import Param
from shoestring.native.form import Array
from shoestring.native.front.folding import activation_affine
from shoestring.native.front.graph import Node

RELU, LEAKY, CLIP, SIGMOID, MISH, HARD_SWISH = 1, 2, 3, 4, 5, 6
"""Activation types of ncnn's layers with weights (`src/layer/fused_activation.h`)."""

_TYPE, _PARAMS = 9, 10  # numbers of the parameters
_OWN = {"Sigmoid": SIGMOID, "Mish": MISH, "HardSwish": HARD_SWISH, "LeakyRelu": LEAKY}


@dataclass(frozen=True, eq=False)
class End:
    """Where a layer's result really goes.

    Args:
        tensor: the output of the last activation that alone reads it.
        absorbed: the nodes in between.
        low, high: bounds of ReLUs and Clips among them.
        own: another activation than these, with its parameters; nothing follows it.
        quantize: the QuantizeLinear that alone reads `tensor`.
        grid: its codes.
    """

    tensor: str
    absorbed: tuple[Node, ...]
    low: float
    high: float
    own: dict[int, Param] | None
    quantize: Node | None
    grid: Grid | None


def end_of(builder: Builder, tensor: str) -> End:
    """Follow a result through what its layer can do."""
    low, high = -math.inf, math.inf
    absorbed: list[Node] = []
    own: dict[int, Param] | None = None
    while own is None:
        reader = builder.sole_reader(tensor)
        if reader is None:
            break
        bounds = bounds_of(builder, reader)
        if bounds is not None:
            low, high = (min(max(limit, bounds[0]), bounds[1]) for limit in (low, high))
        elif not absorbed and reader.op_type in _OWN:
            own = _activation(reader)
        else:
            break
        absorbed.append(reader)
        tensor = reader.outputs[0]
    reader = builder.sole_reader(tensor)
    if reader is None or reader.op_type != "QuantizeLinear" or not builder.quantized:
        return End(tensor, tuple(absorbed), low, high, own, None, None)
    return End(tensor, tuple(absorbed), low, high, own, reader, grid_of(builder, reader))


def _activation(node: Node) -> dict[int, Param]:
    if node.op_type == "LeakyRelu":
        return {_TYPE: LEAKY, _PARAMS: (float(node.attributes.get("alpha", 0.01)),)}
    if node.op_type == "HardSwish":
        return {_TYPE: HARD_SWISH, _PARAMS: (1 / 6, 0.5)}
    return {_TYPE: _OWN[node.op_type]}


def clamping(low: float, high: float) -> dict[int, Param]:
    """The parameters of an activation that clamps."""
    if low == -math.inf and high == math.inf:
        return {}
    if low == 0 and high == math.inf:
        return {_TYPE: RELU}
    return {_TYPE: CLIP, _PARAMS: (max(low, -FLOAT_MAX), min(high, FLOAT_MAX))}


def bounds_of(builder: Builder, node: Node) -> tuple[float, float] | None:
    """What a ReLU or a Clip with constant bounds clamps to; None for every other node."""
    if node.op_type == "Relu":
        return 0.0, math.inf
    if node.op_type != "Clip":
        return None
    found = [-math.inf, math.inf]
    for place in (1, 2):
        if node.input(place):
            value = builder.constant(node.input(place))
            if value is None or value.size != 1 or np.isnan(value.reshape(-1)[0]):
                return None
            found[place - 1] = float(value.reshape(-1)[0])
    return found[0], max(found)


def grid_of(builder: Builder, node: Node) -> Grid:
    """Codes of a QuantizeLinear or DequantizeLinear of an activation.

    Raises:
        ModelError: not constant, one for each channel, or of another type than uint8 and int8.
    """
    return Grid(*activation_affine(node, builder.constant, builder.graph.dtypes, len(builder.shape(node.inputs[0]))))


def integer_weights(builder: Builder, node: Node, axis: int) -> tuple[Array, Array] | str:
    """int8 weights about 0 and their scales, output channels first; or in words why there are none.

    Args:
        node: with its data in input 0 and weights in input 1.
        axis: of the output channels.
    """
    written = builder.graph.quantized.get(node.inputs[1])
    if written is None:
        return ""
    maker = builder.producers.get(node.inputs[0])
    if maker is None or maker.op_type != "DequantizeLinear":
        return "its input is not quantized"
    if written.axis not in (None, axis):
        return f"its scales run along axis {written.axis}, not {axis}"
    steps = written.codes.astype(np.int64) - _along(written.zero, written.axis, written.codes.ndim)
    if np.abs(steps).max(initial=0) > LIMIT:
        return f"its weights reach {steps.min()}..{steps.max()}, beyond ncnn's {-LIMIT}..{LIMIT}"
    codes = np.moveaxis(steps, axis, 0).astype(np.int8)
    return codes, np.broadcast_to(written.scale, (len(codes),)).astype(np.float32)


def _along(values: Array, axis: int | None, rank: int) -> Array:
    if axis is None:
        return values
    return np.asarray(values.reshape([-1 if i == axis else 1 for i in range(rank)]))


def depthwise(node: Node, weight_shape: tuple[int, ...], channels: int) -> bool:
    """Whether every channel has a filter of its own, and only one."""
    group = int(node.attributes.get("group", 1))
    return group == channels == weight_shape[0] and group > 1


def integer_conv(builder: Builder, node: Node) -> tuple[Array, Array] | str:
    """Weights of a convolution that reads codes; or in words why it cannot."""
    if not builder.quantized:
        return ""
    found = integer_weights(builder, node, 0)
    if isinstance(found, str):
        return found
    shape = builder.shape(node.inputs[0])
    if len(shape) != 4:
        return f"its input has {len(shape)} axes, not 4"
    if int(node.attributes.get("group", 1)) > 1 and not depthwise(node, found[0].shape, shape[1]):
        return "ncnn has one weight scale for a whole group of channels"
    return found


def wants_codes(builder: Builder, quantize: Node) -> bool:
    """Whether all that becomes of the codes is read by 8-bit convolutions."""
    grid = grid_of(builder, quantize)
    readers = builder.readers.get(quantize.outputs[0], [])
    if not readers or quantize.outputs[0] in builder.graph.outputs:
        return False
    for reader in readers:
        if reader.op_type != "DequantizeLinear" or grid_of(builder, reader) != grid:
            return False
        tensor = reader.outputs[0]
        layers = builder.readers.get(tensor, [])
        if not layers or tensor in builder.graph.outputs:
            return False
        for layer in layers:
            if layer.op_type != "Conv" or layer.inputs[0] != tensor or isinstance(integer_conv(builder, layer), str):
                return False
    return True
