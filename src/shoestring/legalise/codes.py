"""Quantized graphs: which operators work on 8-bit codes, and codes at the ends that were left in floats.

Our quantizer gives the last fully connected layer out as floats, so that no second rounding makes ties between classes.
A chip without floats then leaves that layer to the processor.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from shoestring.compress.graph import make_node, scalar
from shoestring.compress.observe import value_ranges
from shoestring.compress.qdq import affine

if TYPE_CHECKING:
    import onnx

    from shoestring.compress.graph import Graph
    from shoestring.compress.observe import Feed

QUANTIZE, DEQUANTIZE = "QuantizeLinear", "DequantizeLinear"
FUSED = frozenset({"Relu", "Clip"})
"""Activations that a layer on codes takes over: nothing is rounded between the two."""

IN_FLOATS = "works on floats: not all of what it reads and makes is on 8-bit codes"


def is_quantized(graph: Graph) -> bool:
    """Whether any tensor of the graph is on codes."""
    return any(node.op_type in (QUANTIZE, DEQUANTIZE) for node in graph.nodes)


def on_codes(graph: Graph, node: onnx.NodeProto) -> bool:
    """Whether everything that a node computes with comes from codes and goes to codes.

    Args:
        graph: quantized.
        node: of it, other than QuantizeLinear and DequantizeLinear.
    """
    sources = [graph.producers.get(name) for name in node.input if name and name not in graph.weights]
    fed = all(_gives_codes(node, source) for source in sources)
    return fed and all(_goes_to_codes(graph, node, name) for name in node.output if name)


def _gives_codes(node: onnx.NodeProto, source: onnx.NodeProto | None) -> bool:
    return source is not None and (source.op_type == DEQUANTIZE or node.op_type in FUSED)


def _goes_to_codes(graph: Graph, node: onnx.NodeProto, name: str) -> bool:
    readers = graph.consumers.get(name, [])
    if name in graph.outputs or not readers:
        return False
    if all(reader.op_type == QUANTIZE for reader in readers):
        return True
    return len(readers) == 1 and readers[0].op_type in FUSED and node.op_type not in FUSED


def close_outputs(graph: Graph, feed: Feed) -> tuple[str, ...]:
    """Put codes at outputs that a layer on codes gives out as floats, in place.

    Args:
        graph: quantized.
        feed: examples to learn the range of those outputs from.

    Returns:
        Names of the outputs that were closed.

    Raises:
        EngineError: it does not run on the examples.
    """
    kind = _activation(graph)
    open_ones = [name for name in graph.outputs if graph.producers[name].op_type != DEQUANTIZE]
    if kind is None or not open_ones:
        return ()
    limits = (int(np.iinfo(kind).min), int(np.iinfo(kind).max))
    for name, span in value_ranges(graph, feed, open_ones).items():
        parameters = affine(span, limits)
        inner, scale, zero = f"{name}/float", f"{name}/scale", f"{name}/zero"
        for node in graph.nodes:
            for part in (node.input, node.output):
                part[:] = [inner if one == name else one for one in part]
        graph.weights[scale] = scalar(parameters.scale)
        graph.weights[zero] = scalar(parameters.zero_point, str(kind))
        graph.nodes.append(make_node(QUANTIZE, [inner, scale, zero], [f"{name}/codes"], f"{name}/quantize"))
        graph.nodes.append(make_node(DEQUANTIZE, [f"{name}/codes", scale, zero], [name], f"{name}/dequantize"))
    graph.reindex()
    return tuple(open_ones)


def _activation(graph: Graph) -> np.dtype[Any] | None:
    """Type of the codes of activations; None where nothing is quantized."""
    for node in graph.nodes:
        if node.op_type == QUANTIZE and len(node.input) > 2 and node.input[2] in graph.weights:
            found: np.dtype[Any] = graph.weights[node.input[2]].dtype
            return found
    return None
