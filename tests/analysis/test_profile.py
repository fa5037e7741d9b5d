"""Costs against numbers worked out by hand."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

import onnx_graphs
from onnx_graphs import floats, ints, tensor, weight
from shoestring.analysis import graphs, operators, profile
from shoestring.analysis.onnx_child import profile as profile_here
from shoestring.base import canonical
from shoestring.base.errors import ModelError, UsageError
from shoestring.domain.model import Layer, Profile

if TYPE_CHECKING:
    from pathlib import Path


def profiled(made: Any, folder: Path, batch: int = 1) -> Profile:
    """The child's own work, in this process."""
    path = onnx_graphs.save(made, folder / "model.onnx")
    return canonical.convert(profile_here({"path": str(path), "batch": batch}), Profile, ModelError)


def one(node: Any, weights: list[Any], folder: Path, *inputs: Any, rank: int = 4, opset: int = 17) -> Layer:
    made = onnx_graphs.model([node], weights, inputs=list(inputs), outputs=[floats("y", *[None] * rank)], opset=opset)
    return profiled(made, folder).layers[0]


def test_a_convolution_by_hand(tmp_path: Path) -> None:
    """16 filters of 3 x 3 x 3 at stride 2 on 32 x 32: 16 * 16 * 16 values of 27 MACs."""
    node = helper.make_node("Conv", ["x", "w", "b"], ["y"], strides=[2, 2], pads=[1, 1, 1, 1])
    weights = [weight("w", 16, 3, 3, 3), weight("b", 16)]
    layer = one(node, weights, tmp_path, floats("x", "n", 3, 32, 32))
    assert layer.macs == 16 * 16 * 16 * 27
    assert layer.parameters == 16 * 27 + 16
    assert layer.weight_bytes == 4 * layer.parameters
    assert (layer.read_bytes, layer.written_bytes) == (4 * 3 * 32 * 32, 4 * 16 * 16 * 16)
    assert layer.output_shape == (1, 16, 16, 16)


def test_the_batch_scales_all_but_the_weights(tmp_path: Path) -> None:
    made = onnx_graphs.model([helper.make_node("Conv", ["x", "w"], ["y"])], [weight("w", 4, 3, 3, 3)])
    single, five = profiled(made, tmp_path), profiled(made, tmp_path, batch=5)
    assert five.macs == 5 * single.macs
    assert five.peak_activation_bytes == 5 * single.peak_activation_bytes
    assert five.weight_bytes == single.weight_bytes
    assert five.batch == 5


@pytest.mark.parametrize(
    ("node", "weights", "inputs", "rank", "macs"),
    [
        # depthwise: each of 8 * 6 * 6 values takes 9
        (helper.make_node("Conv", ["x", "w"], ["y"], group=8), [("w", 8, 1, 3, 3)], [(1, 8, 8, 8)], 4, 8 * 36 * 9),
        # each of 4 * 5 * 5 inputs goes to 6 / 2 channels of a 2 x 2 kernel
        (
            helper.make_node("ConvTranspose", ["x", "w"], ["y"], group=2, strides=[2, 2]),
            [("w", 4, 3, 2, 2)],
            [(1, 4, 5, 5)],
            4,
            100 * 3 * 4,
        ),
        (helper.make_node("Gemm", ["x", "w"], ["y"], transB=1), [("w", 10, 64)], [(1, 64)], 2, 640),
        (helper.make_node("Gemm", ["x", "w"], ["y"], transA=1), [("w", 64, 10)], [(64, 2)], 2, 2 * 640),
        # two activations, twelve heads: (12, 7, 64) @ (12, 64, 9)
        (helper.make_node("MatMul", ["x", "z"], ["y"]), [], [(1, 12, 7, 64), (1, 12, 64, 9)], 4, 12 * 7 * 64 * 9),
        (helper.make_node("MatMul", ["x", "w"], ["y"]), [("w", 32, 5)], [(1, 7, 32)], 3, 7 * 32 * 5),
        (helper.make_node("Einsum", ["x", "z"], ["y"], equation="bik,bjk->bij"), [], [(2, 3, 4), (2, 5, 4)], 3, 120),
        # 6 steps of 4 gates: (4 * 16) x (10 + 16)
        (
            helper.make_node("LSTM", ["x", "w", "r"], ["y"], hidden_size=16),
            [("w", 1, 64, 10), ("r", 1, 64, 16)],
            [(6, 1, 10)],
            4,
            6 * 64 * 26,
        ),
        (helper.make_node("Relu", ["x"], ["y"]), [], [(1, 3, 4, 4)], 4, 0),
    ],
)
def test_macs_by_hand(
    tmp_path: Path, node: Any, weights: list[Any], inputs: list[tuple[int, ...]], rank: int, macs: int
) -> None:
    values = [floats(name, *shape) for name, shape in zip("xz", inputs, strict=False)]
    layer = one(node, [weight(*item) for item in weights], tmp_path, *values, rank=rank)
    assert layer.macs == macs


