"""Which operators 8-bit kernels exist for, and how each takes part.

Scales that an operator fixes or shares are those of TensorFlow's "LiteRT 8-bit quantization specification", so that one
quantized graph serves every engine.
"""

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

FUNCTIONS = frozenset({"LeakyRelu", "Sigmoid", "HardSigmoid", "HardSwish", "Relu", "Clip"})
"""Of one value at a time: 256 codes have 256 answers, so any engine can do them by a table."""

GATES = frozenset({"Sigmoid", "HardSigmoid"})
"""Functions to 0..1. One that no 8-bit product reads gives probabilities, and even steps would erase small ones."""

SAME_SCALE = frozenset(
    {"MaxPool", "Reshape", "Flatten", "Transpose", "Squeeze", "Unsqueeze", "Resize", "Slice", "Split", "Pad"}
)
"""Move, select or repeat values, or blend neighbours: their output keeps the input's scale."""


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

    @property
    def outputs(self) -> tuple[str, ...]:
        """All its results; a Split has several."""
        return tuple(self.node.output) if self.node.op_type == "Split" else (self.output,)


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
    comes from a quantized operator, so that no lone island pays for conversions on both sides. A Sigmoid or
    HardSigmoid with no further product behind it stays in float, as does all that follows it, and so does a Concat that
    only gathers the model's outputs.
    """
    layers = _joined(graph, float_layers)
    last = _last_gates(graph, layers) | _last_joins(graph)
    return _joined(graph, float_layers | last) if last else layers


def _joined(graph: Graph, kept: frozenset[str]) -> list[Layer]:
    layers: list[Layer] = []
    quantized: set[str] = set()
    for node in graph.nodes:
        if node.name in kept or not (is_weighted(graph, node) or _follows(graph, node, quantized)):
            continue
        activation = foldable_activation(graph, node) if node.op_type in WEIGHTED | {"Add"} else None
        output = activation.output[0] if activation is not None else node.output[0]
        layers.append(Layer(node, activation, output))
        quantized.update(layers[-1].outputs)
    return layers


def _follows(graph: Graph, node: onnx.NodeProto, quantized: set[str]) -> bool:
    """Whether a node without weights can work on the codes that its inputs are."""
    data = [name for name in node.input if name and name not in graph.weights]
    if not data or not quantized.issuperset(data):
        return False
    if node.op_type in ARITHMETIC:
        return len(data) == len(node.input)
    if node.op_type not in SAME_SCALE | FUNCTIONS or data != [node.input[0]]:
        return False
    if any(node.output[1:]) and node.op_type != "Split":
        return False
    if node.op_type == "Resize":
        return _stays_inside(node)
    return node.op_type != "Pad" or _pads_with_zero(graph, node)


def _stays_inside(node: onnx.NodeProto) -> bool:
    """Whether a Resize gives nothing beyond what it reads: a cubic one overshoots, a crop brings in a constant."""
    mode, places = attribute(node, "mode", b"nearest"), attribute(node, "coordinate_transformation_mode", b"half_pixel")
    known = mode in (b"nearest", b"linear") and places != b"tf_crop_and_resize"
    return known and not attribute(node, "antialias", 0)


def _pads_with_zero(graph: Graph, node: onnx.NodeProto) -> bool:
    """Zero is a code of every scale; another constant may lie beyond the range. Other modes repeat values."""
    if attribute(node, "mode", b"constant") != b"constant":
        return True
    value = graph.weights[node.input[2]] if len(node.input) > 2 and node.input[2] else None
    return value is None or not value.any()


def _last_gates(graph: Graph, layers: list[Layer]) -> frozenset[str]:
    """Names of gates whose codes reach no product, sum or pool among the layers."""
    computed: set[str] = set()
    last = set()
    readers = {layer.node.name: layer for layer in layers}
    for layer in reversed(layers):
        behind = [
            readers[node.name]
            for name in layer.outputs
            for node in graph.consumers.get(name, [])
            if node.name in readers
        ]
        moving = SAME_SCALE | {"Concat"}
        if any(one.node.op_type not in moving or one.node.name in computed for one in behind):
            computed.add(layer.node.name)
        elif layer.node.op_type in GATES:
            last.add(layer.node.name)
    return frozenset(last)


def _last_joins(graph: Graph) -> frozenset[str]:
    """Names of the Concats from which only moves lead to an output, and of the moves on either side of them.

    Boxes beside scores, or heads of unlike ranges, would have to share one scale there, and it saves nothing.
    """
    joins: set[str] = set()
    ends = set(graph.outputs)
    for name in graph.outputs:
        _gather(graph, name, ends, [], joins)
    return frozenset(joins)


def _gather(graph: Graph, tensor: str, ends: set[str], moved: list[str], joins: set[str]) -> None:
    """Walk back from an output through what it alone reads; `moved` are the moves on the way, not yet behind a join."""
    node = graph.producers.get(tensor)
    if node is None or (tensor not in ends and graph.sole_consumer(tensor) is None):
        return
    if node.op_type == "Concat":
        joins.update((node.name, *moved))
        for name in node.input:
            _before(graph, name, joins)
    elif node.op_type in SAME_SCALE - {"MaxPool", "Resize", "Split"}:
        _gather(graph, node.input[0], ends, [*moved, node.name], joins)


def _before(graph: Graph, tensor: str, joins: set[str]) -> None:
    """The moves, and Concats, that lead to a join and nowhere else."""
    node = graph.producers.get(tensor)
    if node is None or graph.sole_consumer(tensor) is None:
        return
    if node.op_type == "Concat" or node.op_type in SAME_SCALE - {"MaxPool", "Resize", "Split"}:
        joins.add(node.name)
        for name in node.input[: None if node.op_type == "Concat" else 1]:
            _before(graph, name, joins)
