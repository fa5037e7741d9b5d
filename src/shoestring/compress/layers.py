"""Which operators 8-bit kernels exist for, and how each takes part."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from shoestring.compress.graph import Graph, attribute

if TYPE_CHECKING:
    import onnx

WEIGHTED = frozenset({"Conv", "Gemm", "MatMul"})
"""Operators with a constant second input; they decide speed and accuracy."""

ARITHMETIC = frozenset({"Add", "Mul", "Concat", "AveragePool", "GlobalAveragePool"})
"""Take 8 bits when all their inputs already are."""

SAME_SCALE = frozenset({"MaxPool", "Reshape", "Flatten", "Transpose", "Squeeze", "Unsqueeze"})
"""Move or select values: their output keeps the input's scale."""


@dataclass(frozen=True)
class Layer:
    """One operator that will run in 8 bits.

    Args:
        node: the operator.
        activation: a ReLU or clip to zero and above that its output's range replaces, or None.
        output: the tensor that holds its result: the activation's output when there is one.
    """

    node: onnx.NodeProto
    activation: onnx.NodeProto | None
    output: str


def is_weighted(graph: Graph, node: onnx.NodeProto) -> bool:
    """A Conv, Gemm or MatMul whose weights (and bias) are constants of float32."""
    if node.op_type not in WEIGHTED or len(node.input) < 2:
        return False
    constants = [name for name in node.input[1:] if name]
    return all(name in graph.weights and graph.weights[name].dtype == "float32" for name in constants)


def channel_axis(node: onnx.NodeProto, rank: int) -> int:
    """Axis of the output channels in the node's weight."""
    if node.op_type == "Conv" or (node.op_type == "Gemm" and attribute(node, "transB", 0)):
        return 0
    return rank - 1


def foldable_activation(graph: Graph, node: onnx.NodeProto) -> onnx.NodeProto | None:
    """The ReLU, or Clip with minimum 0, that alone reads the node's output: an unsigned range does its work."""
    reader = graph.sole_consumer(node.output[0])
    if reader is None:
        return None
    if reader.op_type == "Relu":
        return reader
    if reader.op_type == "Clip" and len(reader.input) > 1 and reader.input[1] in graph.weights:
        low = graph.weights[reader.input[1]]
        return reader if low.size == 1 and float(low.reshape(())) == 0.0 else None
    return None


def plan(graph: Graph, float_layers: frozenset[str]) -> list[Layer]:
    """The operators to quantize, in graph order.

    Weighted ones are all taken but those named in `float_layers`. Others follow only where every data input already
    comes from a quantized operator, so that no lone island pays for conversions on both sides.
    """
    layers: list[Layer] = []
    quantized: set[str] = set()
    for node in graph.nodes:
        if node.name in float_layers:
            continue
        data_inputs = [name for name in node.input if name and name not in graph.weights]
        follows = bool(data_inputs) and quantized.issuperset(data_inputs)
        joins = is_weighted(graph, node) or (
            follows
            and (node.op_type in SAME_SCALE or (node.op_type in ARITHMETIC and len(data_inputs) == len(node.input)))
        )
        if not joins:
            continue
        activation = foldable_activation(graph, node) if node.op_type in WEIGHTED | {"Add"} else None
        output = activation.output[0] if activation is not None else node.output[0]
        layers.append(Layer(node, activation, output))
        quantized.add(output)
    return layers
