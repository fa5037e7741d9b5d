"""What cannot go is refused by name, all of it at once, with what to write instead."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from onnx import helper

import nets
from ncnn_sides import quantized, small
from shoestring.base.errors import ModelError, StorageError
from shoestring.convert.ncnn import convert

IMAGE = (1, 4, 6, 6)


def refusal(model: bytes, precision: str = "fp32") -> str:
    with pytest.raises(ModelError) as caught:
        convert(model, precision)
    assert "\n" not in caught.value.message
    assert caught.value.hint or "no layer" in caught.value.message
    return caught.value.message


def one(operator: str, *constants: Any, shape: tuple[int, ...] = IMAGE, **attributes: Any) -> bytes:
    weights = {f"c{place}": value for place, value in enumerate(constants)}
    node = helper.make_node(operator, ["x", *weights], ["y"], name="the node", **attributes)
    return small([node], {"x": shape}, weights)


def test_all_that_cannot_go_is_named_at_once_with_its_rewrite():
    nodes = [
        helper.make_node("Selu", ["x"], ["a"], name="first"),
        helper.make_node("Relu", ["a"], ["b"], name="behind"),
        helper.make_node("CumSum", ["x", "axis"], ["c"], name="second"),
        helper.make_node("Slice", ["x", "starts", "ends", "axes", "steps"], ["d"], name="third"),
        helper.make_node("Concat", ["b", "c", "d"], ["y"], axis=2),
    ]
    weights = {name: np.array([value], np.int64) for name, value in (("axis", 1), ("starts", 0), ("ends", 6))}
    weights |= {"axes": np.array([2], np.int64), "steps": np.array([2], np.int64), "axis": np.int64(1)}
    message = refusal(small(nodes, {"x": IMAGE}, weights))
    assert message.startswith("3 of the model's operators cannot go to ncnn")
    assert "Selu 'first': no layer does it; write it as Elu and Mul" in message
    assert "CumSum 'second': no layer does it; write it with operators that docs/convert-ncnn.md lists" in message
    assert "Slice 'third': it takes steps of 2; write it as Reshape" in message
    assert "behind" not in message


REFUSED = {
    "a pool that counts pads over the edge": (
        one("AveragePool", kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1], ceil_mode=1, count_include_pad=1),
        "hang over the edge",
    ),
    "a dilated pool": (one("MaxPool", kernel_shape=[2, 2], dilations=[2, 2]), "dilated"),
    "indices that jump": (one("Gather", np.array([0, 3], np.int64), axis=1), "do not follow each other"),
    "a cubic resize": (
        one("Resize", np.zeros(0, np.float32), np.float32([1, 1, 2, 2]), mode="cubic"),
        "by cubic with half_pixel",
    ),
    "scales that do not divide": (
        one("Resize", np.zeros(0, np.float32), np.float32([1, 1, 1.7, 1.7]), mode="linear"),
        "do not make",
    ),
    "a transposed first factor": (
        small(
            [helper.make_node("Gemm", ["x", "w"], ["y"], transA=1)], {"x": (3, 1)}, {"w": np.ones((3, 2), np.float32)}
        ),
        "its transA is set",
    ),
    "axes apart": (one("ReduceMean", np.array([1, 3], np.int64)), "do not lie side by side"),
    "another type": (one("Cast", to=6), "only float32 (1) can go"),
    "a mask": (
        small([helper.make_node("Where", ["m", "x", "x"], ["y"])], {"x": IMAGE}, {"m": np.ones(IMAGE, bool)}),
        "write it as Mul by a constant mask and Add",
    ),
    "seven axes moved apart": (
        small(
            [helper.make_node("Reshape", ["x", "s"], ["r"]), helper.make_node("Transpose", ["r"], ["y"])],
            {"x": (1, 64)},
            {"s": np.array([2, 2, 2, 2, 4], np.int64)},
        ),
        "ncnn moves 4",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_form_of_an_operator_that_cannot_go_says_which(name):
    model, words = REFUSED[name]
    assert words in refusal(model)


def test_precisions_go_with_the_graph():
    model = nets.residual_net().SerializeToString()
    integer = quantized(model, {"image": nets.images(4)})
    assert "there is no precision 'int4'" in refusal(model, "int4")
    assert "not quantized, but int8 was asked for" in refusal(model, "int8")
    for precision in ("fp32", "fp16"):
        assert f"quantized, but {precision} was asked for" in refusal(integer, precision)


def test_an_integer_output_is_refused():
    nodes = [helper.make_node("QuantizeLinear", ["x", "s", "z"], ["y"])]
    message = refusal(small(nodes, {"x": IMAGE}, {"s": np.float32(0.1), "z": np.uint8(3)}), "int8")
    assert "output 'y' is uint8" in message


def test_a_quantized_graph_without_a_layer_in_8_bits_is_refused():
    nodes = [
        helper.make_node("QuantizeLinear", ["x", "s", "z"], ["q"]),
        helper.make_node("DequantizeLinear", ["q", "s", "z"], ["y"]),
    ]
    message = refusal(small(nodes, {"x": IMAGE}, {"s": np.float32(0.1), "z": np.uint8(3)}), "int8")
    assert "no layer of the quantized graph can work in 8 bits" in message


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(StorageError):
        convert(tmp_path / "absent.onnx", "fp32")


def test_a_file_and_its_bytes_are_the_same(tmp_path):
    model = nets.residual_net().SerializeToString()
    path = tmp_path / "net.onnx"
    path.write_bytes(model)
    assert convert(path, "fp16") == convert(model, "fp16")
