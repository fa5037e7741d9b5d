"""Depth and resolution: a graph without some of its residual blocks, or with a smaller image behind its input."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from shoestring.compress.graph import Graph, attribute, make_node

if TYPE_CHECKING:
    import onnx

POOLED = "shoestring/pooled"


@dataclass(frozen=True)
class Block:
    """A residual block: `output` = `source` + branch(`source`).

    Args:
        name: of the Add.
        source: the tensor that goes around the branch.
        output: of the Add.
    """

    name: str
    source: str
    output: str


def residual_blocks(graph: Graph) -> tuple[Block, ...]:
    """Blocks whose branch hangs on the other input of the Add alone, so that it can go (He et al., CVPR 2016).

    Veit et al., "Residual Networks Behave Like Ensembles of Relatively Shallow Networks", NIPS 2016: most of them can.
    """
    found = []
    for node in graph.nodes:
        if node.op_type != "Add" or any(name in graph.weights for name in node.input):
            continue
        first, second = node.input
        for source, branch in ((first, second), (second, first)):
            if source in _ancestors(graph, branch):
                found.append(Block(node.name, source, node.output[0]))
                break
    return tuple(found)


def without_blocks(graph: Graph, names: Iterable[str]) -> Graph:
    """A copy of `graph` in which the blocks named are their own input."""
    gone = set(names)
    sources = {block.output: block.source for block in residual_blocks(graph) if block.name in gone}
    target = graph.copy()
    for node in target.nodes:
        for place, name in enumerate(node.input):
            while name in sources:
                name = sources[name]
            node.input[place] = name
    return _reachable(target)


def has_global_pool(graph: Graph) -> bool:
    """Whether the size of the image is averaged away before the classifier, so that a smaller one fits it."""
    return any(node.op_type in ("GlobalAveragePool", "GlobalMaxPool") for node in graph.nodes)


def with_smaller_image(graph: Graph, factor: int) -> Graph:
    """A copy that works on averages of squares of `factor` pixels; its input stays as it is.

    Where a convolution alone reads the input, the averages become part of its kernel, which is exact, costs no operator
    of its own and leaves training free to weigh the pixels better.
    """
    target = graph.copy()
    if factor == 1:
        return target
    source = target.inputs[0]
    first = target.sole_consumer(source)
    if first is not None and _folds(target, first):
        _fold_average(target, first, factor)
        return target.copy()
    for node in target.nodes:
        for place, name in enumerate(node.input):
            if name == source:
                node.input[place] = POOLED
    side = [factor, factor]
    target.nodes.insert(
        0, make_node("AveragePool", [source], [POOLED], f"{POOLED}/average", kernel_shape=side, strides=side)
    )
    target.reindex()
    return target


def output_layers(graph: Graph) -> tuple[str, ...]:
    """Names of the weighted nodes whose channels are those of the output."""
    found, open_names = [], list(graph.outputs)
    while open_names:
        node = graph.producers.get(open_names.pop())
        if node is None:
            continue
        if node.op_type in ("Conv", "Gemm", "MatMul"):
            found.append(node.name)
        else:
            open_names += [name for name in node.input if name]
    return tuple(found)


def _folds(graph: Graph, node: onnx.NodeProto) -> bool:
    return (
        node.op_type == "Conv"
        and node.input[1] in graph.weights
        and set(attribute(node, "dilations", [1])) == {1}
        and attribute(node, "auto_pad", b"NOTSET") == b"NOTSET"
    )


def _fold_average(graph: Graph, node: onnx.NodeProto, factor: int) -> None:
    """Each weight is spread over the square that it saw the average of; zeros around the image stay zeros."""
    weight = graph.weights[node.input[1]]
    spread = np.repeat(np.repeat(weight, factor, axis=2), factor, axis=3) / np.float32(factor**2)
    wider = {
        "kernel_shape": list(spread.shape[2:]),
        "strides": [factor * one for one in attribute(node, "strides", [1, 1])],
        "pads": [factor * one for one in attribute(node, "pads", [0, 0, 0, 0])],
    }
    kept = [item for item in node.attribute if item.name not in wider]
    del node.attribute[:]
    node.attribute.extend(kept)
    node.attribute.extend(make_node("Conv", [], [], "", **wider).attribute)
    node.input[1] = f"{node.name}/spread-weight"
    graph.weights[node.input[1]] = spread


def _ancestors(graph: Graph, name: str) -> set[str]:
    """Tensors that `name` is computed from, itself left out."""
    found: set[str] = set()
    open_names = [name]
    while open_names:
        node = graph.producers.get(open_names.pop())
        for one in () if node is None else node.input:
            if one and one not in found and one not in graph.weights:
                found.add(one)
                open_names.append(one)
    return found


def _reachable(graph: Graph) -> Graph:
    """Without nodes that no output needs."""
    needed = set(graph.outputs)
    kept: list[onnx.NodeProto] = []
    for node in reversed(graph.nodes):
        if needed & set(node.output):
            kept.append(node)
            needed |= set(node.input)
    graph.nodes = kept[::-1]
    graph.reindex()
    return graph
