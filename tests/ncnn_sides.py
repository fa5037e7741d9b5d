"""Runs a model on both sides: ONNX Runtime as it is, ncnn as converted."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from shoestring.compress.graph import Graph
from shoestring.compress.observe import Range, value_ranges
from shoestring.compress.quantize import needed_ranges, to_qdq
from shoestring.compress.scheme import scheme_named
from shoestring.convert.ncnn import convert
from shoestring.runtimes import registry

Arrays = dict[str, np.ndarray]


def small(
    nodes: list[Any], shapes: Mapping[str, tuple[Any, ...]], weights: Mapping[str, Any], opset: int = 18
) -> bytes:
    """A model of some nodes whose last output is answered; inputs by shape, outputs with any."""
    inputs = [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in shapes.items()]
    outputs = [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in nodes[-1].output]
    constants = [numpy_helper.from_array(np.asarray(value), name) for name, value in weights.items()]
    graph = helper.make_graph(nodes, "small", inputs, outputs, constants)
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=9)
    made = onnx.shape_inference.infer_shapes(made)
    return made.SerializeToString()


def on_ort(model: bytes, feeds: Arrays) -> Arrays:
    with registry.get("onnxruntime").load(model, 1) as session:
        return session.run(feeds)


def as_written(model: bytes, feeds: Arrays) -> Arrays:
    """ONNX Runtime, node by node in floats: its 8-bit kernels saturate on processors without VNNI."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    names = [value.name for value in session.get_outputs()]
    return dict(zip(names, session.run(names, feeds), strict=True))


def on_ncnn(model: bytes, feeds: Arrays, precision: str = "fp32", threads: int = 1) -> Arrays:
    with registry.get("ncnn").load(convert(model, precision).data, threads) as session:
        return session.run(feeds)


def furthest(found: Arrays, wanted: Arrays) -> float:
    """The largest difference over all outputs, as a part of the largest value of that output."""
    assert list(found) == list(wanted)
    for name, value in wanted.items():
        assert found[name].shape == value.shape
        assert found[name].dtype == value.dtype
    return max(float(np.abs(found[n] - v).max() / max(np.abs(v).max(), 1e-6)) for n, v in wanted.items())


def quantized(model: bytes, feeds: Arrays, scheme: str = "u8s8", room: float = 1.0) -> bytes:
    """The QDQ form, calibrated on `feeds`; every range is `room` times as wide as what was seen."""
    graph = Graph(onnx.ModelProto.FromString(model))
    seen = value_ranges(graph, lambda: iter([feeds]), needed_ranges(graph))
    ranges = {name: Range(span.low * room, span.high * room) for name, span in seen.items()}
    return to_qdq(graph, ranges, scheme_named(scheme), frozenset()).to_bytes()


def activation_steps(model: bytes) -> list[float]:
    """Scales of all activations, in the order of the graph."""
    proto = onnx.ModelProto.FromString(model)
    constants = {item.name: numpy_helper.to_array(item) for item in proto.graph.initializer}
    return [float(constants[node.input[1]]) for node in proto.graph.node if node.op_type == "QuantizeLinear"]
