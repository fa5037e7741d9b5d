"""Hard sigmoids move into the layer before them: of a linear layer clip(a x + b, 0, 1) is a clip of another such layer.

A range of 0..1 then does the clip's work, as it does a ReLU6's, and the gate costs nothing in 8 bits on any engine. The
function: Howard et al., "Searching for MobileNetV3", ICCV 2019, section 5.2, with a = 1/6 and b = 1/2.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from shoestring.compress.graph import Graph, attribute, make_node, scalar
from shoestring.compress.layers import is_weighted

if TYPE_CHECKING:
    import onnx

SLOPE, OFFSET = 0.2, 0.5  # of ONNX, where the node does not say


def fold_hard_sigmoids(graph: Graph) -> int:
    """Turn each HardSigmoid that alone reads a Conv or Gemm into a Clip of changed weights, in place.

    Returns:
        How many were turned.
    """
    nodes, count = [], 0
    for node in graph.nodes:
        before = graph.producers.get(node.input[0]) if node.op_type == "HardSigmoid" else None
        if before is None or not _foldable(graph, before):
            nodes.append(node)
            continue
        count += 1
        slope, offset = (float(attribute(node, name, value)) for name, value in (("alpha", SLOPE), ("beta", OFFSET)))
        _move(graph, before, slope, offset)
        ends = [f"{node.output[0]}/zero_end", f"{node.output[0]}/one_end"]
        graph.weights |= {end: scalar(value) for end, value in zip(ends, (0.0, 1.0), strict=True)}
        nodes.append(make_node("Clip", [node.input[0], *ends], [node.output[0]], node.name))
    graph.nodes = nodes
    graph.reindex()
    return count


def _foldable(graph: Graph, node: onnx.NodeProto) -> bool:
    """A layer that one node reads, with weights of its own."""
    if node.op_type not in ("Conv", "Gemm") or not is_weighted(graph, node):
        return False
    if attribute(node, "alpha", 1.0) != 1.0 or attribute(node, "beta", 1.0) != 1.0:
        return False
    own = all(len(graph.consumers[name]) == 1 and name not in graph.outputs for name in node.input[1:] if name)
    return own and graph.sole_consumer(node.output[0]) is not None


def _move(graph: Graph, node: onnx.NodeProto, slope: float, offset: float) -> None:
    """Weights times the slope; the bias likewise, plus the offset."""
    weight = graph.weights[node.input[1]]
    graph.weights[node.input[1]] = (weight.astype(np.float64) * slope).astype(np.float32)
    has_bias = len(node.input) > 2 and bool(node.input[2])
    rows = len(weight) if node.op_type == "Conv" or attribute(node, "transB", 0) else weight.shape[1]
    bias = graph.weights[node.input[2]] if has_bias else np.zeros(rows)
    name = node.input[2] if has_bias else f"{node.name}/offset"
    graph.weights[name] = (bias.astype(np.float64) * slope + offset).astype(np.float32)
    if not has_bias:
        del node.input[2:]
        node.input.append(name)
