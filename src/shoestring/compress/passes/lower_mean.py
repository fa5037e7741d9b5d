"""Operators without an 8-bit kernel become ones that have one: means over all positions, and hard sigmoids."""

from __future__ import annotations

import numpy as np
import onnx

from shoestring.compress.gates import fold_hard_sigmoids
from shoestring.compress.graph import Graph, attribute, make_node
from shoestring.compress.passes.protocol import Options, Workshop

SPATIAL = ({2, 3}, {-2, -1}, {2, -1}, {-2, 3})


class LowerMean:
    """mean over (H, W) of (N, C, H, W) -> GlobalAveragePool, then Flatten where the mean dropped its axes.

    Hard sigmoids move into the layers before them (`compress.gates`).
    """

    name = "lower_mean"

    def requires(self, graph: Graph, options: Options) -> str | None:
        return None

    def run(self, graph: Graph, options: Options, workshop: Workshop | None = None) -> tuple[Graph, tuple[str, ...]]:
        ranks = _ranks(graph)
        nodes, count = [], 0
        for node in graph.nodes:
            if node.op_type != "ReduceMean" or ranks.get(node.input[0]) != 4 or _axes(graph, node) not in SPATIAL:
                nodes.append(node)
                continue
            count += 1
            if attribute(node, "keepdims", 1):
                nodes.append(make_node("GlobalAveragePool", [node.input[0]], [node.output[0]], node.name))
                continue
            pooled = f"{node.output[0]}/pooled"
            nodes.append(make_node("GlobalAveragePool", [node.input[0]], [pooled], node.name))
            nodes.append(make_node("Flatten", [pooled], [node.output[0]], f"{node.name}/flatten"))
        graph.nodes = nodes
        graph.reindex()
        gates = fold_hard_sigmoids(graph)
        notes = [f"{count} mean over positions became GlobalAveragePool"] if count else []
        notes += [f"{gates} hard sigmoids moved into the layers before them"] if gates else []
        return graph, tuple(notes)

    def ensures(self, graph: Graph, options: Options) -> str | None:
        return None


def _axes(graph: Graph, node: object) -> set[int]:
    """Axes of a ReduceMean: an input since opset 18, an attribute before."""
    inputs = node.input  # type: ignore[attr-defined]
    if len(inputs) > 1 and inputs[1] in graph.weights:
        return {int(axis) for axis in np.atleast_1d(graph.weights[inputs[1]])}
    return {int(axis) for axis in attribute(node, "axes", [])}


def _ranks(graph: Graph) -> dict[str, int]:
    """Number of dimensions of every tensor whose shape ONNX can infer; a copied graph has no stored shapes."""
    inferred = onnx.shape_inference.infer_shapes(onnx.ModelProto.FromString(graph.to_bytes()))
    values = [*inferred.graph.value_info, *inferred.graph.input]
    return {value.name: len(value.type.tensor_type.shape.dim) for value in values}