def inverted_residual(
    x: str, y: str, c_in: int, c_out: int, expansion: int, stride: int
) -> tuple[list[Any], list[Any]]:
    """MobileNetV2's block (Sandler et al., 2018, table 1), batch norms fused."""
    hidden = c_in * expansion
    nodes, weights, now = [], [], x

    def conv(
        name: str, inner: int, outer: int, kernel: int, *, group: int = 1, stride: int = 1, clip: bool = True
    ) -> None:
        nonlocal now
        weights.extend((weight(f"{name}.w", outer, inner // group, kernel, kernel), weight(f"{name}.b", outer)))
        pads, strides = [kernel // 2] * 4, [stride, stride]
        nodes.append(
            helper.make_node("Conv", [now, f"{name}.w", f"{name}.b"], [name], pads=pads, strides=strides, group=group)
        )
        now = name
        if clip:
            nodes.append(helper.make_node("Clip", [now, "zero", "six"], [f"{name}.clip"]))
            now = f"{name}.clip"

    if expansion != 1:
        conv(f"{y}.expand", c_in, hidden, 1)
    conv(f"{y}.depth", hidden, hidden, 3, group=hidden, stride=stride)
    conv(f"{y}.project", hidden, c_out, 1, clip=False)
    last = [now, x] if stride == 1 and c_in == c_out else None
    nodes.append(helper.make_node("Add", last, [y]) if last else helper.make_node("Identity", [now], [y]))
    return nodes, weights


def mobilenet_v2() -> Any:
    """The whole network at 224 x 224, from its paper's table 2."""
    nodes = [
        helper.make_node("Conv", ["x", "stem.w", "stem.b"], ["stem"], strides=[2, 2], pads=[1, 1, 1, 1]),
        helper.make_node("Clip", ["stem", "zero", "six"], ["block0"]),
    ]
    weights = [weight("stem.w", 32, 3, 3, 3), weight("stem.b", 32), tensor("zero", np.float32(0))]
    weights.append(tensor("six", np.float32(6)))
    channels, index = 32, 0
    for expansion, width, repeats, stride in (
        *((1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2)),
        *((6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1)),
    ):
        for repeat in range(repeats):
            block = inverted_residual(
                f"block{index}", f"block{index + 1}", channels, width, expansion, stride if repeat == 0 else 1
            )
            nodes += block[0]
            weights += block[1]
            channels, index = width, index + 1
    nodes += [
        helper.make_node("Conv", [f"block{index}", "head.w", "head.b"], ["head"]),
        helper.make_node("Clip", ["head", "zero", "six"], ["head.clip"]),
        helper.make_node("GlobalAveragePool", ["head.clip"], ["pool"]),
        helper.make_node("Flatten", ["pool"], ["flat"]),
        helper.make_node("Gemm", ["flat", "class.w", "class.b"], ["y"], transB=1),
    ]
    weights += [weight("head.w", 1280, 320, 1, 1), weight("head.b", 1280)]
    weights += [weight("class.w", 1000, 1280), weight("class.b", 1000)]
    inputs, outputs = [floats("x", "n", 3, 224, 224)], [floats("y", "n", 1000)]
    return onnx_graphs.model(nodes, weights, inputs=inputs, outputs=outputs)


def test_mobilenet_v2_has_the_known_cost(tmp_path: Path) -> None:
    """300.77 M MACs, as its paper rounds to 300 M."""
    found = profile(onnx_graphs.save(mobilenet_v2(), tmp_path / "mobilenet.onnx"))
    assert found.macs == 300_774_272
    # torchvision counts 3,504,872, with scale and shift for each of 17,056 channels; fused, the shift alone stays.
    assert found.parameters == 3_504_872 - 17_056
    assert found.weight_bytes == 4 * (found.parameters + 2)  # 0 and 6 of ReLU6 are stored too
    # 96 channels at 112 x 112 going into ReLU6 and coming out of it
    assert found.peak_activation_bytes == 2 * 4 * 96 * 112 * 112
    assert operators(found)[:2] == (("Conv", 52), ("Clip", 35))


def test_a_residual_block_holds_its_input(tmp_path: Path) -> None:
    """ResNet's basic block at 8 channels of 4 x 4: while the second convolution runs, the block's input still lives."""
    nodes = [
        helper.make_node("Conv", ["x", "w1"], ["a"], pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["a"], ["b"]),
        helper.make_node("Conv", ["b", "w2"], ["c"], pads=[1, 1, 1, 1]),
        helper.make_node("Add", ["c", "x"], ["d"]),
        helper.make_node("Relu", ["d"], ["y"]),
    ]
    weights = [weight("w1", 8, 8, 3, 3), weight("w2", 8, 8, 3, 3)]
    found = profiled(onnx_graphs.model(nodes, weights, inputs=[floats("x", 1, 8, 4, 4)]), tmp_path)
    one_bytes = 4 * 8 * 16
    assert found.macs == 2 * 8 * 16 * 72
    assert found.peak_activation_bytes == 3 * one_bytes
    assert found.moved_bytes == 4 * 2 * 576 + one_bytes * (2 + 2 + 2 + 3 + 2)


def test_views_move_nothing(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("Relu", ["x"], ["a"]),
        helper.make_node("Reshape", ["a", "shape"], ["b"]),
        helper.make_node("Unsqueeze", ["b", "axis"], ["c"]),
        helper.make_node("Relu", ["c"], ["y"]),
    ]
    made = onnx_graphs.model(
        nodes,
        [ints("shape", 1, -1), ints("axis", 0)],
        outputs=[floats("y", 1, 1, 192)],
        inputs=[floats("x", 1, 3, 8, 8)],
    )
    found = profiled(made, tmp_path)
    assert [(layer.read_bytes, layer.written_bytes) for layer in found.layers] == [
        (768, 768),
        (0, 0),
        (0, 0),
        (768, 768),
    ]
    assert found.peak_activation_bytes == 2 * 768
    assert found.parameters == 0
    assert found.weight_bytes == 24


def quantized() -> Any:
    """x -> Q -> DQ -> Conv(int8 weight behind DQ) -> Q -> DQ -> y, as quantizers write it."""
    nodes = [
        helper.make_node("QuantizeLinear", ["x", "s", "zero"], ["xq"]),
        helper.make_node("DequantizeLinear", ["xq", "s", "zero"], ["xf"]),
        helper.make_node("DequantizeLinear", ["w", "ws", "wz"], ["wf"], axis=0),
        helper.make_node("DequantizeLinear", ["b", "bs", "bz"], ["bf"], axis=0),
        helper.make_node("Conv", ["xf", "wf", "bf"], ["c"]),
        helper.make_node("QuantizeLinear", ["c", "s", "zero"], ["cq"]),
        helper.make_node("DequantizeLinear", ["cq", "s", "zero"], ["cf"]),
        helper.make_node("MaxPool", ["cf"], ["p"], kernel_shape=[2, 2], strides=[2, 2]),
        helper.make_node("QuantizeLinear", ["p", "s", "zero"], ["pq"]),
        helper.make_node("DequantizeLinear", ["pq", "s", "zero"], ["y"]),
    ]
    weights = [
        tensor("s", np.float32(0.1)),
        tensor("zero", np.uint8(128)),
        tensor("w", np.ones((4, 3, 3, 3), np.int8)),
        tensor("ws", np.ones(4, np.float32)),
        tensor("wz", np.zeros(4, np.int8)),
        tensor("b", np.ones(4, np.int32)),
        tensor("bs", np.ones(4, np.float32)),
        tensor("bz", np.zeros(4, np.int32)),
    ]
    return onnx_graphs.model(nodes, weights, inputs=[floats("x", "n", 3, 10, 10)])


def test_quantized_layers_are_counted_in_integers(tmp_path: Path) -> None:
    found = profiled(quantized(), tmp_path)
    by_index = found.layers
    conv = by_index[4]
    assert conv.macs == 4 * 64 * 27
    assert conv.parameters == 4 * 27 + 4
    # weight and bias as stored, their scales and zero points; x's scale and zero point went to the first reader
    assert conv.weight_bytes == 4 * 27 + 4 * 4 + (16 + 4) + (16 + 16)
    assert (conv.read_bytes, conv.written_bytes) == (300, 256)
    assert (by_index[7].read_bytes, by_index[7].written_bytes) == (256, 64)
    # the input is quantized for real, the output dequantized for real; all between is part of its neighbours
    moved = [layer.read_bytes + layer.written_bytes for layer in by_index]
    assert moved == [1200 + 300, 0, 0, 0, 556, 0, 0, 320, 0, 64 + 256]
    assert found.peak_activation_bytes == 1200 + 300
    assert found.parameters == conv.parameters


def test_a_float_that_others_read_is_written_even_when_it_is_quantized(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("Relu", ["x"], ["a"]),
        helper.make_node("QuantizeLinear", ["a", "s", "zero"], ["q"]),
        helper.make_node("DequantizeLinear", ["q", "s", "zero"], ["f"]),
        helper.make_node("Add", ["a", "f"], ["y"]),
    ]
    weights = [tensor("s", np.float32(0.1)), tensor("zero", np.uint8(128))]
    found = profiled(onnx_graphs.model(nodes, weights, inputs=[floats("x", 1, 3, 8, 8)]), tmp_path)
    assert [layer.written_bytes for layer in found.layers] == [768, 192, 0, 768]
    assert found.layers[3].read_bytes == 768 + 192


def test_weights_stored_as_halves_count_two_bytes(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("Cast", ["w"], ["wf"], to=TensorProto.FLOAT),
        helper.make_node("Conv", ["x", "wf"], ["y"]),
    ]
    found = profiled(onnx_graphs.model(nodes, [weight("w", 4, 3, 3, 3, dtype="float16")]), tmp_path)
    assert [layer.weight_bytes for layer in found.layers] == [0, 2 * 108]
    assert found.parameters == 108


def test_integer_operators(tmp_path: Path) -> None:
    scale, zero = tensor("s", np.float32(0.1)), tensor("z", np.uint8(0))
    weights = [scale, zero, tensor("w", np.ones((4, 3, 1, 1), np.uint8)), tensor("b", np.ones(4, np.int32))]
    node = helper.make_node("QLinearConv", ["x", "s", "z", "w", "s", "z", "s", "z", "b"], ["y"])
    values = [helper.make_tensor_value_info(name, TensorProto.UINT8, [1, None, 8, 8]) for name in "xy"]
    values[0].type.tensor_type.shape.dim[1].dim_value = 3
    layer = profiled(onnx_graphs.model([node], weights, inputs=values[:1], outputs=values[1:]), tmp_path).layers[0]
    assert (layer.macs, layer.parameters) == (4 * 64 * 3, 12 + 4)
    assert (layer.read_bytes, layer.written_bytes, layer.weight_bytes) == (192, 256, 12 + 16 + 4 + 1)


def test_a_shared_weight_is_owned_once(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["a"], pads=[1, 1, 1, 1]),
        helper.make_node("Conv", ["a", "w"], ["y"], pads=[1, 1, 1, 1]),
    ]
    found = profiled(onnx_graphs.model(nodes, [weight("w", 3, 3, 3, 3)]), tmp_path)
    assert [layer.parameters for layer in found.layers] == [81, 0]
    assert found.layers[0].macs == found.layers[1].macs > 0


def test_bodies_are_counted_once_and_named_by_their_owner(tmp_path: Path) -> None:
    found = profiled(onnx_graphs.branches(), tmp_path)
    names = [layer.name for layer in found.layers]
    owner = next(layer.name for layer in found.layers if layer.operator == "If")
    conv = next(layer for layer in found.layers if layer.operator == "Conv")
    assert conv.name.startswith(f"{owner}/then_branch/")
    assert conv.macs == 3 * 64 * 27
    assert found.parameters == 81 + 2  # the convolution's weight, the threshold, and the factor of the other branch
    assert any(name.startswith(f"{owner}/else_branch/") for name in names)
    assert found.peak_activation_bytes >= 3 * 768


def test_the_child_answers_the_same(tmp_path: Path) -> None:
    path = onnx_graphs.save(quantized(), tmp_path / "model.onnx")
    assert profile(path, batch=3) == profiled(quantized(), tmp_path, batch=3)


def test_bad_questions(tmp_path: Path) -> None:
    text = tmp_path / "text.onnx"
    text.write_text("hello, world")
    with pytest.raises(ModelError, match=r"is not an ONNX file|holds no graph"):
        profile(text)
    with pytest.raises(ModelError, match="there is no file"):
        profile(tmp_path / "missing.onnx")
    with pytest.raises(UsageError, match=r"batch 0 is outside 1\.\.65536"):
        profile(text, batch=0)
    open_size = onnx_graphs.model([helper.make_node("Relu", ["x"], ["y"])], [], inputs=[floats("x", "n", 3, "h", "w")])
    with pytest.raises(ModelError, match="'x' leaves dimension 2 open"):
        profiled(open_size, tmp_path)


def test_a_layer_with_macs_of_unknown_shape_is_named(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("NonZero", ["x"], ["places"]),
        helper.make_node("Cast", ["places"], ["f"], to=TensorProto.FLOAT),
        helper.make_node("MatMul", ["w", "f"], ["y"], name="late"),
    ]
    made = onnx_graphs.model(nodes, [weight("w", 5, 4)], outputs=[floats("y", 5, None)])
    with pytest.raises(ModelError, match="at MatMul 'late' depends on the data"):
        profiled(made, tmp_path)


def test_element_sizes_agree_with_onnx() -> None:
    for number, bits in graphs._BITS.items():
        if bits >= 8:
            assert onnx.helper.tensor_dtype_to_np_dtype(number).itemsize * 8 == bits
