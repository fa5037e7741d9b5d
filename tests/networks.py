"""The architectures of ncnn's benchmark, rebuilt in ONNX. Their weights lie in a file that nobody opens.

Others may hand in a builder of their own: `zoo` makes narrow networks with real weights of the same functions.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from onnx import TensorProto, helper, numpy_helper


class Builder:
    """Adds operators behind `x`; a name returned by one goes into the next."""

    def __init__(self, size: int, channels: int = 3) -> None:
        self.nodes: list[Any] = []
        self.weights: list[Any] = []
        self.channels = {"x": channels}
        self.shape = [1, channels, size, size]

    def add(self, operator: str, inputs: list[str], channels: int, weights: list[Any] = (), **attributes: Any) -> str:
        name = f"t{len(self.nodes)}"
        self.weights.extend(weights)
        self.nodes.append(
            helper.make_node(operator, [*inputs, *(item.name for item in weights)], [name], name=name, **attributes)
        )
        self.channels[name] = channels
        return name

    def conv(self, x: str, out: int, kernel: int, stride: int = 1, pad: int | None = None, groups: int = 1) -> str:
        place = kernel // 2 if pad is None else pad
        shapes = ([out, self.channels[x] // groups, kernel, kernel], [out])
        weights = [self._weight(shape, letter) for shape, letter in zip(shapes, "wb", strict=True)]
        settings: dict[str, Any] = {"strides": [stride] * 2, "pads": [place] * 4, "group": groups}
        return self.add("Conv", [x], out, weights, **settings)

    def own(self, width: int) -> int:
        """A width that was counted in this network's own channels, for `conv`."""
        return width

    def relu(self, x: str) -> str:
        return self.add("Relu", [x], self.channels[x])

    def conv_relu(self, *args: Any, **kwargs: Any) -> str:
        return self.relu(self.conv(*args, **kwargs))

    def pool(self, x: str, kernel: int, stride: int, **attributes: Any) -> str:
        settings: dict[str, Any] = {"kernel_shape": [kernel] * 2, "strides": [stride] * 2, **attributes}
        return self.add("MaxPool", [x], self.channels[x], **settings)

    def join(self, operator: str, *names: str) -> str:
        total = sum(self.channels[name] for name in names) if operator == "Concat" else self.channels[names[0]]
        return self.add(operator, list(names), total, **({"axis": 1} if operator == "Concat" else {}))

    def fc(self, x: str, inside: int, out: int) -> str:
        return self.add("Gemm", [x], out, [self._weight([out, inside], "w"), self._weight([out], "b")], transB=1)

    def head(self, x: str, classes: int = 1000) -> str:
        """Global mean, a fully connected layer, softmax."""
        mean = self.add("GlobalAveragePool", [x], self.channels[x])
        flat = self.add("Flatten", [mean], self.channels[x])
        return self.add("Softmax", [self.fc(flat, self.channels[x], classes)], classes)

    def constant(self, values: Any) -> Any:
        return numpy_helper.from_array(np.asarray(values), f"c{len(self.nodes)}")

    def model(self, output: str) -> Any:
        graph = helper.make_graph(
            self.nodes,
            "network",
            [helper.make_tensor_value_info("x", TensorProto.FLOAT, self.shape)],
            [helper.make_tensor_value_info(output, TensorProto.FLOAT, None)],
            self.weights,
        )
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)

    def _weight(self, shape: list[int], letter: str) -> Any:
        made = TensorProto(name=f"{letter}{len(self.nodes)}", data_type=TensorProto.FLOAT, dims=shape)
        made.data_location = TensorProto.EXTERNAL
        made.external_data.add(key="location", value="never-opened")
        return made


def resnet18(net: Builder | None = None) -> Any:
    """The Caffe form of the benchmark: a projection in the first stage too."""
    net = net or Builder(224)
    x = net.pool(net.conv_relu("x", 64, 7, 2), 3, 2, pads=[0, 0, 1, 1])
    for stage, width in enumerate((64, 128, 256, 512)):
        for block in range(2):
            stride = 2 if stage and not block else 1
            short = net.conv(x, width, 1, stride) if not block else x
            x = net.relu(net.join("Add", short, net.conv(net.conv_relu(x, width, 3, stride), width, 3)))
    return net.model(net.head(x))


def squeezenet(net: Builder | None = None) -> Any:
    """SqueezeNet 1.1 at 227 pixels; its last convolution is padded, as in the benchmark."""
    net = net or Builder(227)
    x = net.pool(net.conv_relu("x", 64, 3, 2, 0), 3, 2)
    for place, (squeeze, expand) in enumerate(
        ((16, 64), (16, 64), (32, 128), (32, 128), (48, 192), (48, 192), (64, 256), (64, 256))
    ):
        if place in (2, 4):
            x = net.pool(x, 3, 2, ceil_mode=1)
        thin = net.conv_relu(x, squeeze, 1)
        x = net.join("Concat", net.conv_relu(thin, expand, 1), net.conv_relu(thin, expand, 3))
    x = net.conv_relu(x, 1000, 1, 1, 1)
    return net.model(net.add("Softmax", [net.add("GlobalAveragePool", [x], 1000)], 1000, axis=1))


