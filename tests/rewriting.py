"""Graphs from one input to one output for tests of legal models, and a rewrite made on them."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from shoestring.compress.graph import Graph
from shoestring.legalise.apply import prune
from shoestring.legalise.rewrites import REWRITES
from shoestring.legalise.site import Site, look_at
from shoestring.legalise.table import row_named


def graph(
    nodes: list[Any], weights: dict[str, Any], shape: tuple[int, ...], *, opset: int = 18, y: Any = None
) -> Graph:
    """A graph from `x` of a shape to `y`."""
    body = helper.make_graph(
        [helper.make_node(op, ins, outs, name=f"n{i}_{op}", **attrs) for i, (op, ins, outs, attrs) in enumerate(nodes)],
        "case",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [onnx.ValueInfoProto(name=name) for name in (y or ["y"])],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in weights.items()],
    )
    made = helper.make_model(body, opset_imports=[helper.make_opsetid("", opset)], ir_version=9 if opset < 24 else 12)
    made = onnx.shape_inference.infer_shapes(made)
    onnx.checker.check_model(made)
    return Graph(made)


def rewrite(name: str, source: Graph) -> tuple[Graph, int]:
    """The graph with a rewrite made at every node that it fits, and how many those were."""
    work, count = source.copy(), 0
    view, instead = look_at(work), {}
    for node in work.nodes:
        fits = node.op_type == row_named(name).takes
        change = REWRITES[name](Site(work, view, node)) if fits else None
        if change is not None:
            instead[node.output[0]] = change.nodes
            count += 1
    work.nodes = [new for node in work.nodes for new in instead.get(node.output[0], (node,))]
    prune(work)
    return work, count


def filled(made: Any, seed: int = 0) -> Graph:
    """A network of `networks` with seeded weights in the place of those that nobody opens."""
    rng = np.random.default_rng(seed)
    weights = []
    for item in made.graph.initializer:
        if item.data_location == TensorProto.EXTERNAL:
            fan = int(np.prod(item.dims[1:])) if len(item.dims) > 1 else 100
            item = numpy_helper.from_array(rng.normal(0, (2 / fan) ** 0.5, item.dims).astype(np.float32), item.name)
        weights.append(item)
    del made.graph.initializer[:]
    made.graph.initializer.extend(weights)
    return Graph(onnx.shape_inference.infer_shapes(made))
