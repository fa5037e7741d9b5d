"""Each operator gives in ONNX what LiteRT gives."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

pytest.importorskip("ai_edge_litert")

from shoestring.importers.tflite import convolutions
from tflite_files import RELU, RELU6, RELU_N1_TO_1, SAME, VALID, TfliteNet, input_details, run_litert, session_of

TOLERANCE = 1e-5  # of the largest value

Build = Callable[[TfliteNet], None]
CASES: dict[str, Build] = {}


def case(name: str) -> Callable[[Build], Build]:
    def keep(build: Build) -> Build:
        CASES[name] = build
        return build

    return keep


def draw(detail: dict[str, Any], seed: int) -> Any:
    chance, shape = np.random.default_rng(seed), detail["shape"]
    if detail["dtype"] == np.float32:
        return chance.uniform(-2, 2, shape).astype(np.float32)
    if detail["dtype"] == np.bool_:
        return chance.random(shape) < 0.5
    return chance.integers(1, 9, shape).astype(detail["dtype"])


def worst(data: bytes, folder: Path, feeds: list[Any] | None = None) -> float:
    """Largest difference from LiteRT, relative to its largest value."""
    found = feeds or [draw(detail, i) for i, detail in enumerate(input_details(data))]
    session = session_of(data, folder)
    names = [value.name for value in session.get_inputs()]
    images = [x.transpose(0, 3, 1, 2) if x.ndim == 4 else x for x in found]
    got = session.run(None, dict(zip(names, images, strict=True)))
    differences = [0.0]
    for here, there in zip(got, run_litert(data, found), strict=True):
        plain = here.transpose(0, 2, 3, 1) if here.ndim == 4 else here
        assert plain.shape == there.shape and plain.dtype == there.dtype
        difference = np.abs(plain.astype(np.float64) - there.astype(np.float64))
        assert np.isfinite(difference).all()
        differences.append(float(difference.max() / max(1e-6, np.abs(there.astype(np.float64)).max())))
    return max(differences)


def conv(net: TfliteNet, x: int, shape: tuple[int, ...], kernel: tuple[int, ...], **fields: Any) -> int:
    options = {"strideH": 1, "strideW": 1, "padding": SAME, **fields}
    weights = [net.weight(*kernel), net.weight(kernel[0])]
    return net.add("CONV_2D", [x, *weights], shape, options="Conv2DOptions", **options)


def depthwise(net: TfliteNet, x: int, shape: tuple[int, ...], kernel: tuple[int, ...], **fields: Any) -> int:
    options = {"strideH": 1, "strideW": 1, "padding": SAME, "depthMultiplier": 1, **fields}
    weights = [net.weight(*kernel), net.weight(kernel[3])]
    return net.add("DEPTHWISE_CONV_2D", [x, *weights], shape, options="DepthwiseConv2DOptions", **options)


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


UNARY = (
    "ABS",
    "CEIL",
    "COS",
    "EXP",
    "FLOOR",
    "HARD_SWISH",
    "LOGISTIC",
    "NEG",
    "RELU",
    "RELU6",
    "RELU_N1_TO_1",
    "ROUND",
    "SIN",
    "SQUARE",
    "TANH",
    "ELU",
    "RELU_0_TO_1",
    "SIGN",
)
for _kind in UNARY:

    @case(_kind)
    def _(net: TfliteNet, kind: str = _kind) -> None:
        net.add(kind, [net.input(1, 3, 4, 5)], (1, 3, 4, 5))


for _kind in ("LOG", "SQRT", "RSQRT"):

    @case(_kind)
    def _(net: TfliteNet, kind: str = _kind) -> None:
        x = net.add("EXP", [net.input(3, 5)], (3, 5))
        net.add(kind, [x], (3, 5))


BINARY = {"ADD": "AddOptions", "SUB": "SubOptions", "MUL": "MulOptions", "DIV": "DivOptions"}
for _kind, _options in BINARY.items():

    @case(f"{_kind} of two images, with relu")
    def _(net: TfliteNet, kind: str = _kind, options: str = _options) -> None:
        inputs = [net.input(1, 3, 4, 5), net.input(1, 3, 4, 5)]
        net.add(kind, inputs, (1, 3, 4, 5), options=options, fusedActivationFunction=RELU)

    @case(f"{_kind} of an image and channels")
    def _(net: TfliteNet, kind: str = _kind, options: str = _options) -> None:
        net.add(kind, [net.input(1, 3, 4, 5), net.weight(5)], (1, 3, 4, 5), options=options)

    @case(f"{_kind} of rows and columns")
    def _(net: TfliteNet, kind: str = _kind, options: str = _options) -> None:
        net.add(kind, [net.input(4, 5), net.input(1, 3, 4, 5)], (1, 3, 4, 5), options=options)


MORE = ("MAXIMUM", "MINIMUM", "SQUARED_DIFFERENCE", "FLOOR_DIV", "FLOOR_MOD")
for _kind in MORE:

    @case(_kind)
    def _(net: TfliteNet, kind: str = _kind) -> None:
        net.add(kind, [net.input(1, 3, 4, 5), net.input(1, 1, 1, 5)], (1, 3, 4, 5))


@case("POW")
def _(net: TfliteNet) -> None:
    net.add("POW", [net.add("ABS", [net.input(3, 5)], (3, 5)), net.const(np.float32(1.7))], (3, 5))


@case("ADD_N")
def _(net: TfliteNet) -> None:
    net.add("ADD_N", [net.input(3, 5), net.input(3, 5), net.input(3, 5)], (3, 5))


for _kind in ("EQUAL", "NOT_EQUAL", "GREATER", "GREATER_EQUAL", "LESS", "LESS_EQUAL"):

    @case(_kind)
    def _(net: TfliteNet, kind: str = _kind) -> None:
        net.add(kind, [net.input(40, kind="INT32"), net.input(40, kind="INT32")], (40,), to="BOOL")


@case("logic and choice")
def _(net: TfliteNet) -> None:
    a, b, x, y = net.input(9, kind="BOOL"), net.input(9, kind="BOOL"), net.input(9), net.input(9)
    c = net.add("LOGICAL_AND", [a, net.add("LOGICAL_NOT", [b], (9,), to="BOOL")], (9,), to="BOOL")
    c = net.add("LOGICAL_OR", [c, net.add("GREATER", [x, y], (9,), to="BOOL")], (9,), to="BOOL")
    net.add("SELECT_V2", [c, x, y], (9,))


@case("PRELU by channel")
def _(net: TfliteNet) -> None:
    net.add("PRELU", [net.input(1, 3, 4, 5), net.weight(1, 1, 5)], (1, 3, 4, 5))


@case("LEAKY_RELU")
def _(net: TfliteNet) -> None:
    net.add("LEAKY_RELU", [net.input(1, 3, 4, 5)], (1, 3, 4, 5), options="LeakyReluOptions", alpha=0.3)


for _approximate in (False, True):

    @case(f"GELU {_approximate}")
    def _(net: TfliteNet, approximate: bool = _approximate) -> None:
        net.add("GELU", [net.input(3, 5)], (3, 5), options="GeluOptions", approximate=approximate)


@case("SOFTMAX with a slope")
def _(net: TfliteNet) -> None:
    net.add("SOFTMAX", [net.input(3, 5)], (3, 5), options="SoftmaxOptions", beta=2.0)


@case("SOFTMAX over channels")
def _(net: TfliteNet) -> None:
    net.add("SOFTMAX", [net.input(1, 3, 4, 5)], (1, 3, 4, 5), options="SoftmaxOptions", beta=1.0)


@case("LOG_SOFTMAX")
def _(net: TfliteNet) -> None:
    net.add("LOG_SOFTMAX", [net.input(3, 5)], (3, 5), options="LogSoftmaxOptions")


@case("L2_NORMALIZATION")
def _(net: TfliteNet) -> None:
    net.add("L2_NORMALIZATION", [net.input(1, 3, 4, 5)], (1, 3, 4, 5), options="L2NormOptions")


for _kind, _shape in (("MEAN", (1, 5)), ("SUM", (1, 5)), ("REDUCE_MAX", (1, 5)), ("REDUCE_MIN", (1, 5))):

    @case(f"{_kind} over rows and columns")
    def _(net: TfliteNet, kind: str = _kind, shape: tuple[int, ...] = _shape) -> None:
        net.add(kind, [net.input(1, 3, 4, 5), net.ints(1, 2)], shape, options="ReducerOptions")

    @case(f"{_kind} over channels, axes kept")
    def _(net: TfliteNet, kind: str = _kind) -> None:
        inputs = [net.input(1, 3, 4, 5), net.ints(-1)]
        net.add(kind, inputs, (1, 3, 4, 1), options="ReducerOptions", keepDims=True)

    @case(f"{_kind} over rows, axis dropped")
    def _(net: TfliteNet, kind: str = _kind) -> None:
        net.add(kind, [net.input(1, 3, 4, 5), net.ints(1)], (1, 4, 5), options="ReducerOptions")


@case("MEAN over rows and columns, axes kept")
def _(net: TfliteNet) -> None:
    x = net.add("MEAN", [net.input(1, 3, 4, 5), net.ints(1, 2)], (1, 1, 1, 5), options="ReducerOptions", keepDims=True)
    conv(net, x, (1, 1, 1, 4), (4, 1, 1, 5))


@case("REDUCE_PROD")
def _(net: TfliteNet) -> None:
    net.add("REDUCE_PROD", [net.input(3, 5), net.ints(0)], (5,), options="ReducerOptions")


for _kind in ("ARG_MAX", "ARG_MIN"):

    @case(_kind)
    def _(net: TfliteNet, kind: str = _kind) -> None:
        options = f"{kind.title().replace('_', '')}Options"
        inputs = [net.input(1, 3, 4, 5), net.ints(-1)]
        net.add(kind, inputs, (1, 3, 4), to="INT64", options=options, outputType=4)


@case("CUMSUM")
def _(net: TfliteNet) -> None:
    net.add("CUMSUM", [net.input(3, 5), net.const(np.int32(1))], (3, 5), options="CumsumOptions", exclusive=True)


@case("TOPK_V2")
def _(net: TfliteNet) -> None:
    x = net.input(3, 7)
    values = net.add("TOPK_V2", [x, net.const(np.int32(2))], (3, 2), (3, 2), to="FLOAT32", options="TopKV2Options")
    net.tensors[values + 1].type = 2


@case("RESHAPE of an image to rows")
def _(net: TfliteNet) -> None:
    x = conv(net, net.input(1, 3, 4, 2), (1, 3, 4, 5), (5, 1, 1, 2))
    net.add("RESHAPE", [x, net.ints(1, 60)], (1, 60), options="ReshapeOptions")


@case("RESHAPE to one pixel, and a convolution")
def _(net: TfliteNet) -> None:
    x = net.add("RESHAPE", [net.input(1, 6), net.ints(1, 1, 1, 6)], (1, 1, 1, 6), options="ReshapeOptions")
    conv(net, x, (1, 1, 1, 4), (4, 1, 1, 6))


@case("SQUEEZE and EXPAND_DIMS")
def _(net: TfliteNet) -> None:
    x = net.add("SQUEEZE", [net.input(1, 3, 1, 5)], (1, 3, 5), options="SqueezeOptions", squeezeDims=[2])
    net.add("EXPAND_DIMS", [x, net.const(np.int32(1))], (1, 1, 3, 5), options="ExpandDimsOptions")


for _perm in ((0, 3, 1, 2), (0, 2, 3, 1), (0, 2, 1, 3), (3, 0, 1, 2)):

    @case(f"TRANSPOSE {_perm}")
    def _(net: TfliteNet, perm: tuple[int, ...] = _perm) -> None:
        x = conv(net, net.input(1, 3, 4, 2), (1, 3, 4, 5), (5, 1, 1, 2))
        shape = tuple((1, 3, 4, 5)[axis] for axis in perm)
        x = net.add("TRANSPOSE", [x, net.ints(*perm)], shape, options="TransposeOptions")
        net.add("RELU", [x], shape)


for _axis, _shape in ((3, (1, 3, 4, 9)), (1, (1, 6, 4, 5)), (-2, (1, 3, 8, 5))):

    @case(f"CONCATENATION along {_axis}")
    def _(net: TfliteNet, axis: int = _axis, shape: tuple[int, ...] = _shape) -> None:
        other = [1, 3, 4, 5]
        other[axis] = shape[axis] - other[axis]
        inputs = [net.input(1, 3, 4, 5), net.input(*other)]
        net.add("CONCATENATION", inputs, shape, options="ConcatenationOptions", axis=axis)


@case("CONCATENATION with a constant")
def _(net: TfliteNet) -> None:
    inputs = [net.input(1, 3, 4, 5), net.weight(1, 3, 4, 2)]
    net.add("CONCATENATION", inputs, (1, 3, 4, 7), options="ConcatenationOptions", axis=3)


@case("SPLIT by channels")
def _(net: TfliteNet) -> None:
    inputs = [net.const(np.int32(3)), net.input(1, 3, 4, 6)]
    net.add("SPLIT", inputs, *[(1, 3, 4, 2)] * 3, options="SplitOptions", numSplits=3)


@case("SPLIT_V by rows")
def _(net: TfliteNet) -> None:
    inputs = [net.input(1, 5, 4, 2), net.ints(2, 3), net.const(np.int32(1))]
    net.add("SPLIT_V", inputs, (1, 2, 4, 2), (1, 3, 4, 2), options="SplitVOptions", numSplits=2)


@case("PACK and UNPACK")
def _(net: TfliteNet) -> None:
    x = net.add("PACK", [net.input(3, 4), net.input(3, 4)], (3, 2, 4), options="PackOptions", valuesCount=2, axis=1)
    net.add("UNPACK", [x], *[(3, 2)] * 4, options="UnpackOptions", num=4, axis=2)


@case("SLICE of an image")
def _(net: TfliteNet) -> None:
    inputs = [net.input(1, 5, 6, 4), net.ints(0, 1, 2, 1), net.ints(1, 3, -1, 2)]
    net.add("SLICE", inputs, (1, 3, 4, 2), options="SliceOptions")


@case("STRIDED_SLICE of an image, backwards and by two")
def _(net: TfliteNet) -> None:
    inputs = [net.input(1, 5, 6, 4), net.ints(0, 9, 1, 0), net.ints(1, 0, 6, 4), net.ints(1, -1, 2, 3)]
    options = {"beginMask": 2, "endMask": 2}
    net.add("STRIDED_SLICE", inputs, (1, 5, 3, 2), options="StridedSliceOptions", **options)


@case("STRIDED_SLICE that drops an axis")
def _(net: TfliteNet) -> None:
    inputs = [net.input(1, 5, 6, 4), net.ints(0, 0, -2, 0), net.ints(1, 5, -1, 4), net.ints(1, 1, 1, 1)]
    net.add("STRIDED_SLICE", inputs, (1, 5, 4), options="StridedSliceOptions", shrinkAxisMask=4)


@case("GATHER")
def _(net: TfliteNet) -> None:
    net.add("GATHER", [net.input(3, 5), net.ints(4, 0, 2)], (3, 3), options="GatherOptions", axis=1)


@case("GATHER by an input")
def _(net: TfliteNet) -> None:
    inputs = [net.weight(20, 6), net.input(1, 7, kind="INT32")]
    net.add("GATHER", inputs, (1, 7, 6), options="GatherOptions", axis=0)


@case("GATHER_ND")
def _(net: TfliteNet) -> None:
    net.add("GATHER_ND", [net.input(3, 4, 5), net.const([[2, 1], [0, 3]], np.int32)], (2, 5), options="GatherNdOptions")


@case("TILE")
def _(net: TfliteNet) -> None:
    net.add("TILE", [net.input(1, 3), net.ints(2, 2)], (2, 6), options="TileOptions")


@case("BROADCAST_TO")
def _(net: TfliteNet) -> None:
    net.add("BROADCAST_TO", [net.input(1, 3), net.ints(4, 3)], (4, 3), options="BroadcastToOptions")


@case("constants that stand in the file as work")
def _(net: TfliteNet) -> None:
    x = net.input(2, 3)
    shape = net.add("SHAPE", [x], (2,), to="INT32", options="ShapeOptions", outType=2)
    full = net.add("FILL", [shape, net.const(np.float32(1.5))], (2, 3), options="FillOptions")
    zeros = net.add("ZEROS_LIKE", [x], (2, 3), options="ZerosLikeOptions")
    net.add("ADD", [net.add("ADD", [x, full], (2, 3), options="AddOptions"), zeros], (2, 3), options="AddOptions")


@case("CAST")
def _(net: TfliteNet) -> None:
    x = net.add("CAST", [net.input(5, kind="INT32")], (5,), options="CastOptions", inDataType=2, outDataType=0)
    net.add("MUL", [x, net.const(np.float32(0.3))], (5,), options="MulOptions")


@case("PADV2 with a value")
def _(net: TfliteNet) -> None:
    pads = net.const([[0, 0], [1, 0], [2, 1], [0, 3]], np.int32)
    inputs = [net.input(1, 3, 4, 2), pads, net.const(np.float32(7))]
    net.add("PADV2", inputs, (1, 4, 7, 5), options="PadV2Options")


@case("MIRROR_PAD")
def _(net: TfliteNet) -> None:
    pads = net.const([[0, 0], [1, 2], [2, 1], [0, 0]], np.int32)
    net.add("MIRROR_PAD", [net.input(1, 3, 4, 2), pads], (1, 6, 7, 2), options="MirrorPadOptions", mode=0)


for _kind in ("RESIZE_BILINEAR", "RESIZE_NEAREST_NEIGHBOR"):
    for _align, _half in ((False, False), (True, False), (False, True)):
        for _size in ((7, 11), (3, 2), (8, 10)):

            @case(f"{_kind} align {_align} half {_half} to {_size}")
            def _(
                net: TfliteNet,
                kind: str = _kind,
                align: bool = _align,
                half: bool = _half,
                size: tuple[int, int] = _size,
            ) -> None:
                options = "ResizeBilinearOptions" if "BILINEAR" in kind else "ResizeNearestNeighborOptions"
                inputs = [net.input(1, 4, 5, 2), net.ints(*size)]
                fields = {"alignCorners": align, "halfPixelCenters": half}
                net.add(kind, inputs, (1, *size, 2), options=options, **fields)


@case("DEPTH_TO_SPACE")
def _(net: TfliteNet) -> None:
    net.add("DEPTH_TO_SPACE", [net.input(1, 3, 2, 8)], (1, 6, 4, 2), options="DepthToSpaceOptions", blockSize=2)


@case("SPACE_TO_DEPTH")
def _(net: TfliteNet) -> None:
    net.add("SPACE_TO_DEPTH", [net.input(1, 6, 4, 2)], (1, 3, 2, 8), options="SpaceToDepthOptions", blockSize=2)


@case("a dilated convolution written as blocks")
def _(net: TfliteNet) -> None:
    x, block = net.input(1, 6, 7, 2), net.ints(2, 2)
    pads, crops = net.const([[2, 2], [2, 3]], np.int32), net.const([[0, 0], [0, 1]], np.int32)
    x = net.add("SPACE_TO_BATCH_ND", [x, block, pads], (4, 5, 6, 2), options="SpaceToBatchNDOptions")
    x = conv(net, x, (4, 3, 4, 2), (2, 3, 3, 2), padding=VALID)
    net.add("BATCH_TO_SPACE_ND", [x, block, crops], (1, 6, 7, 2), options="BatchToSpaceNDOptions")


@case("a dilated convolution over time, written as blocks")
def _(net: TfliteNet) -> None:
    x, block = net.input(1, 8, 3), net.ints(2)
    x = net.add(
        "SPACE_TO_BATCH_ND", [x, block, net.const([[2, 2]], np.int32)], (2, 6, 3), options="SpaceToBatchNDOptions"
    )
    x = net.add("EXPAND_DIMS", [x, net.const(np.int32(1))], (2, 1, 6, 3), options="ExpandDimsOptions")
    x = conv(net, x, (2, 1, 4, 3), (3, 1, 3, 3), padding=VALID)
    x = net.add("SQUEEZE", [x], (2, 4, 3), options="SqueezeOptions", squeezeDims=[1])
    net.add("BATCH_TO_SPACE_ND", [x, block, net.const([[0, 0]], np.int32)], (1, 8, 3), options="BatchToSpaceNDOptions")


@case("sizes that the file computes and states as 1")
def _(net: TfliteNet) -> None:
    """As a converter writes an upsampling convolution whose batch is free."""
    x = net.input(1, 4, 5, 3, signature=(-1, 4, 5, 3))
    open_ = {"kind": "FLOAT32", "signature": (-1, -1, -1, 4)}
    shape = net.add("SHAPE", [x], (4,), to="INT32", options="ShapeOptions", outType=2)
    cut = [net.ints(0), net.ints(1), net.ints(1)]
    batch = net.add("STRIDED_SLICE", [shape, *cut], (), to="INT32", options="StridedSliceOptions", shrinkAxisMask=1)
    rows = net.add("MUL", [net.const(np.int32(4)), net.const(np.int32(2))], (), to="INT32", options="MulOptions")
    parts = [batch, rows, net.const(np.int32(10)), net.const(np.int32(4))]
    size = net.add("PACK", parts, (4,), to="INT32", options="PackOptions", valuesCount=4)
    inputs = [size, net.weight(4, 3, 3, 3), x]
    options = {"padding": SAME, "strideH": 2, "strideW": 2}
    y = net.add("TRANSPOSE_CONV", inputs, (1, 1, 1, 4), to=open_, options="TransposeConvOptions", **options)
    net.add("RELU", [y], (1, 1, 1, 4), to=open_)


@pytest.mark.parametrize("name", CASES)
def test_same_function(tmp_path: Path, name: str) -> None:
    net = TfliteNet()
    CASES[name](net)
    assert worst(net.data(), tmp_path) < TOLERANCE


def test_what_the_file_computes_from_shapes_leaves_no_node(tmp_path: Path) -> None:
    net = TfliteNet()
    CASES["sizes that the file computes and states as 1"](net)
    session_of(net.data(), tmp_path)
    assert [node.op_type for node in onnx.load(tmp_path / "out.onnx").graph.node] == ["ConvTranspose", "Relu"]


def test_padding_on_the_wrong_side_would_be_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    right = convolutions.window

    def swapped(*arguments: Any) -> tuple[int, int, int]:
        count, before, after = right(*arguments)
        return count, after, before

    net = TfliteNet()
    CASES["conv, same, stride 2 on an odd and an even side"](net)
    monkeypatch.setattr(convolutions, "window", swapped)
    assert worst(net.data(), tmp_path) > TOLERANCE