def mobilenet(net: Builder | None = None) -> Any:
    net = net or Builder(224)
    x = net.conv_relu("x", 32, 3, 2)
    plan = ((64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2), *((512, 1),) * 5, (1024, 2), (1024, 1))
    for width, stride in plan:
        x = net.conv_relu(net.conv_relu(x, net.channels[x], 3, stride, groups=net.channels[x]), width, 1)
    return net.model(net.head(x))


def mobilenet_v2(net: Builder | None = None) -> Any:
    """With an expansion of one in its first block, as the benchmark has it."""
    net = net or Builder(224)
    x = net.conv_relu("x", 32, 3, 2)
    plan = ((1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1))
    for factor, width, repeats, stride in plan:
        for block in range(repeats):
            wide = net.conv_relu(x, net.own(factor * net.channels[x]), 1)
            deep = net.conv_relu(wide, net.channels[wide], 3, 1 if block else stride, groups=net.channels[wide])
            thin = net.conv(deep, width, 1)
            x = net.join("Add", x, thin) if block else thin
    return net.model(net.head(net.conv_relu(x, 1280, 1)))


def vgg16() -> Any:
    net = Builder(224)
    x = "x"
    for width, repeats in ((64, 2), (128, 2), (256, 3), (512, 3), (512, 3)):
        for _ in range(repeats):
            x = net.conv_relu(x, width, 3)
        x = net.pool(x, 2, 2)
    flat = net.add("Flatten", [x], 512 * 49)
    wide = net.relu(net.fc(flat, 512 * 49, 4096))
    return net.model(net.add("Softmax", [net.fc(net.relu(net.fc(wide, 4096, 4096)), 4096, 1000)], 1000))


def efficientnet_b0(net: Builder | None = None) -> Any:
    """Swish as exporters spell it, x * sigmoid(x), and squeeze-and-excitation."""
    net = net or Builder(224)

    def swish(x: str) -> str:
        return net.join("Mul", x, net.add("Sigmoid", [x], net.channels[x]))

    x = swish(net.conv("x", 32, 3, 2))
    plan = (
        (1, 16, 1, 1, 3), (6, 24, 2, 2, 3), (6, 40, 2, 2, 5), (6, 80, 3, 2, 3), (6, 112, 3, 1, 5), (6, 192, 4, 2, 5),
        (6, 320, 1, 1, 3),
    )  # fmt: skip
    for factor, width, repeats, stride, kernel in plan:
        for block in range(repeats):
            narrow = net.channels[x]
            wide = swish(net.conv(x, net.own(factor * narrow), 1)) if factor > 1 else x
            every = net.channels[wide]
            deep = swish(net.conv(wide, every, kernel, 1 if block else stride, groups=every))
            squeezed = swish(net.conv(net.add("GlobalAveragePool", [deep], every), net.own(narrow // 4), 1))
            gate = net.add("Sigmoid", [net.conv(squeezed, net.own(every), 1)], every)
            thin = net.conv(net.join("Mul", deep, gate), width, 1)
            x = net.join("Add", x, thin) if block else thin
    return net.model(net.head(swish(net.conv(x, 1280, 1))))


def shufflenet_v2() -> Any:
    """Channels are split in halves and shuffled by Reshape, Transpose, Reshape."""
    net = Builder(224)

    def shuffle(x: str, size: int) -> str:
        width = net.channels[x]
        wide = net.add("Reshape", [x], width, [net.constant(np.int64([1, 2, width // 2, size, size]))])
        turned = net.add("Transpose", [wide], width, perm=[0, 2, 1, 3, 4])
        return net.add("Reshape", [turned], width, [net.constant(np.int64([1, width, size, size]))])

    x = net.pool(net.conv_relu("x", 24, 3, 2), 3, 2, pads=[0, 0, 1, 1])
    size = 28
    for width, repeats in ((116, 4), (232, 8), (464, 4)):
        half = width // 2
        for block in range(repeats):
            left = right = x
            if block:
                left = net.add("Split", [x], half, axis=1)
                right = f"{left}r"
                net.nodes[-1].output.append(right)
                net.channels[right] = half
            else:
                left = net.conv_relu(net.conv(x, net.channels[x], 3, 2, groups=net.channels[x]), half, 1)
            wide = net.conv_relu(right, half, 1)
            deep = net.conv(wide, half, 3, 1 if block else 2, groups=half)
            x = shuffle(net.join("Concat", left, net.conv_relu(deep, half, 1)), size)
        size //= 2
    return net.model(net.head(net.conv_relu(x, 1024, 1)))
