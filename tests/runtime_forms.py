"""The tiny model of the contract suite in the form of each runtime: the one table to add a runtime to.

The model is y = f(a) and, where the runtime has more than one output, z = g(b); f and g are not constant. A form states
its own ends, since not every runtime has free dimensions or integers.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pytest

import handmade
import litert_models
import ncnn_models
from shoestring.domain.model import TensorSpec

INPUTS = (TensorSpec("a", "float32", (None, 3)), TensorSpec("b", "int64", (2,)))
OUTPUTS = (TensorSpec("y", "float32", (None, 4)), TensorSpec("z", "int64", (2,)))


@dataclass(frozen=True)
class Form:
    """What the suite has to know of a runtime.

    Args:
        make: its form of the tiny model, the bytes of a file.
        package: that is imported when the engine is used, or None when there is none.
        inputs, outputs: of that model, in order.
        in_ci: whether continuous integration has this runtime; where it has not, its tests are skipped by name.
    """

    make: Callable[[], bytes]
    package: str | None
    inputs: tuple[TensorSpec, ...] = INPUTS
    outputs: tuple[TensorSpec, ...] = OUTPUTS
    in_ci: bool = True

    @property
    def free(self) -> bool:
        """Whether an input has a free dimension."""
        return any(None in spec.shape for spec in self.inputs)

    def feeds(self, length: int = 2, seed: int = 7) -> dict[str, np.ndarray]:
        """Inputs whose free dimensions have this length."""
        generator = np.random.default_rng(seed)
        given = {}
        for spec in self.inputs:
            shape = tuple(length if one is None else one for one in spec.shape)
            kind = np.dtype(spec.dtype)
            values = generator.standard_normal(shape) if kind.kind == "f" else generator.integers(0, 5, shape)
            given[spec.name] = values.astype(kind)
        return given


def null_model(**more: object) -> bytes:
    """The tiny model for the null runtime, with these keys added: see `shoestring.runtimes.null`."""

    def plain(specs: tuple[TensorSpec, ...]) -> list[dict[str, object]]:
        return [{"name": spec.name, "dtype": spec.dtype, "shape": list(spec.shape)} for spec in specs]

    return json.dumps({"inputs": plain(INPUTS), "outputs": plain(OUTPUTS), **more}).encode()


def onnx_model() -> bytes:
    pytest.importorskip("onnx", reason="making an ONNX model needs the package onnx")
    from onnx import helper, numpy_helper
    from onnx.helper import np_dtype_to_tensor_dtype

    def value(spec):
        shape = ["batch" if length is None else length for length in spec.shape]
        return helper.make_tensor_value_info(spec.name, np_dtype_to_tensor_dtype(np.dtype(spec.dtype)), shape)

    weights = numpy_helper.from_array(np.arange(12, dtype=np.float32).reshape(3, 4), "w")
    nodes = [helper.make_node("MatMul", ["a", "w"], ["y"]), helper.make_node("Neg", ["b"], ["z"])]
    graph = helper.make_graph(nodes, "tiny", [value(s) for s in INPUTS], [value(s) for s in OUTPUTS], [weights])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    return model.SerializeToString()


FORMS = {
    "null": Form(null_model, None),
    "onnxruntime": Form(onnx_model, "onnxruntime"),
    "native": Form(handmade.build, None),
    "openvino": Form(onnx_model, "openvino"),
    "litert": Form(litert_models.tiny_model, "ai_edge_litert"),
    "tensorrt": Form(onnx_model, "onnxruntime", in_ci=False),
    "edgetpu": Form(litert_models.tiny_model, "ai_edge_litert", in_ci=False),
    "ncnn": Form(ncnn_models.tiny_model, "ncnn"),
    "ncnn-vulkan": Form(ncnn_models.tiny_model_for_a_gpu, "ncnn", in_ci=False),
}
