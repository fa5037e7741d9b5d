"""Element types of ONNX that numpy has too, and that a runtime which reads ONNX must call by numpy's names."""

from __future__ import annotations

from typing import Any

import numpy as np
from onnx import TensorProto, helper

KINDS = [
    (TensorProto.FLOAT, "float32"),
    (TensorProto.DOUBLE, "float64"),
    (TensorProto.FLOAT16, "float16"),
    (TensorProto.BOOL, "bool"),
    (TensorProto.UINT8, "uint8"),
    (TensorProto.INT8, "int8"),
    (TensorProto.INT32, "int32"),
    (TensorProto.INT64, "int64"),
    (TensorProto.UINT64, "uint64"),
]


def check_named(runtime: Any, kind: int, dtype: str) -> None:
    """A model that hands its input on says and answers `dtype`."""
    ends = [helper.make_tensor_value_info(name, kind, [2]) for name in "xy"]
    graph = helper.make_graph([helper.make_node("Identity", ["x"], ["y"])], "g", ends[:1], ends[1:])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    with runtime.load(model.SerializeToString(), 1) as session:
        assert session.inputs[0].dtype == session.outputs[0].dtype == dtype
        assert session.run({"x": np.ones(2, dtype)})["y"].dtype == np.dtype(dtype)
