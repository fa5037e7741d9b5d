"""Layers with constant weights as the diseases see them, whatever form they are written in."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from shoestring.base.errors import ModelError
from shoestring.compress.graph import attribute
from shoestring.compress.layers import channel_axis

if TYPE_CHECKING:
    import onnx

    from shoestring.compress.graph import Graph

Array = npt.NDArray[Any]


@dataclass(frozen=True, eq=False)
class Constant:
    """A constant tensor: its real values, and how it is stored when that is in integers.

    Args:
        values: float.
        codes: integers of the same shape, or None for a float constant.
        scales, zeros: () or (n,), None for a float constant; real = scale * (code - zero).
    """

    values: Array
    codes: Array | None = None
    scales: Array | None = None
    zeros: Array | None = None


@dataclass(frozen=True, eq=False)
class Layer:
    """A Conv, Gemm or MatMul whose second operand is constant.

    Args:
        name: of the node.
        operator: Conv, Gemm or MatMul, also where the node is an integer form of it.
        data: tensor it reads.
        output: tensor it makes.
        weight: as stored.
        axis: of the output channels in the weight.
        groups: of a convolution.
        bias: in the units of the output, or None.
    """

    name: str
    operator: str
    data: str
    output: str
    weight: Constant
    axis: int
    groups: int
    bias: Array | None

    @property
    def channels(self) -> int:
        return int(self.weight.values.shape[self.axis])

    @property
    def depthwise(self) -> bool:
        """One input channel a group: each channel is filtered alone."""
        return self.operator == "Conv" and self.groups > 1 and self.weight.values.shape[1] == 1

    def rows(self) -> Array:
        """Real weights as (channels, products of one output)."""
        return _rows(self.weight.values, self.axis)

    def code_rows(self) -> Array | None:
        """Integers less their zero points as (channels, products of one output), or None."""
        codes, zeros = self.weight.codes, self.weight.zeros
        if codes is None or zeros is None:
            return None
        return _rows(codes.astype(np.int32), self.axis) - zeros.astype(np.int32).reshape(-1, 1)

    def input_gains(self) -> Array | None:
        """Largest magnitude of a weight on each input channel; None where the channels do not line up."""
        values = np.abs(self.weight.values)
        if self.operator == "Conv":
            return None if self.groups != 1 else values.max(axis=tuple(i for i in range(values.ndim) if i != 1))
        return values.max(axis=self.axis) if values.ndim == 2 else None


@dataclass(frozen=True)
class _Form:
    """Where an integer operator keeps its parts; None where it has none."""

    operator: str
    weight: int
    scale: int | None
    zero: int
    bias: int | None
    data_scale: int | None


_FORMS = {
    "QLinearConv": _Form("Conv", 3, 4, 5, 8, 1),
    "QLinearMatMul": _Form("MatMul", 3, 4, 5, None, 1),
    "ConvInteger": _Form("Conv", 1, None, 3, None, None),
    "MatMulInteger": _Form("MatMul", 1, None, 3, None, None),
}


def read_layers(graph: Graph) -> tuple[Layer, ...]:
    """Every layer with constant weights, in execution order."""
    found = []
    for node in graph.nodes:
        layer = _integer_layer(graph, node) if node.op_type in _FORMS else _layer(graph, node)
        if layer is not None:
            found.append(layer)
    return tuple(found)


def constant(graph: Graph, name: str) -> Constant | None:
    """The constant behind a tensor: an initialiser, or a DequantizeLinear of initialisers; None for anything else."""
    if name in graph.weights:
        return Constant(graph.weights[name])
    node = graph.producers.get(name)
    if (
        node is None
        or node.op_type != "DequantizeLinear"
        or any(one and one not in graph.weights for one in node.input)
    ):
        return None
    codes, scales = graph.weights[node.input[0]], graph.weights[node.input[1]]
    given = len(node.input) > 2 and bool(node.input[2])
    zeros = graph.weights[node.input[2]] if given else np.zeros(scales.shape, codes.dtype)
    if codes.size == 0 or scales.ndim > 1:  # blocked scales, as 4-bit weights of language models have them
        return None
    return dequantized(codes, scales, zeros, int(attribute(node, "axis", 1)))


def dequantized(codes: Array, scales: Array, zeros: Array, axis: int) -> Constant:
    """Real values of integers with one scale, or one for each index along `axis`.

    Raises:
        ModelError: the scales or zero points are of another number.
    """
    axis = axis + codes.ndim if axis < 0 else axis
    count = codes.shape[axis] if 0 <= axis < codes.ndim else 1
    if scales.size not in (1, count) or zeros.size not in (1, scales.size):
        raise ModelError(
            f"a constant of shape {codes.shape} has {scales.size} scales and {zeros.size} zeros along axis {axis}",
            hint="the file is damaged; quantize the model again",
        )
    shape = [1] * codes.ndim
    if scales.size > 1:
        shape[axis] = -1
    zeros = np.broadcast_to(zeros.reshape(-1), (scales.size,))
    wide = (codes.astype(np.float64) - zeros.astype(np.float64).reshape(shape)) * scales.astype(np.float64).reshape(
        shape
    )
    return Constant(wide.astype(np.float32), codes, scales.reshape(-1), zeros.reshape(-1))


def _layer(graph: Graph, node: onnx.NodeProto) -> Layer | None:
    if node.op_type not in ("Conv", "Gemm", "MatMul") or len(node.input) < 2:
        return None
    weight = constant(graph, node.input[1])
    if weight is None or constant(graph, node.input[0]) is not None:
        return None
    if weight.values.ndim < 2 or weight.values.size == 0 or weight.values.dtype.kind != "f":
        return None
    bias = constant(graph, node.input[2]) if len(node.input) > 2 and node.input[2] else None
    axis = channel_axis(node, weight.values.ndim)
    values = None if bias is None else bias.values.reshape(-1)
    if values is not None and values.size != weight.values.shape[axis]:
        values = None
    groups = int(attribute(node, "group", 1)) if node.op_type == "Conv" else 1
    return Layer(node.name, node.op_type, node.input[0], node.output[0], weight, axis, groups, values)


def _integer_layer(graph: Graph, node: onnx.NodeProto) -> Layer | None:
    form = _FORMS[node.op_type]

    def part(place: int | None) -> Array | None:
        held = place is not None and place < len(node.input) and node.input[place] in graph.weights
        return graph.weights[node.input[place]] if held and place is not None else None

    codes = part(form.weight)
    if codes is None or codes.ndim < 2 or codes.size == 0:
        return None
    axis = 0 if form.operator == "Conv" else codes.ndim - 1
    scales, zeros = part(form.scale), part(form.zero)
    scales = np.ones((), np.float32) if scales is None else scales
    zeros = np.zeros(scales.shape, codes.dtype) if zeros is None else zeros
    weight = dequantized(codes, scales, zeros, axis)
    bias, data_scale = part(form.bias), part(form.data_scale)
    values = None
    if bias is not None and data_scale is not None and data_scale.size == 1 and scales.size in (1, bias.size):
        values = bias * scales.reshape(-1) * data_scale.reshape(-1)
    groups = int(attribute(node, "group", 1)) if form.operator == "Conv" else 1
    return Layer(node.name, form.operator, node.input[0], node.output[0], weight, axis, groups, values)


def _rows(values: Array, axis: int) -> Array:
    return np.moveaxis(values, axis, 0).reshape(values.shape[axis], -1)
