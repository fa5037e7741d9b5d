"""The last operators of a graph, seen through those that only move, select or squash values."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    import onnx

    from shoestring.compress.graph import Graph

MOVES = frozenset({"Reshape", "Flatten", "Squeeze", "Unsqueeze", "Transpose", "Identity", "Cast"})
SQUASHES = frozenset({"Softmax", "LogSoftmax", "Sigmoid"})
STEPS = 16  # operators walked through; heads have fewer


def before_outputs(graph: Graph, through: frozenset[str]) -> Iterator[tuple[str, onnx.NodeProto]]:
    """For each graph output the first operator behind it that is not of `through`: (output name, node)."""
    for output in graph.outputs:
        name = output
        for _ in range(STEPS):
            node = graph.producers.get(name)
            if node is None:
                break
            if node.op_type not in through:
                yield output, node
                break
            name = node.input[0]
