"""The operator sets say what the engines do."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest

from native.qdq_models import Sketch
from shoestring.diagnosis.accelerators import accelerator_named, accelerators
from shoestring.native.front.translate import HANDLERS

QUANTIZERS = {"QuantizeLinear", "DequantizeLinear"}
INTEGER_FORMS = {"QLinearConv", "QLinearMatMul", "ConvInteger", "MatMulInteger", "DynamicQuantizeLinear"}
INSIDE = {"HardSwish": "HardSigmoid", "Resize, linear": "Resize"}
"""What a function of ONNX consists of, and the operator whose variant is tried."""
SAME = (0.04, 100)  # scale and zero point that moving values must keep


def ints(sketch: Sketch, *values: int) -> str:
    return sketch.constant(values, "int64")


def weight(sketch: Sketch, *shape: int) -> str:
    return sketch.weight8(*shape, axis=None)


BUILD: dict[str, Callable[[Sketch, str], str]] = {
    "Add": lambda s, x: s.add("Add", x, s.pair(s.input("z", 1, 4, 8, 8), 0.03, 90)),
    "ArgMax": lambda s, x: s.add("ArgMax", x, axis=1),
    "AveragePool": lambda s, x: s.add("AveragePool", x, kernel_shape=[2, 2]),
    "Concat": lambda s, x: s.add("Concat", x, s.pair(s.input("z", 1, 4, 8, 8), 0.03, 90), axis=1),
    "Conv": lambda s, x: s.add("Conv", x, weight(s, 6, 4, 3, 3)),
    "Expand": lambda s, x: s.add("Expand", x, ints(s, 2, 4, 8, 8)),
    "Flatten": lambda s, x: s.add("Flatten", x),
    "Gather": lambda s, x: s.add("Gather", x, ints(s, 0, 2), axis=1),
    "GatherElements": lambda s, x: s.add("GatherElements", x, s.constant(np.zeros((1, 4, 8, 8)), "int64"), axis=1),
    "Gemm": lambda s, x: s.add("Gemm", s.pair(s.input("z", 2, 16)), weight(s, 16, 6)),
    "GlobalAveragePool": lambda s, x: s.add("GlobalAveragePool", x),
    "LeakyRelu": lambda s, x: s.add("LeakyRelu", x, alpha=0.1),
    "MatMul": lambda s, x: s.add("MatMul", x, weight(s, 8, 6)),
    "MaxPool": lambda s, x: s.add("MaxPool", x, kernel_shape=[2, 2]),
    "Mul": lambda s, x: s.add("Mul", x, s.pair(s.input("z", 1, 4, 8, 8), 0.03, 90)),
    "ReduceMax": lambda s, x: s.add("ReduceMax", x, axes=[2, 3]),
    "ReduceMin": lambda s, x: s.add("ReduceMin", x, axes=[2, 3]),
    "Reshape": lambda s, x: s.add("Reshape", x, ints(s, 1, -1)),
    "Resize": lambda s, x: s.add("Resize", x, "", s.constant([1, 1, 2, 2], "float32"), mode="nearest"),
    "Sigmoid": lambda s, x: s.add("Sigmoid", x),
    "Slice": lambda s, x: s.add("Slice", x, ints(s, 0), ints(s, 2), ints(s, 1)),
    "Softmax": lambda s, x: s.add("Softmax", x, axis=1),
    "Squeeze": lambda s, x: s.add("Squeeze", x, ints(s, 0)),
    "Tile": lambda s, x: s.add("Tile", x, ints(s, 1, 1, 2, 1)),
    "Transpose": lambda s, x: s.add("Transpose", x, perm=[0, 2, 3, 1]),
    "Unsqueeze": lambda s, x: s.add("Unsqueeze", x, ints(s, 0)),
    "Where": lambda s, x: s.add(
        "Where",
        s.constant(np.tile([True, False], 128).reshape(1, 4, 8, 8), "bool"),
        x,
        s.pair(s.input("z", 1, 4, 8, 8), 0.03, 90),
    ),
    "Elu": lambda s, x: s.add("Elu", x),
    "Tanh": lambda s, x: s.add("Tanh", x),
    "ReduceMean": lambda s, x: s.add("ReduceMean", x, axes=[2, 3]),
    "Erf": lambda s, x: s.add("Erf", x),
    "HardSigmoid": lambda s, x: s.add("HardSigmoid", x),
    "HardSwish": lambda s, x: s.add("HardSwish", x),
    "Pad": lambda s, x: s.add("Pad", x, ints(s, 0, 0, 1, 1, 0, 0, 1, 1)),
    "Resize, linear": lambda s, x: s.add("Resize", x, "", s.constant([1, 1, 2, 2], "float32"), mode="linear"),
}


def left_in_float(operator: str) -> bool:
    """Whether the installed ONNX Runtime dequantizes for the operator, with codes on either side of it."""
    sketch = Sketch(1, 4, 8, 8)
    made = BUILD[operator](sketch, sketch.pair("x", *SAME))
    if operator == "ArgMax":
        model = sketch.bytes(made, dtype=onnx.TensorProto.INT64)
    else:
        model = sketch.bytes(sketch.pair(sketch.add("Relu", sketch.pair(made, *SAME))))
    with tempfile.TemporaryDirectory() as folder:
        options = onnxruntime.SessionOptions()
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_EXTENDED
        options.optimized_model_filepath = str(Path(folder) / "optimised.onnx")
        options.log_severity_level = 4
        onnxruntime.InferenceSession(model, options, ["CPUExecutionProvider"])
        nodes = list(onnx.load(options.optimized_model_filepath).graph.node)
    made_by = {name: node for node in nodes for name in node.output}
    own = [node for node in nodes if node.op_type == INSIDE.get(operator, operator)]
    return any(made_by[name].op_type == "DequantizeLinear" for node in own for name in node.input if name in made_by)


@pytest.mark.parametrize("operator", sorted(BUILD))
def test_onnx_runtime_takes_the_operators_of_its_row_on_codes_and_no_others(operator):
    listed = operator in accelerator_named("onnxruntime").operators
    assert left_in_float(operator) != listed


def test_every_operator_of_the_row_of_onnx_runtime_is_tried():
    untried = {"Split"}  # several outputs, each with a quantizer of its own
    assert set(accelerator_named("onnxruntime").operators) - INTEGER_FORMS - untried <= set(BUILD)


def test_the_row_of_our_compiler_is_its_table():
    assert set(accelerator_named("native").operators) == set(HANDLERS) - QUANTIZERS


def test_every_row_names_standard_operators_and_a_source():
    assert [row.name for row in accelerators()] == ["native", "onnxruntime", "edge-tpu"]
    for row in accelerators():
        assert row.source
        for operator in (*row.operators, *row.absorbed):
            assert onnx.defs.has(operator), (row.name, operator)
        assert len(set(row.operators)) == len(row.operators)
        assert not set(row.operators) & set(row.absorbed)
