"""Channels padded with zeros to a multiple that dot products take whole: 4 on Arm, 16 weights wide with AVX512-VNNI."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from shoestring.base.errors import UsageError
from shoestring.compress.graph import Array, attribute

if TYPE_CHECKING:
    import onnx

    from shoestring.compress.graph import Graph

ALONE = frozenset(
    {"Relu", "LeakyRelu", "Clip", "Sigmoid", "Tanh", "HardSwish", "HardSigmoid", "Elu", "MaxPool", "AveragePool"}
)
"""Operators that treat each channel by itself, with the same parameters."""

MAX_MULTIPLE = 64


def pad_channels(graph: Graph, multiple: int) -> tuple[str, ...]:
    """Pad the channels between two plain convolutions, in place; what the model computes stays the same.

    The first gets output channels of zeros, the second weights of zeros for them, so that whatever the operators
    between make of a zero adds nothing. Only where one path leads from one to the other: elsewhere channels meet
    others.

    Args:
        graph: of floats.
        multiple: 2 to 64.

    Returns:
        What was done, in words.

    Raises:
        UsageError: `multiple` is out of range.
    """
    if not 2 <= multiple <= MAX_MULTIPLE:
        raise UsageError(f"channels cannot be padded to multiples of {multiple}", hint=f"2 to {MAX_MULTIPLE}: 4 or 16")
    count = more = 0
    for node in list(graph.nodes):
        reader = _next_conv(graph, node) if _plain(graph, node) else None
        if reader is None:
            continue
        channels = graph.weights[node.input[1]].shape[0]
        extra = -channels % multiple
        if extra == 0:
            continue
        for index in (1, 2)[: len(node.input) - 1]:
            _own(graph, node, index, _grown(graph.weights[node.input[index]], 0, extra))
        _own(graph, reader, 1, _grown(graph.weights[reader.input[1]], 1, extra))
        count, more = count + 1, more + extra
    graph.reindex()
    return (f"{more} channels of zeros in {count} convolutions, for multiples of {multiple}",) if count else ()


def _plain(graph: Graph, node: onnx.NodeProto) -> bool:
    stored = node.op_type == "Conv" and all(name in graph.weights for name in list(node.input)[1:] if name)
    return stored and attribute(node, "group", 1) == 1


def _next_conv(graph: Graph, node: onnx.NodeProto) -> onnx.NodeProto | None:
    """The plain convolution that alone reads the node's result, through operators that treat channels alone."""
    found: onnx.NodeProto | None = node
    while found is not None:
        found = graph.sole_consumer(found.output[0]) if len(found.output) == 1 else None
        if found is None or found.op_type not in ALONE:
            break
    return found if found is not None and _plain(graph, found) and found.input[0] not in graph.weights else None


def _grown(value: Array, axis: int, extra: int) -> Array:
    return np.pad(value, [(0, extra if i == axis else 0) for i in range(value.ndim)])


def _own(graph: Graph, node: onnx.NodeProto, index: int, value: Array) -> None:
    """Give the node a weight of its own: others may read the old one."""
    name = f"{node.input[index]}/padded"
    while name in graph.weights:
        name += "+"
    graph.weights[name] = value
    node.input[index] = name
