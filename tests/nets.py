"""Small networks with seeded weights, built node by node."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from shoestring.compress.graph import Graph

if TYPE_CHECKING:
    from shoestring.compress.passes import Workshop

SIDE = 16


@dataclass
class Net:
    """Collects nodes; `model` closes it."""

    seed: int = 0
    nodes: list[onnx.NodeProto] = field(default_factory=list)
    weights: dict[str, np.ndarray] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.rng = np.random.default_rng(self.seed)

    def constant(self, name: str, value: np.ndarray) -> str:
        self.weights[name] = value
        return name

    def node(self, operator: str, inputs: list[str], output: str, **attributes: object) -> str:
        self.nodes.append(helper.make_node(operator, inputs, [output], name=f"n_{output}", **attributes))
        return output

    def conv(self, x: str, output: str, c_in: int, c_out: int, kernel: int = 3, groups: int = 1) -> str:
        fan = c_in // groups * kernel * kernel
        weight = self.rng.normal(0, (2 / fan) ** 0.5, (c_out, c_in // groups, kernel, kernel)).astype(np.float32)
        bias = self.rng.normal(0, 0.1, c_out).astype(np.float32)
        names = [x, self.constant(f"{output}_w", weight), self.constant(f"{output}_b", bias)]
        return self.node("Conv", names, output, pads=[kernel // 2] * 4, group=groups)

    def relu6(self, x: str, output: str) -> str:
        low = self.constant("zero", np.float32(0))
        high = self.constant("six", np.float32(6))
        return self.node("Clip", [x, low, high], output)

    def gemm(self, x: str, output: str, c_in: int, c_out: int) -> str:
        weight = self.rng.normal(0, (1 / c_in) ** 0.5, (c_out, c_in)).astype(np.float32)
        bias = self.rng.normal(0, 0.1, c_out).astype(np.float32)
        names = [x, self.constant(f"{output}_w", weight), self.constant(f"{output}_b", bias)]
        return self.node("Gemm", names, output, transB=1)

    def model(self, input_shape: list[object], output_shape: list[object], output: str = "logits") -> onnx.ModelProto:
        graph = helper.make_graph(
            self.nodes,
            "net",
            [helper.make_tensor_value_info("image", TensorProto.FLOAT, input_shape)],
            [helper.make_tensor_value_info(output, TensorProto.FLOAT, output_shape)],
            [numpy_helper.from_array(np.asarray(value), name) for name, value in self.weights.items()],
        )
        made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
        onnx.checker.check_model(made)
        return onnx.shape_inference.infer_shapes(made)


def residual_net(seed: int = 0) -> onnx.ModelProto:
    """Stem, depthwise, projection, a residual block, mean, fully connected: the shape of mobile networks."""
    net = Net(seed)
    x = net.relu6(net.conv("image", "stem", 3, 8), "stem_act")
    x = net.relu6(net.conv(x, "depthwise", 8, 8, groups=8), "depthwise_act")
    x = net.conv(x, "project", 8, 8, kernel=1)
    y = net.relu6(net.conv(x, "expand", 8, 16, kernel=1), "expand_act")
    y = net.conv(y, "shrink", 16, 8, kernel=1)
    x = net.node("Add", [x, y], "sum")
    axes = net.constant("axes", np.array([2, 3], np.int64))
    x = net.node("ReduceMean", [x, axes], "mean", keepdims=0)
    net.gemm(x, "logits", 8, 5)
    return net.model(["N", 3, SIDE, SIDE], ["N", 5])


def residual_graph(seed: int = 0) -> Graph:
    """`residual_net` with its mean lowered, as recipes start from it."""
    from shoestring.compress.passes.lower_mean import LowerMean

    return LowerMean().run(Graph(residual_net(seed)), {})[0]


def images(n: int, seed: int = 1) -> np.ndarray:
    """(n, 3, SIDE, SIDE) smooth random pictures, float32."""
    rng = np.random.default_rng(seed)
    coarse = rng.normal(0, 1, (n, 3, 4, 4))
    return (np.kron(coarse, np.ones((1, 1, 4, 4))) + rng.normal(0, 0.2, (n, 3, SIDE, SIDE))).astype(np.float32)


def run(model: bytes, x: np.ndarray) -> np.ndarray:
    """First output of a model on ONNX Runtime."""
    from shoestring.runtimes import registry

    with registry.get("onnxruntime").load(model, 1) as session:
        return session.run({session.inputs[0].name: x})[session.outputs[0].name]


def make_workshop(graph: Graph, x: np.ndarray, examples: int = 16) -> Workshop:
    """What calibration on the pictures `x` (n, 3, SIDE, SIDE) finds for `graph`, on one thread."""
    from shoestring.compress.bias import first_examples, float_means, output_spans
    from shoestring.compress.equalize import channel_sizes, equalize_all
    from shoestring.compress.observe import value_ranges
    from shoestring.compress.passes import Workshop
    from shoestring.compress.quantize import needed_ranges

    def feed() -> Iterator[dict[str, np.ndarray]]:
        return ({"image": x[i : i + 8]} for i in range(0, len(x), 8))

    batches = first_examples(feed, examples)
    sizes = channel_sizes(graph, feed, 1)
    graph = graph.copy()
    equalize_all(graph, sizes)
    ranges = value_ranges(graph, feed, needed_ranges(graph))
    spans = output_spans(graph, ranges, (0, 255))
    return Workshop(
        original=graph,
        ranges=ranges,
        sizes=sizes,
        batches=batches,
        rounding_batches=batches,
        means=float_means(graph, batches, 1, spans),
        spans=spans,
        threads=1,
    )
