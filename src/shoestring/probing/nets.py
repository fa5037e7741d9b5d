"""The networks of the suite: chains of one operator, and a few whole small nets. Weights are seeded."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

SEED = 20_261_130
OPSET = 17
CLASSES = 100


class Net:
    """A float32 ONNX model written layer by layer; activations keep a spread near one (He et al., ICCV 2015).

    Args:
        name: of the model.
        shape: of the input, with its batch of 1.
    """

    def __init__(self, name: str, shape: tuple[int, ...]) -> None:
        from onnx import helper

        self._helper = helper
        self._random = np.random.default_rng(SEED)
        self._nodes: list[object] = []
        self._weights: list[object] = []
        self.name, self.shape, self.now, self._input = name, shape, "input", shape

    def conv(self, channels: int, kernel: int, *, stride: int = 1, depthwise: bool = False, relu: bool = True) -> Net:
        """A convolution with bias that keeps the size (or divides it by the stride)."""
        batch, inputs, height, width = self.shape
        groups = inputs if depthwise else 1
        fan = inputs // groups * kernel * kernel
        weight = self._weight((channels, inputs // groups, kernel, kernel), fan)
        out = self._node(
            "Conv",
            [self.now, weight, self._weight((channels,), 4 * fan)],
            kernel_shape=[kernel] * 2,
            pads=[kernel // 2] * 4,
            strides=[stride] * 2,
            group=groups,
        )
        self.shape = (batch, channels, -(-height // stride), -(-width // stride))
        self.now = self._node("Relu", [out]) if relu else out
        return self

    def add(self, other: str) -> Net:
        """The sum with an earlier value, through a ReLU."""
        self.now = self._node("Relu", [self._node("Add", [self.now, other])])
        return self

    def fc(self, width: int, *, relu: bool = True) -> Net:
        """A fully connected layer on (batch, n)."""
        fan = self.shape[-1]
        out = self._node("Gemm", [self.now, self._weight((fan, width), fan), self._weight((width,), 4 * fan)])
        self.shape = (self.shape[0], width)
        self.now = self._node("Relu", [out]) if relu else out
        return self

    def attention(self, heads: int) -> Net:
        """Self-attention on (batch, tokens, width), then a sum with its input (Vaswani et al., NeurIPS 2017)."""
        batch, tokens, width = self.shape
        start = self.now
        split = self._constant(np.array([batch, tokens, heads, width // heads], np.int64))
        parts = []
        for order in ([0, 2, 1, 3], [0, 2, 3, 1], [0, 2, 1, 3]):
            part = self._node("MatMul", [start, self._weight((width, width), 2 * width)])
            parts.append(self._node("Transpose", [self._node("Reshape", [part, split])], perm=order))
        scale = self._constant(np.array((width // heads) ** -0.5, np.float32))
        scores = self._node("Mul", [self._node("MatMul", parts[:2]), scale])
        mixed = self._node("MatMul", [self._node("Softmax", [scores], axis=-1), parts[2]])
        joined = self._constant(np.array([batch, tokens, width], np.int64))
        mixed = self._node("Reshape", [self._node("Transpose", [mixed], perm=[0, 2, 1, 3]), joined])
        out = self._node("MatMul", [mixed, self._weight((width, width), 2 * width)])
        self.now = self._node("Add", [out, start])
        return self

    def classify(self) -> Net:
        """Global mean and a last layer."""
        self.now = self._node("Flatten", [self._node("GlobalAveragePool", [self.now])], axis=1)
        self.shape = self.shape[:2]
        return self.fc(CLASSES, relu=False)

    def data(self) -> bytes:
        """The serialised model."""
        import onnx

        helper = self._helper
        kind = onnx.TensorProto.FLOAT
        ends = ([helper.make_tensor_value_info("input", kind, self._input)],)
        made = helper.make_tensor_value_info(self.now, kind, self.shape)
        graph = helper.make_graph(self._nodes, self.name, *ends, [made], self._weights)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=8)
        onnx.checker.check_model(model)
        return bytes(model.SerializeToString(deterministic=True))

    def _node(self, operator: str, inputs: list[str], **attributes: object) -> str:
        name = f"{operator.lower()}{len(self._nodes)}"
        self._nodes.append(self._helper.make_node(operator, inputs, [f"{name}/out"], name=name, **attributes))
        return f"{name}/out"

    def _weight(self, shape: tuple[int, ...], fan: int) -> str:
        return self._constant((self._random.standard_normal(shape) * (2 / fan) ** 0.5).astype(np.float32))

    def _constant(self, values: np.ndarray) -> str:
        from onnx import numpy_helper

        name = f"weight{len(self._weights)}"
        self._weights.append(numpy_helper.from_array(values, name))
        return name


def conv3x3(channels: int, size: int) -> Net:
    net = Net(f"probe-conv3x3-{channels}", (1, channels, size, size))
    for _ in range(3):
        net.conv(channels, 3)
    return net


def conv1x1(channels: int, size: int) -> Net:
    net = Net(f"probe-conv1x1-{channels}", (1, channels, size, size))
    for _ in range(4):
        net.conv(channels, 1)
    return net


def depthwise(channels: int, size: int) -> Net:
    net = Net(f"probe-depthwise-{channels}", (1, channels, size, size))
    for _ in range(4):
        net.conv(channels, 3, depthwise=True)
    return net


def fully_connected(width: int) -> Net:
    return Net(f"probe-fc-{width}", (1, width)).fc(width).fc(width).fc(width, relu=False)


def attention(tokens: int, width: int) -> Net:
    return Net(f"probe-attention-{width}", (1, tokens, width)).attention(4).attention(4)


def plain() -> Net:
    """VGG's form: 3x3 convolutions alone."""
    net = Net("probe-plain", (1, 3, 64, 64))
    for channels, stride in ((32, 1), (32, 2), (64, 1), (64, 2), (128, 1), (128, 2)):
        net.conv(channels, 3, stride=stride)
    return net.classify()


def separable() -> Net:
    """MobileNet's form: depthwise and 1x1 convolutions."""
    net = Net("probe-separable", (1, 3, 96, 96)).conv(16, 3, stride=2)
    for channels, stride in ((32, 1), (64, 2), (64, 1), (128, 2), (128, 1), (256, 2), (256, 1)):
        net.conv(net.shape[1], 3, stride=stride, depthwise=True).conv(channels, 1)
    return net.classify()


def residual() -> Net:
    """ResNet's form: pairs of 3x3 convolutions with a sum."""
    net = Net("probe-residual", (1, 3, 64, 64)).conv(32, 3, stride=2)
    for channels in (32, 64, 128):
        if channels != net.shape[1]:
            net.conv(channels, 3, stride=2)
        start = net.now
        net.conv(channels, 3).conv(channels, 3, relu=False).add(start)
    return net.classify()


SUITE: tuple[Callable[[], Net], ...] = (
    lambda: conv3x3(32, 56),
    lambda: conv3x3(128, 14),
    lambda: conv1x1(64, 56),
    lambda: conv1x1(256, 14),
    lambda: depthwise(128, 28),
    lambda: fully_connected(1024),
    lambda: attention(64, 128),
    plain,
    separable,
    residual,
)
"""The whole suite."""

__all__ = ["SUITE", "Net"]
