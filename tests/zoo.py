"""The families of networks that people run on cheap chips, narrow and small, with seeded weights that keep them alive.

`NETS[name]()` gives the bytes of an ONNX model as the importer leaves one: operator set 17, no batch norms, no Constant
nodes, shapes fixed but for a free batch. `example_input(name, n)` gives inputs it was settled on the like of.

Weights are drawn after He et al., "Delving Deep into Rectifiers", ICCV 2015; each layer is then scaled and shifted, a
channel at a time, as a batch norm in training would have done (`settle`): deep nets neither die nor explode.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

import encoders
import networks
import zoo_families as families
from shoestring.compress.graph import Graph
from shoestring.compress.layers import is_weighted
from shoestring.compress.observe import value_ranges
from shoestring.compress.passes.lower_mean import LowerMean
from shoestring.compress.quantize import needed_ranges, to_qdq
from shoestring.compress.scheme import scheme_named
from shoestring.compress.walk import walk

CLASSES = 10
CALIBRATED_ON, CALIBRATION_SEED = 32, 5
SETTLED_ON = 96  # pictures
SPREAD = (0.6, 1.4)  # standard deviations that channels are given, as the scales of a batch norm
SHIFT = 0.3  # standard deviation of their means
CENTRED = 0.15  # taking the whole mean away, as a batch norm does, makes deep random nets chaotic
FLOOR = 1.0  # part of the layer's standard deviation that a channel's is at least taken for
HEADS = ("Gemm",)  # their outputs spread over LOGITS
LOGITS = 3.0


class Seeded(networks.Builder):
    """A builder whose weights are there, whose channels are fewer, and whose batch is free.

    Args:
        size: side of the picture.
        divide: every width is divided by this; at least 4 channels stay.
        six: ReLUs are cut off at six.
        opset: operator set.
    """

    def __init__(self, size: int, divide: int = 1, *, six: bool = False, opset: int = 17) -> None:
        super().__init__(size)
        self.shape[0] = "n"
        self.divide, self.six, self.opset = divide, six, opset
        self.rng = np.random.default_rng(size + divide)

    def narrow(self, width: int) -> int:
        return max(4, round(width / self.divide))

    def conv(self, x: str, out: int, kernel: int, stride: int = 1, pad: int | None = None, groups: int = 1) -> str:
        """A depthwise layer keeps its channels; any other is as narrow as all."""
        if groups == 1:
            out = self.narrow(out)
        return super().conv(x, out, kernel, stride, pad, groups)

    def own(self, width: int) -> int:
        return width * self.divide

    def relu(self, x: str) -> str:
        if not self.six:
            return super().relu(x)
        return self.add("Clip", [x], self.channels[x], [self.constant(np.float32(0)), self.named(np.float32(6), "six")])

    def head(self, x: str, classes: int = CLASSES) -> str:
        """Without the softmax; `classes` of ImageNet become ten."""
        mean = self.add("GlobalAveragePool", [x], self.channels[x])
        flat = self.add("Flatten", [mean], self.channels[x])
        return self.fc(flat, self.channels[x], min(classes, CLASSES))

    def named(self, values: Any, letter: str) -> Any:
        return numpy_helper.from_array(np.asarray(values), f"{letter}{len(self.nodes)}")

    def model(self, *outputs: str) -> Any:
        graph = helper.make_graph(
            self.nodes,
            "network",
            [helper.make_tensor_value_info("x", TensorProto.FLOAT, self.shape)],
            [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in outputs],
            self.weights,
        )
        made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", self.opset)], ir_version=8)
        return onnx.shape_inference.infer_shapes(made, strict_mode=True)

    def _weight(self, shape: list[int], letter: str) -> Any:
        fan = int(np.prod(shape[1:]))
        drawn = self.rng.normal(0, (2 / fan) ** 0.5, shape) if letter == "w" else self.rng.normal(0, 0.1, shape)
        return self.named(drawn.astype(np.float32), letter)


def pictures(n: int, side: int, seed: int = 1) -> np.ndarray:
    """(n, 3, side, side), float32: smooth, of many contrasts and tints, with a little noise."""
    rng = np.random.default_rng(seed)
    contrast, tint = rng.uniform(0.5, 1, (n, 1, 1, 1)), rng.uniform(-0.5, 0.5, (n, 3, 1, 1))
    coarse = rng.uniform(-1.5, 1.5, (n, 3, 8, 8)) * contrast + tint
    fine = np.kron(coarse, np.ones((1, 1, side // 8, side // 8)))
    return (fine + rng.uniform(-0.2, 0.2, fine.shape)).astype(np.float32)


def settle(model: Any, x: np.ndarray, centred: float = CENTRED, seed: int = 0) -> Any:
    """Scale and shift every layer's channels in execution order, on the inputs `x`.

    Args:
        centred: part of each channel's mean that is taken away.
    """
    graph = Graph(model)
    rng = np.random.default_rng(seed)
    layers = {node.output[0]: node for node in graph.nodes if is_weighted(graph, node) and len(node.input) > 2}
    for tensor, (seen,) in walk(graph, [{graph.inputs[0]: x}], list(layers), 1):
        node = layers[tensor]
        axes = (0, *range(2, seen.ndim))
        channels = seen.shape[1]
        spread = np.maximum(seen.std(axis=axes), FLOOR * seen.std()) + 1e-6
        wide = LOGITS if node.op_type in HEADS else 1.0
        scale = wide * rng.uniform(*SPREAD, channels) / spread
        shift = wide * rng.normal(0, SHIFT, channels) - centred * seen.mean(axis=axes) * scale
        along = (1, -1, *[1] * (seen.ndim - 2))
        seen[...] = seen * scale.reshape(along) + shift.reshape(along)
        weight, bias = (graph.weights[name] for name in node.input[1:3])
        rows = scale.reshape(-1, *[1] * (weight.ndim - 1))
        graph.weights[node.input[1]] = (weight * rows).astype(np.float32)
        graph.weights[node.input[2]] = (bias * scale + shift).astype(np.float32)
    return onnx.shape_inference.infer_shapes(onnx.ModelProto.FromString(graph.to_bytes()))


def _of(
    side: int, divide: int, build: Callable[[Seeded], Any], *, six: bool = False, centred: float = CENTRED
) -> Callable[[], bytes]:
    @cache
    def made() -> bytes:
        settled = settle(build(Seeded(side, divide, six=six)), pictures(SETTLED_ON, side, seed=0), centred)
        onnx.checker.check_model(settled)
        return bytes(settled.SerializeToString(deterministic=True))

    return made


def _encoder(form: str) -> Callable[[], bytes]:
    @cache
    def made() -> bytes:
        return bytes(families.transformer(form).SerializeToString(deterministic=True))

    return made


SIDES = {
    "mobilenet_v1": 64, "mobilenet_v2": 64, "mobilenet_v3_small": 64, "mobilenet_v3_large": 64,
    "efficientnet_lite0": 64, "efficientnet_b0": 64, "resnet18": 64, "resnet50": 32, "squeezenet": 64,
    "yolov3_tiny": 64, "yolov3": 64, "yolov3_silu": 64, "ssd_softmax": 64, "ssd_sigmoid": 64,
}  # fmt: skip
"""Side of the picture, of the nets that take one."""

NETS: dict[str, Callable[[], bytes]] = {
    "mobilenet_v1": _of(64, 8, networks.mobilenet, six=True),
    "mobilenet_v2": _of(64, 4, networks.mobilenet_v2, six=True),
    "mobilenet_v3_small": _of(64, 4, families.mobilenet_v3_small),
    "mobilenet_v3_large": _of(64, 4, families.mobilenet_v3_large),
    "efficientnet_lite0": _of(64, 4, families.efficientnet_lite0, six=True),
    "efficientnet_b0": _of(64, 4, networks.efficientnet_b0, centred=0.1),
    "resnet18": _of(64, 8, networks.resnet18),
    "resnet50": _of(32, 16, families.resnet50),
    "squeezenet": _of(64, 8, networks.squeezenet, centred=0.5),
    "yolov3_tiny": _of(64, 16, families.yolov3_tiny),
    "yolov3": _of(64, 8, families.yolov3),
    "yolov3_silu": _of(64, 8, families.yolov3_silu, centred=0.3),
    "ssd_softmax": _of(64, 8, families.ssd_softmax, six=True),
    "ssd_sigmoid": _of(64, 8, families.ssd_sigmoid, six=True),
    "transformer": _encoder("operator"),
    "transformer_primitive": _encoder("decomposed"),
}
"""Every net by name; a second call gives the same bytes."""


def example_input(name: str, n: int = 1, seed: int = 1) -> dict[str, np.ndarray]:
    """`n` examples for the net called `name`, by input name; another seed gives others."""
    if name in SIDES:
        return {"x": pictures(n, SIDES[name], seed)}
    return {"x": encoders.tokens(n, seed)}


def lowered(name: str) -> Graph:
    """The net as recipes start from it."""
    return LowerMean().run(Graph(onnx.ModelProto.FromString(NETS[name]())), {})[0]


@cache
def quantized(name: str, scheme: str) -> bytes:
    """The net in QDQ form, its ranges seen on 32 examples, nothing corrected."""
    graph = lowered(name)
    (examples,) = example_input(name, CALIBRATED_ON, seed=CALIBRATION_SEED).values()

    def feed() -> Iterator[dict[str, np.ndarray]]:
        return ({graph.inputs[0]: examples[i : i + 8]} for i in range(0, len(examples), 8))

    ranges = value_ranges(graph, feed, needed_ranges(graph))
    return to_qdq(graph, ranges, scheme_named(scheme), frozenset()).to_bytes()
