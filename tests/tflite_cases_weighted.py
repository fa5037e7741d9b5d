"""Convolutions, products and pools."""

from __future__ import annotations

import numpy as np

from tflite_cases import case, conv, depthwise
from tflite_files import RELU, RELU6, RELU_N1_TO_1, SAME, VALID, TfliteNet


@case("conv, same, stride 2 on an odd and an even side")
def _(net: TfliteNet) -> None:
    conv(net, net.input(1, 7, 10, 3), (1, 4, 5, 4), (4, 3, 3, 3), strideH=2, strideW=2)


@case("conv, valid, with relu6")
def _(net: TfliteNet) -> None:
    conv(net, net.input(1, 7, 9, 3), (1, 5, 6, 4), (4, 3, 4, 3), padding=VALID, fusedActivationFunction=RELU6)


@case("conv, dilated")
def _(net: TfliteNet) -> None:
    options = {"dilationHFactor": 2, "dilationWFactor": 3}
    conv(net, net.input(1, 9, 11, 2), (1, 9, 11, 4), (4, 3, 3, 2), **options)


@case("conv in groups")
def _(net: TfliteNet) -> None:
    conv(net, net.input(1, 6, 6, 6), (1, 6, 6, 4), (4, 3, 3, 3))


@case("depthwise, stride 2, relu")
def _(net: TfliteNet) -> None:
    options = {"strideH": 2, "strideW": 2, "fusedActivationFunction": RELU}
    depthwise(net, net.input(1, 8, 8, 5), (1, 4, 4, 5), (1, 3, 3, 5), **options)


@case("depthwise with a multiplier and relu_n1_to_1")
def _(net: TfliteNet) -> None:
    options = {"depthMultiplier": 2, "fusedActivationFunction": RELU_N1_TO_1}
    depthwise(net, net.input(1, 6, 6, 3), (1, 6, 6, 6), (1, 3, 3, 6), **options)


@case("zeros around a convolution")
def _(net: TfliteNet) -> None:
    x = net.input(1, 6, 7, 3)
    pads = net.const([[0, 0], [1, 0], [2, 1], [0, 0]], np.int32)
    x = net.add("PAD", [x, pads], (1, 7, 10, 3), options="PadOptions")
    conv(net, x, (1, 3, 4, 4), (4, 3, 3, 3), strideH=2, strideW=2, padding=VALID)


@case("zeros around that two read")
def _(net: TfliteNet) -> None:
    x = net.input(1, 6, 6, 2)
    pads = net.const([[0, 0], [1, 1], [1, 1], [0, 0]], np.int32)
    x = net.add("PAD", [x, pads], (1, 8, 8, 2), options="PadOptions")
    y = conv(net, x, (1, 8, 8, 2), (2, 3, 3, 2))
    net.add("ADD", [x, y], (1, 8, 8, 2), options="AddOptions")


for _same, _shape in ((SAME, (1, 8, 10, 4)), (VALID, (1, 9, 11, 4))):

    @case(f"transposed conv, padding {_same}")
    def _(net: TfliteNet, same: int = _same, shape: tuple[int, ...] = _shape) -> None:
        x = net.input(1, 4, 5, 3)
        inputs = [net.ints(*shape), net.weight(4, 3, 3, 3), x]
        options = {"padding": same, "strideH": 2, "strideW": 2}
        net.add("TRANSPOSE_CONV", inputs, shape, options="TransposeConvOptions", **options)


@case("fully connected")
def _(net: TfliteNet) -> None:
    inputs = [net.input(2, 6), net.weight(5, 6), net.weight(5)]
    net.add("FULLY_CONNECTED", inputs, (2, 5), options="FullyConnectedOptions", fusedActivationFunction=RELU)


@case("fully connected over an image")
def _(net: TfliteNet) -> None:
    x = conv(net, net.input(1, 4, 4, 2), (1, 4, 4, 3), (3, 3, 3, 2))
    net.add("FULLY_CONNECTED", [x, net.weight(5, 48), -1], (1, 5), options="FullyConnectedOptions")


@case("fully connected that keeps its axes")
def _(net: TfliteNet) -> None:
    inputs = [net.input(2, 3, 6), net.weight(5, 6)]
    net.add("FULLY_CONNECTED", inputs, (2, 3, 5), options="FullyConnectedOptions", keepNumDims=True)


for _x, _y in ((False, False), (True, False), (False, True)):

    @case(f"batch matmul {_x} {_y}")
    def _(net: TfliteNet, x: bool = _x, y: bool = _y) -> None:
        left = net.input(*((2, 4, 3) if x else (2, 3, 4)))
        right = net.input(*((2, 5, 4) if y else (2, 4, 5)))
        net.add("BATCH_MATMUL", [left, right], (2, 3, 5), options="BatchMatMulOptions", adjX=x, adjY=y)


for _kind in ("AVERAGE_POOL_2D", "MAX_POOL_2D"):
    for _padding, _shape in ((SAME, (1, 4, 4, 3)), (VALID, (1, 3, 3, 3))):

        @case(f"{_kind} padding {_padding}")
        def _(net: TfliteNet, kind: str = _kind, padding: int = _padding, shape: tuple[int, ...] = _shape) -> None:
            options = {"padding": padding, "filterHeight": 3, "filterWidth": 2, "strideH": 2, "strideW": 2}
            net.add(kind, [net.input(1, 8, 7, 3)], shape, options="Pool2DOptions", **options)


@case("average pool of the whole image")
def _(net: TfliteNet) -> None:
    options = {"padding": VALID, "filterHeight": 5, "filterWidth": 4, "strideH": 1, "strideW": 1}
    net.add("AVERAGE_POOL_2D", [net.input(1, 5, 4, 3)], (1, 1, 1, 3), options="Pool2DOptions", **options)
