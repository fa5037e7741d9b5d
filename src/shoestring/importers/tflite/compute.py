"""What depends on constants alone is computed at once: converters write the arithmetic of shapes as operators."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from shoestring.importers.constants import NOT_FOLDABLE
from shoestring.importers.require import helper, onnx
from shoestring.importers.tflite.graph import IMAGE, PLAIN, TO_PLAIN
from shoestring.importers.tflite.infer_node import OPSET

if TYPE_CHECKING:
    from shoestring.importers.tflite.file import Operator
    from shoestring.importers.tflite.graph import Graph

_MOST_VALUES = 4096  # of a result; larger ones are folded later, where there is a budget for them


def compute_now(graph: Graph, operator: Operator, before: int) -> None:
    """Replace the nodes of an operator by their results when all its inputs are known and its results are small.

    Args:
        before: number of nodes when the operator's own began.
    """
    nodes = graph.nodes[before:]
    inputs = [number for number in operator.inputs if number >= 0]
    small = all(np.prod(graph.shape(number), dtype=np.int64) <= _MOST_VALUES for number in (*inputs, *operator.outputs))
    if not nodes or not small or any(graph.value(number) is None for number in inputs):
        return
    places = {
        number: (layout, graph.names[number, layout])
        for number in operator.outputs
        for layout in (PLAIN, IMAGE)
        if (number, layout) in graph.names
    }
    try:
        results = _evaluate(graph, nodes, [name for _, name in places.values()])
    except NOT_FOLDABLE:
        return  # they stay, and are tried again when the whole graph is normalised
    del graph.nodes[before:]
    for (number, (layout, _)), result in zip(places.items(), results, strict=True):
        del graph.names[number, layout]
        graph.known[number] = result.transpose(TO_PLAIN) if layout == IMAGE else result


def _evaluate(graph: Graph, nodes: list[Any], names: list[str]) -> list[Any]:
    read = {name for node in nodes for name in node.input}
    weights = [tensor for name, tensor in graph.weights.items() if name in read]
    outputs = [onnx.ValueInfoProto(name=name) for name in names]
    made = helper.make_graph(nodes, "constant", [], outputs, weights)
    model = helper.make_model(made, opset_imports=[helper.make_opsetid("", OPSET)])
    with np.errstate(all="ignore"):
        return [np.asarray(result) for result in onnx.reference.ReferenceEvaluator(model).run(None, {})]
