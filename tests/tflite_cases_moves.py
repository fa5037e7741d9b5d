"""Operators that move values, and networks whose sizes are computed."""

from __future__ import annotations

import numpy as np

from tflite_cases import case, conv
from tflite_files import SAME, VALID, TfliteNet


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
