"""Architectures of the zoo that tests/networks.py does not have; a builder of zoo.py is handed in.

Sources: Howard et al., "Searching for MobileNetV3", ICCV 2019, tables 1 and 2; Tan and Le, "EfficientNet", ICML 2019,
table 1, in the lite form (no squeeze, ReLU6); He et al., CVPR 2016, table 1; Redmon and Farhadi, "YOLOv3", 2018, in the
layout of yolov3.cfg and yolov3-tiny.cfg; Liu et al., "SSD", ECCV 2016, section 2.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx

import encoders
from nets import Net

if TYPE_CHECKING:
    from zoo import Seeded

Act = Callable[[str], str]
OBJECTS = 3
ANCHORS = 3

# kernel, wide, out, squeezed, hard swish, stride
V3_LARGE = (
    (3, 16, 16, 0, 0, 1), (3, 64, 24, 0, 0, 2), (3, 72, 24, 0, 0, 1), (5, 72, 40, 1, 0, 2), (5, 120, 40, 1, 0, 1),
    (5, 120, 40, 1, 0, 1), (3, 240, 80, 0, 1, 2), (3, 200, 80, 0, 1, 1), (3, 184, 80, 0, 1, 1), (3, 184, 80, 0, 1, 1),
    (3, 480, 112, 1, 1, 1), (3, 672, 112, 1, 1, 1), (5, 672, 160, 1, 1, 2), (5, 960, 160, 1, 1, 1),
    (5, 960, 160, 1, 1, 1),
)  # fmt: skip
V3_SMALL = (
    (3, 16, 16, 1, 0, 2), (3, 72, 24, 0, 0, 2), (3, 88, 24, 0, 0, 1), (5, 96, 40, 1, 1, 2), (5, 240, 40, 1, 1, 1),
    (5, 240, 40, 1, 1, 1), (5, 120, 48, 1, 1, 1), (5, 144, 48, 1, 1, 1), (5, 288, 96, 1, 1, 2), (5, 576, 96, 1, 1, 1),
    (5, 576, 96, 1, 1, 1),
)  # fmt: skip
# factor, out, repeats, stride, kernel
LITE0 = (
    (1, 16, 1, 1, 3), (6, 24, 2, 2, 3), (6, 40, 2, 2, 5), (6, 80, 3, 2, 3), (6, 112, 3, 1, 5), (6, 192, 4, 2, 5),
    (6, 320, 1, 1, 3),
)  # fmt: skip


def _mobilenet_v3(net: Seeded, plan: tuple[tuple[int, ...], ...], last: int, hidden: int) -> Any:
    def swish(x: str) -> str:
        return net.add("HardSwish", [x], net.channels[x])

    def gate(x: str) -> str:
        every = net.channels[x]
        mean = net.add("GlobalAveragePool", [x], every)
        squeezed = net.relu(net.conv(mean, net.own(every // 4), 1))
        open_ = net.add("HardSigmoid", [net.conv(squeezed, net.own(every), 1)], every, alpha=1 / 6, beta=0.5)
        return net.join("Mul", x, open_)

    x = swish(net.conv("x", 16, 3, 2))
    for kernel, wide, out, squeezed, hard, stride in plan:
        act: Act = swish if hard else net.relu
        y = act(net.conv(x, wide, 1)) if net.narrow(wide) != net.channels[x] else x
        y = act(net.conv(y, net.channels[y], kernel, stride, groups=net.channels[y]))
        y = net.conv(gate(y) if squeezed else y, out, 1)
        x = net.join("Add", x, y) if stride == 1 and net.channels[y] == net.channels[x] else y
    x = swish(net.conv(x, last, 1))
    mean = net.add("GlobalAveragePool", [x], net.channels[x])
    flat = net.add("Flatten", [mean], net.channels[x])
    thick = swish(net.fc(flat, net.channels[x], net.narrow(hidden)))
    return net.model(net.fc(thick, net.channels[thick], 10))


def mobilenet_v3_large(net: Seeded) -> Any:
    return _mobilenet_v3(net, V3_LARGE, 960, 1280)


def mobilenet_v3_small(net: Seeded) -> Any:
    return _mobilenet_v3(net, V3_SMALL, 576, 1024)


def efficientnet_lite0(net: Seeded) -> Any:
    x = net.conv_relu("x", 32, 3, 2)
    for factor, width, repeats, stride, kernel in LITE0:
        for block in range(repeats):
            wide = net.conv_relu(x, net.own(factor * net.channels[x]), 1) if factor > 1 else x
            deep = net.conv_relu(wide, net.channels[wide], kernel, 1 if block else stride, groups=net.channels[wide])
            thin = net.conv(deep, width, 1)
            x = net.join("Add", x, thin) if block else thin
    return net.model(net.head(net.conv_relu(x, 1280, 1)))


def resnet50(net: Seeded) -> Any:
    """Bottlenecks with the stride in their 3x3 convolution."""
    x = net.pool(net.conv_relu("x", 64, 7, 2), 3, 2, pads=[1, 1, 1, 1])
    for stage, (width, repeats) in enumerate(((64, 3), (128, 4), (256, 6), (512, 3))):
        for block in range(repeats):
            stride = 2 if stage and not block else 1
            short = net.conv(x, 4 * width, 1, stride) if not block else x
            inner = net.conv_relu(net.conv_relu(x, width, 1), width, 3, stride)
            x = net.relu(net.join("Add", net.conv(inner, 4 * width, 1), short))
    return net.model(net.head(x))


def leaky(net: Seeded) -> Act:
    return lambda x: net.add("LeakyRelu", [x], net.channels[x], alpha=0.1)


def silu(net: Seeded) -> Act:
    return lambda x: net.join("Mul", x, net.add("Sigmoid", [x], net.channels[x]))


def twice(net: Seeded, x: str) -> str:
    """Each pixel four times, as Darknet's [upsample]."""
    sizes = net.named(np.float32([1, 1, 2, 2]), "sizes")
    exact = {"coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}
    return net.add("Resize", [x, ""], net.channels[x], [sizes], mode="nearest", **exact)


def yolov3_tiny(net: Seeded) -> Any:
    """Outputs (n, anchors * (5 + objects), side, side), fine and coarse, before decoding."""
    act, x, skip = leaky(net), "x", ""
    for place, width in enumerate((16, 32, 64, 128, 256, 512, 1024)):
        x = act(net.conv(x, width, 3))
        skip = x if place == 4 else skip
        if place < 5:
            x = net.pool(x, 2, 2)
        elif place == 5:
            x = net.pool(x, 2, 1, pads=[0, 0, 1, 1])
    x = act(net.conv(x, 256, 1))
    coarse = net.conv(act(net.conv(x, 512, 3)), net.own(ANCHORS * (5 + OBJECTS)), 1)
    up = twice(net, act(net.conv(x, 128, 1)))
    fine = net.conv(act(net.conv(net.join("Concat", up, skip), 256, 3)), net.own(ANCHORS * (5 + OBJECTS)), 1)
    return net.model(fine, coarse)


def _yolov3(net: Seeded, act: Act) -> Any:
    def residual(x: str, width: int) -> str:
        return net.join("Add", x, act(net.conv(act(net.conv(x, width // 2, 1)), width, 3)))

    x = act(net.conv("x", 32, 3))
    kept = []
    for width, repeats in ((64, 1), (128, 2), (256, 8), (512, 8), (1024, 4)):
        x = act(net.conv(x, width, 3, 2))
        for _ in range(repeats):
            x = residual(x, width)
        kept.append(x)
    heads = []
    for width, skip in ((512, ""), (256, kept[3]), (128, kept[2])):
        if skip:
            x = net.join("Concat", twice(net, act(net.conv(x, width, 1))), skip)
        for _ in range(2):
            x = act(net.conv(act(net.conv(x, width, 1)), 2 * width, 3))
        x = act(net.conv(x, width, 1))
        heads.append(net.conv(act(net.conv(x, 2 * width, 3)), net.own(ANCHORS * (5 + OBJECTS)), 1))
    return net.model(*heads)


def yolov3(net: Seeded) -> Any:
    """Darknet-53 and three heads, coarse first: 75 convolutions."""
    return _yolov3(net, leaky(net))


def yolov3_silu(net: Seeded) -> Any:
    """The same with x * sigmoid(x), as later detectors have it."""
    return _yolov3(net, silu(net))


def _ssd(net: Seeded, *, softmax: bool) -> Any:
    """MobileNet to stride 16, one further stage; boxes (n, places, 4) and scores (n, places, 1 + objects)."""
    x = net.conv_relu("x", 32, 3, 2)
    for width, stride in ((64, 1), (128, 2), (256, 2), (512, 2), (512, 1)):
        x = net.conv_relu(net.conv_relu(x, net.channels[x], 3, stride, groups=net.channels[x]), width, 1)
    further = net.conv_relu(net.conv_relu(x, 256, 1), 512, 3, 2)
    joined = []
    for each in (4, 1 + OBJECTS):
        rows = []
        for level in (x, further):
            head = net.conv(level, net.own(ANCHORS * each), 3)
            last = net.add("Transpose", [head], net.channels[head], perm=[0, 2, 3, 1])
            rows.append(net.add("Reshape", [last], each, [net.named(np.int64([0, -1, each]), "rows")]))
        joined.append(net.add("Concat", rows, each, axis=1))
    boxes, raw = joined
    scores = net.add("Softmax", [raw], 4, axis=2) if softmax else net.add("Sigmoid", [raw], 4)
    return net.model(boxes, scores)


def ssd_softmax(net: Seeded) -> Any:
    return _ssd(net, softmax=True)


def ssd_sigmoid(net: Seeded) -> Any:
    return _ssd(net, softmax=False)


def gelu(net: Net, x: str, output: str) -> str:
    """x (1 + erf(x / sqrt 2)) / 2, as exporters of operator set 17 write it."""
    one, half = net.constant("one", np.float32(1)), net.constant("half", np.float32(0.5))
    part = net.node("Div", [x, net.constant("root_two", np.float32(2**0.5))], f"{output}_part")
    above = net.node("Add", [net.node("Erf", [part], f"{output}_erf"), one], f"{output}_above")
    return net.node("Mul", [net.node("Mul", [x, above], f"{output}_twice"), half], output)


def transformer(form: str) -> onnx.ModelProto:
    """Two pre-norm blocks with GELU, mean over the tokens, a head; norms as `encoders.layer_norm` forms them."""
    net, x = Net(0), "x"
    for block in ("a", "b"):
        normed = encoders.layer_norm(net, x, f"{block}_norm1", form, outliers=())
        x = net.node("Add", [x, encoders.attention(net, normed, f"{block}_att")], f"{block}_sum1")
        normed = encoders.layer_norm(net, x, f"{block}_norm2", form, outliers=())
        up = encoders.linear(net, normed, f"{block}_up", encoders.WIDTH, encoders.HIDDEN)
        hidden = gelu(net, up, f"{block}_hidden")
        down = encoders.linear(net, hidden, f"{block}_down", encoders.HIDDEN, encoders.WIDTH)
        x = net.node("Add", [x, down], f"{block}_sum2")
    pooled = net.node("ReduceMean", [x], "pooled", axes=[1], keepdims=0)
    encoders.linear(net, pooled, "logits", encoders.WIDTH, 10, gemm=True)
    return encoders.close(net)
