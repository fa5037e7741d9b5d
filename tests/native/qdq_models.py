"""Models that tests of the compiler read: single operators in float and QDQ form, the quantized examples."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

from nets import bare_workshop
from shoestring.compress.apply import apply
from shoestring.compress.bias import first_examples, float_means
from shoestring.compress.graph import Graph
from shoestring.compress.observe import value_ranges
from shoestring.compress.passes.lower_mean import LowerMean
from shoestring.compress.quantize import needed_ranges
from shoestring.domain.recipe import Recipe, Step
from shoestring.importers import import_model

EXAMPLES = Path(__file__).parents[2] / "examples"


class Sketch:
    """A model under construction; `x` is its first input.

    Args:
        shape: of `x`.
        opset: operator set.
    """

    def __init__(self, *shape: int | str, opset: int = 17) -> None:
        self.opset = opset
        self.rng = np.random.default_rng(7)
        self.nodes: list[Any] = []
        self.weights: dict[str, np.ndarray] = {}
        self.inputs = [("x", TensorProto.FLOAT, shape)]

    def input(self, name: str, *shape: int | str, dtype: int = TensorProto.FLOAT) -> str:
        self.inputs.append((name, dtype, shape))
        return name

    def constant(self, value: Any, dtype: str | None = None) -> str:
        name = f"constant{len(self.weights)}"
        self.weights[name] = np.asarray(value, dtype)
        return name

    def normal(self, *shape: int, size: float = 0.3) -> str:
        return self.constant(self.rng.normal(0, size, shape), "float32")

    def add(self, op: str, *inputs: str, outputs: Sequence[str] | None = None, **attributes: Any) -> str:
        made = list(outputs or [f"t{len(self.nodes)}"])
        domain = attributes.pop("domain", "")
        self.nodes.append(
            helper.make_node(op, list(inputs), made, name=f"n{len(self.nodes)}", domain=domain, **attributes)
        )
        return made[0]

    def pair(self, tensor: str, scale: float = 0.04, zero: int = 100, dtype: str = "uint8") -> str:
        """QuantizeLinear and DequantizeLinear behind a tensor."""
        parameters = (self.constant(scale, "float32"), self.constant(zero, dtype))
        return self.add("DequantizeLinear", self.add("QuantizeLinear", tensor, *parameters), *parameters)

    def weight8(self, *shape: int, axis: int | None = 0, dtype: str = "int8", zero: int = 0) -> str:
        """A dequantized constant of random integers, with one scale for each channel or one for all."""
        low, high = (-127, 128) if dtype == "int8" else (0, 256)
        codes = self.constant(self.rng.integers(low, high, shape), dtype)
        count = () if axis is None else (shape[axis],)
        scale = self.constant(self.rng.uniform(0.001, 0.004, count), "float32")
        zeros = self.constant(np.full(count, zero), dtype)
        return self.add("DequantizeLinear", codes, scale, zeros, **({} if axis is None else {"axis": axis}))

    def bias32(self, weight: str, scale: float, channels: int) -> str:
        """An int32 bias in the scale of the sums of a layer whose weights are `weight`."""
        scales = self.weights[next(n for n in self.nodes if n.output[0] == weight).input[1]]
        steps = np.broadcast_to(np.asarray(scales * np.float32(scale), np.float32), (channels,))
        codes = self.constant(self.rng.integers(-3000, 3000, channels), "int32")
        zeros = self.constant(np.zeros(channels), "int32")
        return self.add("DequantizeLinear", codes, self.constant(steps), zeros, axis=0)

    def bytes(self, *outputs: str, dtype: int = TensorProto.FLOAT) -> bytes:
        graph = helper.make_graph(
            self.nodes,
            "sketch",
            [helper.make_tensor_value_info(*item) for item in self.inputs],
            [helper.make_tensor_value_info(name, dtype, None) for name in outputs],
            [numpy_helper.from_array(value, name) for name, value in self.weights.items()],
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", self.opset)], ir_version=8)
        model.opset_import.append(helper.make_opsetid("com.microsoft", 1))
        return bytes(model.SerializeToString())


def on_ort(model: bytes, feeds: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """All outputs of ONNX Runtime without graph rewrites: each node by itself, in float where it says so."""
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(model, options, ["CPUExecutionProvider"])
    names = [item.name for item in session.get_outputs()]
    return dict(zip(names, session.run(names, feeds), strict=True))


def example_images(n: int, seed: int = 3, side: int = 64) -> np.ndarray:
    """(n, 3, side, side) smooth random pictures, about as large as normalised photographs."""
    rng = np.random.default_rng(seed)
    coarse = rng.normal(0, 1, (n, 3, side // 4, side // 4))
    return (np.kron(coarse, np.ones((1, 1, 4, 4))) + rng.normal(0, 0.2, (n, 3, side, side))).astype(np.float32)


@cache
def imported(name: str = "cifar10_small") -> bytes:
    """An example network as the importers write it."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "model.onnx"
        import_model(EXAMPLES / f"{name}.onnx", path)
        return path.read_bytes()


@cache
def quantized(name: str = "cifar10_small", scheme: str = "u8s8", float_layers: int = 0) -> bytes:
    """An example network in QDQ form, with that many of its layers (every third) left in float."""
    graph = LowerMean().run(Graph(onnx.load_model_from_string(imported(name))), {})[0]
    (entry,) = graph.inputs
    images = example_images(8, side=graph.proto.graph.input[0].type.tensor_type.shape.dim[-1].dim_value)

    def feed():
        return iter([{entry: images}])

    batches = first_examples(feed, 8)
    workshop = bare_workshop(
        batches, ranges=value_ranges(graph, feed, needed_ranges(graph)), means=float_means(graph, batches, 1)
    )
    weighted = [node.name for node in graph.nodes if node.op_type in ("Conv", "Gemm")]
    options = {"scheme": scheme, "float_layers": tuple(weighted[1::3][:float_layers])}
    recipe = Recipe("r", "int8", (Step("lower_mean", {}), Step("static_int8", options)), "test")
    with TemporaryDirectory() as folder:
        path = Path(folder) / "model.onnx"
        apply(recipe, Graph(onnx.load_model_from_string(imported(name))), workshop, path)
        return path.read_bytes()
