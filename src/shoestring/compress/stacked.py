"""The blocks of an encoder, found in its graph: where one tensor alone carries everything from one to the next.

A tensor is such a cut when every path from the embedding of the tokens to the output runs through it. Each block has
one Softmax, and all blocks have the same operators at the same cuts; where that is not so, no blocks are found.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

from shoestring.compress.graph import Graph

if TYPE_CHECKING:
    import onnx

TABLE_ROWS = 16
"""A table of token types has 2 rows; one of tokens never so few."""


@dataclass(frozen=True)
class Stack:
    """Blocks in a row.

    Args:
        joints: tensors (texts, tokens, width) between them: the first block reads joints[0] and makes joints[1].
    """

    joints: tuple[str, ...]

    @property
    def blocks(self) -> int:
        return len(self.joints) - 1


def find_stack(graph: Graph) -> Stack | str:
    """The blocks of an encoder, or why there are none.

    Args:
        graph: whose nodes are in execution order, with one output.
    """
    if len(graph.outputs) != 1:
        return f"it has {len(graph.outputs)} outputs, not one"
    table = _token_table(graph)
    if table is None:
        return "no table is read by token ids"
    carried = _between(graph, table.output[0])
    cuts = _cuts(graph, carried)
    softmaxes = [
        place for place, node in enumerate(graph.nodes) if node.op_type == "Softmax" and _carries(node, carried)
    ]
    if len(softmaxes) < 2:
        return f"it has {len(softmaxes)} attention blocks, fewer than two"
    starts = [max((i for i, (place, _) in enumerate(cuts) if place < soft), default=-1) for soft in softmaxes]
    steps = {after - before for before, after in pairwise(starts)}
    if starts[0] < 0 or len(steps) != 1 or min(steps) < 1:
        return "its attention blocks are not alike"
    step = steps.pop()
    bounds = [*starts, starts[-1] + step]
    if bounds[-1] >= len(cuts):
        return "its last block does not end before the output"
    kinds = {
        tuple(graph.nodes[cuts[i][0]].op_type for i in range(before + 1, after + 1))
        for before, after in pairwise(bounds)
    }
    if len(kinds) != 1:
        return "its blocks have different operators"
    return Stack(tuple(cuts[bound][1] for bound in bounds))


def _token_table(graph: Graph) -> onnx.NodeProto | None:
    """The Gather of the largest constant table whose indices are a graph input, as it is or cast."""
    found: list[tuple[int, onnx.NodeProto]] = []
    for node in graph.nodes:
        if node.op_type != "Gather" or node.input[0] not in graph.weights:
            continue
        source = node.input[1]
        maker = graph.producers.get(source)
        if maker is not None and maker.op_type in {"Cast", "Slice"}:
            source = maker.input[0]
        table = graph.weights[node.input[0]]
        if source in graph.inputs and table.ndim == 2 and len(table) >= TABLE_ROWS:
            found.append((table.size, node))
    return max(found, key=lambda item: item[0])[1] if found else None


def _between(graph: Graph, start: str) -> set[str]:
    """Tensors whose values depend on `start` and that the output depends on."""
    ahead = {start}
    for node in graph.nodes:
        if node.op_type != "Shape" and ahead.intersection(node.input):
            ahead.update(name for name in node.output if name)
    behind = set(graph.outputs)
    for node in reversed(graph.nodes):
        if behind.intersection(node.output):
            behind.update(name for name in node.input if name)
    return ahead & behind


def _carries(node: onnx.NodeProto, carried: set[str]) -> bool:
    return bool(carried.intersection(node.output))


def _cuts(graph: Graph, carried: set[str]) -> list[tuple[int, str]]:
    """Place of its maker, and name, of each tensor that alone is alive once it is made."""
    last = dict.fromkeys(carried & set(graph.outputs), len(graph.nodes))
    for place, node in enumerate(graph.nodes):
        if _carries(node, carried):
            for name in carried.intersection(node.input):
                last[name] = max(place, last.get(name, -1))
    cuts: list[tuple[int, str]] = []
    alive: set[str] = set()
    for place, node in enumerate(graph.nodes):
        made = carried.intersection(node.output)
        alive = {name for name in alive if last.get(name, -1) > place} | made
        if made and len(alive) == 1:
            cuts.append((place, next(iter(alive))))
    return cuts
