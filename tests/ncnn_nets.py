"""Small networks whose 8-bit forms differ in what ncnn can keep: convolutions alone, depthwise ones, a residual sum."""

from __future__ import annotations

import onnx

from nets import Net


def plain() -> onnx.ModelProto:
    """Convolutions of several kinds one behind the other, pooled once; behind ReLUs and not."""
    net = Net(3)
    x = net.node("Relu", [net.conv("image", "a", 3, 16)], "a_act")
    x = net.conv(x, "b", 16, 24, kernel=1)
    x = net.node("Relu", [net.conv(x, "c", 24, 16, kernel=5)], "c_act")
    x = net.node("MaxPool", [x], "pool", kernel_shape=[2, 2], strides=[2, 2])
    x = net.node("Relu", [net.conv(x, "d", 16, 16)], "d_act")
    net.conv(x, "out", 16, 8)
    return net.model(["N", 3, 16, 16], ["N", 8, 8, 8], "out")


def depthwise() -> onnx.ModelProto:
    net = Net(4)
    x = net.node("Relu", [net.conv("image", "a", 3, 16)], "a_act")
    x = net.node("Relu", [net.conv(x, "b", 16, 16, groups=16)], "b_act")
    net.conv(x, "out", 16, 8, kernel=1)
    return net.model(["N", 3, 16, 16], ["N", 8, 16, 16], "out")


def summed() -> onnx.ModelProto:
    net = Net(5)
    x = net.conv("image", "a", 3, 16)
    y = net.conv(net.relu6(net.conv(x, "b", 16, 16), "b_act"), "c", 16, 16)
    x = net.node("Relu", [net.node("Add", [x, y], "sum")], "sum_act")
    net.conv(x, "out", 16, 8)
    return net.model(["N", 3, 16, 16], ["N", 8, 16, 16], "out")
