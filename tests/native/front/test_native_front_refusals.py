"""What cannot be compiled is refused by operator and node, all of it in one message."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from native.front_helpers import refusal
from native.qdq_models import Sketch
from shoestring.base.errors import ModelError, StorageError
from shoestring.native.front import read_program


def test_all_operators_are_named_at_once() -> None:
    sketch = Sketch("n", 4, 6, 6)
    t = sketch.add("Erf", "x")
    t = sketch.add("ConvTranspose", t, sketch.normal(4, 4, 2, 2))
    t = sketch.add("Conv", t, sketch.normal(4, 4, 1, 1))
    t = sketch.add("Gelu", t, domain="com.microsoft")
    u = sketch.add("MaxPool", "x", kernel_shape=[2, 2], dilations=[2, 2])
    said = refusal(sketch, t, u)
    assert "4 of the model's operators" in said
    for name in ("Erf 'n0'", "ConvTranspose 'n1'", "com.microsoft.Gelu 'n3'", "MaxPool 'n4'"):
        assert name in said
    assert "Conv 'n2'" not in said


def single(op: str, *constants: object, shape: tuple[int, ...] = (4, 6, 6), **attributes: object) -> str:
    """What is said against one operator on `x`."""
    sketch = Sketch("n", *shape)
    inputs = [sketch.constant(*item) if isinstance(item, tuple) else item for item in constants]
    return refusal(sketch, sketch.add(op, "x", *inputs, **attributes))


CASES = {
    "prelu": (lambda: single("PRelu", (np.arange(4).reshape(4, 1, 1), "float32")), "one slope for all channels"),
    "pad mode": (lambda: single("Pad", ([0] * 4 + [0, 0, 1, 1], "int64"), mode="reflect"), "mode is 'reflect'"),
    "pad negative": (lambda: single("Pad", ([0, 0, -1, 0] * 2, "int64")), "0 or more"),
    "resize cubic": (lambda: single("Resize", "", ([1, 1, 2, 2], "float32"), mode="cubic"), "mode is 'cubic'"),
    "resize crop": (
        lambda: single(
            "Resize",
            ([0, 0, 0, 0, 1, 1, 1, 1], "float32"),
            ([1, 1, 2, 2], "float32"),
            coordinate_transformation_mode="tf_crop_and_resize",
        ),
        "tf_crop_and_resize",
    ),
    "resize channels": (lambda: single("Resize", "", ([1, 2, 1, 1], "float32")), "rows and columns of one image"),
    "mean": (lambda: single("ReduceMean", axes=[1]), "mean over axes [1]"),
    "gather": (lambda: single("Gather", ([0, 1, 3], "int64"), axis=1), "equal distances"),
    "conv 3-d": (
        lambda: single("Conv", (np.ones((2, 4, 1, 1, 1)), "float32"), shape=(4, 3, 3, 3)),
        "one image (1, C, H, W)",
    ),
    "softmax": (lambda: single("LogSoftmax"), "no such operator"),
    "cast": (lambda: single("Cast", to=TensorProto.FLOAT16), "into the ONNX type 10"),
    "concat": (lambda: single("Concat", (np.ones((1, 1, 6, 6)), "float32"), axis=1), "is a constant"),
    "missing attribute": (lambda: single("Cast"), "Cast 'n0'"),
}


@pytest.mark.parametrize("case", CASES)
def test_single_operators(case: str) -> None:
    call, words = CASES[case]
    said = call()
    assert words in said
    assert "'n0'" in said


def test_the_places_of_maxima() -> None:
    sketch = Sketch("n", 4, 6, 6)
    made = sketch.add("MaxPool", "x", kernel_shape=[2, 2], outputs=["y", "places"])
    assert "second output" in refusal(sketch, made)


def quantized_conv(weight_dtype: str = "int8", zero: int = 0, in_scale: float = 0.03, **more: object) -> Sketch:
    sketch = Sketch("n", 4, 6, 6)
    t = sketch.pair("x", in_scale, 120)
    t = sketch.add("Conv", t, sketch.weight8(4, 4, 3, 3, axis=None, dtype=weight_dtype, zero=zero), **more)
    sketch.pair(t, 0.04, 10)
    return sketch


@pytest.mark.parametrize(("dtype", "zero"), [("int8", 3), ("uint8", 0), ("uint8", 100)])
def test_weights_about_another_zero_point(dtype: str, zero: int) -> None:
    sketch = quantized_conv(dtype, zero)
    said = refusal(sketch, sketch.nodes[-1].output[0])
    assert "Conv 'n3'" in said
    assert (f"zero point {zero}" if zero else "uint8") in said


def test_scales_along_another_axis() -> None:
    sketch = Sketch("n", 7)
    t = sketch.pair("x", 0.03, 120)
    assert "along axis 0; they must be along axis 1" in refusal(sketch, sketch.add("MatMul", t, sketch.weight8(7, 5)))


@pytest.mark.parametrize("scale", [0.0, -1.0, float("nan"), float("inf"), 1e-44])
@pytest.mark.parametrize("of", ["weight", "activation"])
def test_scales_that_are_no_scales(scale: float, of: str) -> None:
    sketch = quantized_conv()
    place = sketch.nodes[2 if of == "weight" else 0].input[1]
    sketch.weights[place] = np.asarray(scale, np.float32)
    said = refusal(sketch, sketch.nodes[-1].output[0])
    assert "has the scale" in said
    assert "Linear 'n2'" in said if of == "weight" else "Linear 'n0'" in said


def test_sums_beyond_int32() -> None:
    sketch = Sketch("n", 70000)
    t = sketch.pair("x", 0.03, 0)
    weight = sketch.weight8(70000, 2, axis=1)
    sketch.weights[sketch.nodes[2].input[0]] = np.full((70000, 2), 127, np.int8)
    said = refusal(sketch, sketch.add("MatMul", t, weight))
    assert "MatMul 'n3'" in said
    assert f"{70000 * 127 * 255}; the limit is {2**31 - 1}" in said


def test_the_zero_point_in_the_middle_halves_the_bound() -> None:
    sketch = Sketch("n", 70000)
    t = sketch.pair("x", 0.03, 128)
    weight = sketch.weight8(70000, 2, axis=1)
    sketch.weights[sketch.nodes[2].input[0]] = np.full((70000, 2), 127, np.int8)
    program = read_program(sketch.bytes(sketch.add("MatMul", t, weight)), "net")
    assert program.ops[1].weight.shape == (2, 70000)


def test_sums_beyond_what_can_be_scaled() -> None:
    sketch = quantized_conv(in_scale=1e6)
    assert "scaled sums can reach" in refusal(sketch, sketch.nodes[-1].output[0])


def test_scales_whose_product_vanishes() -> None:
    sketch = quantized_conv(in_scale=1e-37)
    sketch.weights[sketch.nodes[2].input[1]] = np.float32(1e-20)
    assert "has the multiplier 0.0" in refusal(sketch, sketch.nodes[-1].output[0])


def test_scales_for_channels_of_activations_and_16_bits() -> None:
    sketch = Sketch("n", 4, 6, 6, opset=21)
    pair = (sketch.constant(np.full(4, 0.1), "float32"), sketch.constant(np.zeros(4), "uint8"))
    wide = (sketch.constant(0.1, "float32"), sketch.constant(0, "uint16"))
    first = sketch.add("DequantizeLinear", sketch.add("QuantizeLinear", "x", *pair), *pair)
    second = sketch.add("DequantizeLinear", sketch.add("QuantizeLinear", "x", *wide), *wide)
    said = refusal(sketch, first, second)
    assert "4 scales; activations have one" in said
    assert "uint16; they must be uint8 or int8" in said


def test_a_quantizer_that_is_read_with_another_scale() -> None:
    sketch = Sketch("n", 4)
    codes = sketch.add("QuantizeLinear", "x", sketch.constant(0.1, "float32"), sketch.constant(0, "uint8"))
    other = (sketch.constant(0.2, "float32"), sketch.constant(0, "uint8"))
    said = refusal(sketch, sketch.add("DequantizeLinear", codes, *other))
    assert "DequantizeLinear 'n1'" in said
    assert "scale 0.2" in said


@pytest.mark.parametrize(
    ("shape", "words"),
    [
        (("n", 3, "h", 8), "all axes but the first"),
        (("n", 3, 0, 8), "all axes but the first"),
        ((2, 3, 8, 8), "a batch of 2"),
    ],
)
def test_shapes_of_inputs(shape: tuple[int | str, ...], words: str) -> None:
    sketch = Sketch(*shape)
    assert words in refusal(sketch, sketch.add("Relu", "x"))


def test_types_of_inputs_and_outputs() -> None:
    sketch = Sketch("n", 3)
    sketch.inputs = [("x", TensorProto.INT64, ("n", 3))]
    assert "input 'x' is int64" in refusal(sketch, sketch.add("Identity", "x"))
    constant = Sketch("n", 3)
    constant.add("Relu", "x")
    assert "is constant" in refusal(constant, constant.add("Constant", value_float=1.0))


def test_files_that_are_no_models(tmp_path) -> None:
    with pytest.raises(ModelError, match="not an ONNX file"):
        read_program(b"\xff\xfe nothing of the kind", "net")
    with pytest.raises(ModelError, match="holds no graph"):
        read_program(b"", "net")
    with pytest.raises(StorageError):
        read_program(tmp_path / "missing.onnx", "net")


def test_old_operator_sets() -> None:
    sketch = Sketch("n", 3, opset=10)
    assert "operator set 10; the oldest that can be compiled is 11" in refusal(sketch, sketch.add("Relu", "x"))


def test_weights_outside_the_file_are_not_looked_for() -> None:
    sketch = Sketch("n", 4)
    model = onnx.load_model_from_string(sketch.bytes(sketch.add("MatMul", "x", sketch.normal(4, 4))))
    tensor = model.graph.initializer[0]
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="/etc/passwd")
    with pytest.raises(ModelError, match="lies outside the ONNX file"):
        read_program(model.SerializeToString(), "net")


def test_constants_that_would_grow_without_bound_are_left_and_refused() -> None:
    sketch = Sketch("n", 4)
    huge = sketch.add("ConstantOfShape", sketch.constant([1 << 20, 1 << 20], "int64"))
    assert "ConstantOfShape 'n0'" in refusal(sketch, sketch.add("Add", "x", huge))
    with_range = Sketch("n", 4)
    ends = [with_range.constant(v, "float32") for v in (0, 1e12, 1e-3)]
    assert "Range 'n0'" in refusal(with_range, with_range.add("Add", "x", with_range.add("Range", *ends)))


def test_branches_are_refused_as_one_operator() -> None:
    sketch = Sketch("n", 4)
    body = helper.make_graph(
        [helper.make_node("Neg", ["x"], ["inner"])], "body", [], [helper.make_tensor_value_info("inner", 1, None)]
    )
    flag = sketch.add("Greater", sketch.add("ReduceMax", "x", keepdims=0), sketch.constant(0, "float32"))
    said = refusal(sketch, sketch.add("If", flag, then_branch=body, else_branch=body))
    assert "ReduceMax 'n0'" in said


def test_graphs_with_loose_ends() -> None:
    nowhere = Sketch("n", 4)
    assert "its input 'ghost' is made by no node" in refusal(nowhere, nowhere.add("Add", "x", "ghost"))
    backwards = Sketch("n", 4)
    first = backwards.add("Neg", "x")
    last = backwards.add("Relu", first)
    backwards.nodes.reverse()
    assert f"its input {first!r} is made by no node" in refusal(backwards, last)


def test_names_of_programs() -> None:
    sketch = Sketch("n", 4)
    with pytest.raises(ModelError, match="not a C identifier"):
        read_program(sketch.bytes(sketch.add("Relu", "x")), "1 net")
