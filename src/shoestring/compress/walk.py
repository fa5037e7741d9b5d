"""Runs a graph a piece at a time over a small set of examples, keeping only the tensors that later pieces read."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import onnx

from shoestring.compress.observe import RUNTIME
from shoestring.runtimes import registry

if TYPE_CHECKING:
    from shoestring.compress.graph import Graph

Array = npt.NDArray[Any]
Batch = dict[str, Array]


def walk(graph: Graph, batches: list[Batch], stops: list[str], threads: int) -> Iterator[tuple[str, list[Array]]]:
    """Run up to each of `stops` in turn and hand out that tensor, one array a batch.

    What the caller writes into those arrays in place is what the rest of the graph sees; weights of later pieces may be
    changed as well. Memory: the live activations of all batches.

    Args:
        graph: whose nodes are in execution order.
        batches: graph inputs, one dict a batch; consumed.
        stops: names of tensors in execution order, or of graph inputs.
    """
    position = 0
    for stop in stops:
        end = next((i for i, node in enumerate(graph.nodes) if stop in node.output), -1) + 1
        piece = graph.nodes[position:end]
        if piece:
            _advance(graph, piece, _read_later(graph, end) | {stop}, batches, threads)
        position = max(position, end)
        yield stop, [batch[stop] for batch in batches]


def final_outputs(graph: Graph, batches: list[Batch], threads: int) -> tuple[Array, ...]:
    """All outputs of the graph on all batches together, in the graph's order.

    Args:
        batches: graph inputs; left as they are.
        threads: of the runtime.
    """
    stops = output_stops(graph, ())
    seen = {name: np.concatenate(arrays) for name, arrays in walk(graph, [dict(b) for b in batches], stops, threads)}
    return tuple(seen[name] for name in graph.outputs)


def output_stops(graph: Graph, others: Collection[str]) -> list[str]:
    """The graph's outputs and `others` in execution order."""
    wanted = {*graph.outputs, *others}
    return [name for node in graph.nodes for name in node.output if name in wanted]


def _read_later(graph: Graph, end: int) -> set[str]:
    later = {name for node in graph.nodes[end:] for name in node.input if name}
    return later - graph.weights.keys()


def _advance(graph: Graph, piece: list[onnx.NodeProto], keep: set[str], batches: list[Batch], threads: int) -> None:
    """Replace each batch's tensors by those in `keep`, running `piece` for the ones it makes."""
    made = [name for node in piece for name in node.output if name in keep]
    read = {name for node in piece for name in node.input if name}
    inputs = sorted(read & batches[0].keys())
    model = _piece_model(graph, piece, {name: batches[0][name] for name in inputs}, made)
    with registry.get(RUNTIME).load(model, threads) as session:
        for batch in batches:
            answers = session.run({name: batch[name] for name in inputs})
            for name in batch.keys() - keep:
                del batch[name]
            batch.update({name: _own(value) for name, value in answers.items()})


def _own(value: Array) -> Array:
    """An array that the caller may write into."""
    return value if value.flags.writeable and value.flags.owndata else np.array(value)


def _piece_model(graph: Graph, piece: list[onnx.NodeProto], inputs: Batch, outputs: list[str]) -> bytes:
    used = {name for node in piece for name in node.input}
    body = onnx.helper.make_graph(
        piece,
        "piece",
        [
            onnx.helper.make_tensor_value_info(
                name, onnx.helper.np_dtype_to_tensor_dtype(example.dtype), [None] * example.ndim
            )
            for name, example in inputs.items()
        ],
        [onnx.ValueInfoProto(name=name) for name in outputs],
        [onnx.numpy_helper.from_array(value, name) for name, value in graph.weights.items() if name in used],
    )
    model = onnx.helper.make_model(body, opset_imports=graph.proto.opset_import, ir_version=graph.proto.ir_version)
    return bytes(model.SerializeToString())
