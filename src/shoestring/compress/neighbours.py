"""Which weighted layers hand values to which, and how many: where integers may have to become floats or the reverse."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import onnx

from shoestring.compress.layers import foldable_activation, is_weighted

if TYPE_CHECKING:
    from shoestring.compress.graph import Graph


@dataclass(frozen=True)
class Passage:
    """A layer reads what another made, through operators without weights.

    Args:
        before: name of the node that made it.
        after: name of the node that reads it.
        elements: in the tensor that is read, for one example; 0 where its shape is unknown.
    """

    before: str
    after: str
    elements: int


def passages(graph: Graph) -> tuple[Passage, ...]:
    """Every pair of weighted layers with nothing but unweighted operators between them."""
    sizes = _sizes(graph)
    makers: dict[str, frozenset[str]] = {}
    found: list[Passage] = []
    for node in graph.nodes:
        if is_weighted(graph, node):
            source = node.input[0]
            before = sorted(makers.get(source, frozenset()))
            found += [Passage(name, node.name, sizes.get(source, 0)) for name in before]
            reached = frozenset({node.name})
        else:
            reached = frozenset().union(*(makers.get(name, frozenset()) for name in node.input))
        makers |= dict.fromkeys(node.output, reached)
    return tuple(found)


def last_layers(graph: Graph) -> tuple[str, ...]:
    """Names of the weighted layers that reach an output through operators without weights, in execution order."""
    reached, found = set(graph.outputs), []
    for node in reversed(graph.nodes):
        if reached.isdisjoint(node.output):
            continue
        if is_weighted(graph, node):
            found.append(node.name)
        else:
            reached |= set(node.input)
    return tuple(reversed(found))


def profile_names(graph: Graph) -> dict[str, tuple[str, ...]]:
    """What a runtime may call each weighted layer: its node, its output, or its activation's output."""
    names = {}
    for node in graph.nodes:
        if is_weighted(graph, node):
            activation = foldable_activation(graph, node)
            folded = () if activation is None else (activation.name, activation.output[0])
            names[node.name] = (node.name, node.output[0], *folded)
    return names


def _sizes(graph: Graph) -> dict[str, int]:
    """Elements of each tensor, the batch left out."""
    inferred = onnx.shape_inference.infer_shapes(onnx.ModelProto.FromString(graph.to_bytes()))
    sizes = {}
    for value in (*inferred.graph.value_info, *inferred.graph.input):
        lengths = [dimension.dim_value for dimension in value.type.tensor_type.shape.dim[1:]]
        if all(length > 0 for length in lengths):
            sizes[value.name] = int(np.prod(lengths))
    return sizes
