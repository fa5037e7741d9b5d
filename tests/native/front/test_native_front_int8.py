"""QDQ graphs: which operators become integer ones, and that they give what ONNX Runtime gives."""

from __future__ import annotations

import numpy as np
import pytest
from onnx import TensorProto

from native.front_helpers import agree, feeds_of, kinds
from native.qdq_models import Sketch, on_ort
from shoestring.native.form import Binary, Clamp, Conv, Linear, Pad, Table
from shoestring.native.front import read_program
from shoestring.native.interpret import run

IN, OUT = 0.03, 0.04


def start(*shape: int | str, opset: int = 17, dtype: str = "uint8") -> tuple[Sketch, str]:
    """A sketch and its input in 8 bits."""
    sketch = Sketch(*shape, opset=opset)
    return sketch, sketch.pair("x", IN, 120 if dtype == "uint8" else -8, dtype)


def conv8(sketch: Sketch, x: str, channels: int, out: int, kernel: int = 3, **attributes: object) -> str:
    weight = sketch.weight8(out, channels, kernel, kernel)
    return sketch.add("Conv", x, weight, sketch.bias32(weight, IN, out), **attributes)


@pytest.mark.parametrize("dtype", ["uint8", "int8"])
def test_conv(dtype: str) -> None:
    sketch, t = start("n", 4, 8, 8, dtype=dtype)
    made = sketch.pair(conv8(sketch, t, 4, 6, pads=[1, 1, 1, 1]), OUT, 10, dtype)
    program = agree(sketch.bytes(made), step=OUT)
    assert kinds(program) == {"Quantize i8": 1, "Conv i8": 1, "Dequantize f32": 1}
    conv = program.ops[1]
    assert isinstance(conv, Conv)
    assert (conv.weight.dtype, conv.bias.dtype) == (np.int8, np.int32)
    assert program.values[conv.output].zero == (10 if dtype == "uint8" else 138)


def test_the_multiplier_is_rounded_once_after_each_operation() -> None:
    sketch, t = start("n", 4, 4, 4)
    weight = sketch.weight8(6, 4, 1, 1)
    program = read_program(sketch.bytes(sketch.pair(sketch.add("Conv", t, weight), OUT, 10)), "net")
    scales = sketch.weights[sketch.nodes[2].input[1]]
    wanted = (np.float32(IN) * scales) / np.float32(OUT)
    assert wanted.dtype == np.float32
    np.testing.assert_array_equal(program.ops[1].multiplier, wanted)


def test_integer_biases_are_taken_as_they_are() -> None:
    sketch, t = start("n", 4, 4, 4)
    program = read_program(sketch.bytes(sketch.pair(conv8(sketch, t, 4, 6), OUT, 10)), "net")
    steps = next(value for value in sketch.weights.values() if value.dtype == np.int32)
    np.testing.assert_array_equal(program.ops[1].bias, steps)
    assert program.notes == ()


def test_a_float_bias_is_rounded_and_said() -> None:
    sketch, t = start("n", 4, 4, 4)
    weight = sketch.weight8(6, 4, 1, 1)
    made = sketch.pair(sketch.add("Conv", t, weight, sketch.normal(6)), OUT, 10)
    program = agree(sketch.bytes(made), step=OUT)
    assert program.notes == ("Conv 'n3' had a float bias beside 8-bit weights: it was rounded to the sum's scale",)


@pytest.mark.parametrize("groups", [2, 4])
@pytest.mark.parametrize("axis", [0, None])
def test_groups_and_one_scale_for_all(groups: int, axis: int | None) -> None:
    sketch, t = start("n", 4, 6, 6)
    made = sketch.add("Conv", t, sketch.weight8(8, 4 // groups, 3, 3, axis=axis), group=groups)
    program = agree(sketch.bytes(sketch.pair(made, OUT, 128)), step=OUT)
    assert kinds(program)["Conv i8"] == 1


def test_relus_become_code_clamps() -> None:
    sketch, t = start("n", 4, 6, 6)
    bounds = (sketch.constant(0, "float32"), sketch.constant(6, "float32"))
    t = sketch.pair(sketch.add("Clip", conv8(sketch, t, 4, 4), *bounds), 0.05, 20)
    u = sketch.pair(sketch.add("Relu", sketch.add("Add", t, t)), 0.06, 30)
    program = agree(sketch.bytes(u), step=0.06)
    clamps = [op.clamp for op in program.ops if isinstance(op, Conv | Binary)]
    assert (clamps[0].low, clamps[0].high) == (20, 140)
    # The sum of a tensor with itself is a function of one code.
    assert kinds(program) == {"Quantize i8": 1, "Conv i8": 1, "Table i8": 1, "Dequantize f32": 1}


def test_a_relu_down_to_code_zero_needs_no_clamp() -> None:
    sketch, t = start("n", 4, 6, 6)
    program = read_program(sketch.bytes(sketch.pair(sketch.add("Relu", conv8(sketch, t, 4, 4)), 0.05, 0)), "net")
    assert (program.ops[1].clamp.low, program.ops[1].clamp.high) == (None, None)


def test_an_int8_layer_with_a_float_reader_gives_reals() -> None:
    sketch, t = start("n", 4, 6, 6)
    made = sketch.add("Relu", conv8(sketch, t, 4, 4))
    program = agree(sketch.bytes(made))
    assert kinds(program) == {"Quantize i8": 1, "Conv f32": 1}
    assert program.ops[1].multiplier is not None
    assert (program.ops[1].clamp.low, program.ops[1].clamp.high) == (0.0, None)


def test_readers_that_want_two_scales_share_reals() -> None:
    sketch, t = start("n", 4, 6, 6)
    t = conv8(sketch, t, 4, 4)
    program = agree(sketch.bytes(sketch.pair(t, 0.05, 128), sketch.pair(t, 0.08, 100)), step=0.08)
    assert kinds(program) == {"Quantize i8": 3, "Conv f32": 1, "Dequantize f32": 2}


@pytest.mark.parametrize("kind", ["gemm", "gemm_transposed", "matmul"])
def test_fully_connected(kind: str) -> None:
    sketch, t = start("n", 7)
    weight = sketch.weight8(*((5, 7) if kind == "gemm_transposed" else (7, 5)), axis=0 if "trans" in kind else 1)
    if kind == "matmul":
        made = sketch.add("Add", sketch.add("MatMul", t, weight), sketch.bias32(weight, IN, 5))
    else:
        made = sketch.add("Gemm", t, weight, sketch.bias32(weight, IN, 5), transB=int("trans" in kind))
    program = agree(sketch.bytes(made))
    assert kinds(program) == {"Quantize i8": 1, "Linear f32": 1}
    assert program.ops[1].weight.shape == (5, 7)


def test_gemm_with_alpha() -> None:
    sketch, t = start("n", 7)
    made = sketch.add("Gemm", t, sketch.weight8(7, 5, axis=1), sketch.normal(5), alpha=0.5, beta=3.0)
    program = agree(sketch.bytes(sketch.pair(made, OUT, 128)), step=OUT)
    assert kinds(program)["Linear i8"] == 1


def test_transposed_weights_keep_their_integers() -> None:
    sketch, t = start("n", 7)
    weight = sketch.add("Transpose", sketch.weight8(5, 7))
    program = agree(sketch.bytes(sketch.add("MatMul", t, weight)))
    assert isinstance(program.ops[1], Linear)
    assert program.ops[1].weight.dtype == np.int8


def test_uint8_weights_about_128_are_shifted() -> None:
    sketch, t = start("n", 7)
    weight = sketch.weight8(7, 5, axis=None, dtype="uint8", zero=128)
    program = agree(sketch.bytes(sketch.pair(sketch.add("MatMul", t, weight), OUT, 128)), step=OUT)
    codes = next(value for value in sketch.weights.values() if value.shape == (7, 5))
    np.testing.assert_array_equal(program.ops[1].weight.T.astype(int), codes.astype(int) - 128)


def test_weights_written_in_float_and_quantized_in_the_graph() -> None:
    sketch, t = start("n", 7)
    weight = sketch.pair(sketch.normal(7, 5), 0.01, 0, "int8")
    program = agree(sketch.bytes(sketch.pair(sketch.add("MatMul", t, weight), OUT, 128)), step=OUT)
    assert kinds(program)["Linear i8"] == 1


def test_8_bit_weights_behind_floats_work_in_float_and_say_so() -> None:
    sketch = Sketch("n", 7)
    program = agree(sketch.bytes(sketch.add("MatMul", "x", sketch.weight8(7, 5, axis=1))))
    assert kinds(program) == {"Linear f32": 1}
    assert "has 8-bit weights but a float input" in program.notes[0]


def test_float_weights_behind_codes_work_in_float() -> None:
    sketch, t = start("n", 4, 4, 4)
    made = sketch.pair(sketch.add("Conv", t, sketch.normal(4, 4, 1, 1)), OUT, 128)
    program = agree(sketch.bytes(made), step=OUT)
    assert kinds(program) == {"Quantize i8": 2, "Dequantize f32": 2, "Conv f32": 1}


@pytest.mark.parametrize("to_codes", [True, False])
def test_matmul_of_two_activations(to_codes: bool) -> None:
    sketch, t = start("n", 5, 7)
    u = sketch.pair(sketch.add("Transpose", "x", perm=[0, 2, 1]), 0.02, 90)
    made = sketch.add("MatMul", t, u)
    program = agree(sketch.bytes(sketch.pair(made, 0.2, 110) if to_codes else made), step=0.2 if to_codes else 0)
    assert kinds(program)[f"MatMul {'i8' if to_codes else 'f32'}"] == 1


@pytest.mark.parametrize("op", ["Add", "Sub", "Mul"])
@pytest.mark.parametrize("broadcast", [True, False])
def test_binary(op: str, broadcast: bool) -> None:
    sketch, t = start("n", 4, 5, 5)
    sketch.input("z", "n", 4, *((1, 1) if broadcast else (5, 5)))
    made = sketch.pair(sketch.add(op, t, sketch.pair("z", 0.02, 60)), 0.05, 77)
    program = agree(sketch.bytes(made), step=0.05)
    assert kinds(program) == {"Quantize i8": 2, "Binary i8": 1, "Dequantize f32": 1}


@pytest.mark.parametrize("op", ["Add", "Sub", "Mul"])
@pytest.mark.parametrize("first", [True, False])
def test_a_constant_in_8_bits_stays_in_8_bits(op: str, first: bool) -> None:
    sketch, t = start("n", 4, 5, 5)
    constant = sketch.weight8(4, 1, 1, axis=None)
    made = sketch.pair(sketch.add(op, *((constant, t) if first else (t, constant))), 0.03, 77)
    program = agree(sketch.bytes(made), step=0.03)
    assert kinds(program)["Binary i8"] == 1
    assert program.ops[1].swapped == first


def test_division_is_done_in_float() -> None:
    sketch, t = start("n", 4)
    sketch.input("z", "n", 4)
    made = sketch.pair(sketch.add("Div", sketch.pair("z", 0.02, 60), sketch.add("Exp", t)), 0.05, 77)
    assert kinds(agree(sketch.bytes(made), step=0.05))["Binary f32"] == 1


@pytest.mark.parametrize("op", ["AveragePool", "GlobalAveragePool", "ReduceMean"])
@pytest.mark.parametrize("to_codes", [True, False])
def test_averages(op: str, to_codes: bool) -> None:
    sketch, t = start("n", 4, 7, 6)
    attributes = {"AveragePool": {"kernel_shape": [3, 2], "pads": [1, 0, 1, 0]}, "ReduceMean": {"axes": [2, 3]}}
    made = sketch.add(op, t, **attributes.get(op, {}))
    made = sketch.add("Flatten", made)
    # A ratio of scales that makes no ties.
    step = 0.0213
    program = agree(sketch.bytes(sketch.pair(made, step, 110) if to_codes else made), step=step if to_codes else 0)
    assert kinds(program).get("Reshape i8", 0) == int(to_codes)
    assert kinds(program)["Quantize i8"] == 1


def test_moves_stay_in_codes_without_quantizers_around_them() -> None:
    sketch, t = start("n", 4, 6, 6)
    t = sketch.add("MaxPool", t, kernel_shape=[2, 2], strides=[2, 2])
    t = sketch.add("Transpose", sketch.add("Pad", t, sketch.constant([0, 0, 1, 0] * 2, "int64")), perm=[0, 2, 1, 3])
    sketch.add("Split", t, sketch.constant([2, 3], "int64"), outputs=["a", "b"], axis=1)
    t = sketch.add("Concat", "b", "a", axis=1)
    made = sketch.add("Gemm", sketch.add("Flatten", t), sketch.weight8(60, 3, axis=1))
    program = agree(sketch.bytes(made))
    assert kinds(program) == {
        "Quantize i8": 1,
        "Pool i8": 1,
        "Pad i8": 1,
        "Transpose i8": 1,
        "Slice i8": 2,
        "Concat i8": 1,
        "Reshape i8": 1,
        "Linear f32": 1,
    }
    assert next(op for op in program.ops if isinstance(op, Pad)).value == 120


def test_padding_with_a_value_between_codes_is_done_in_float() -> None:
    sketch, t = start("n", 4, 6, 6)
    made = sketch.add("Pad", t, sketch.constant([0, 0, 1, 0] * 2, "int64"), sketch.constant(0.1, "float32"))
    assert kinds(agree(sketch.bytes(made)))["Pad f32"] == 1


def test_concat_brings_its_inputs_to_one_scale() -> None:
    sketch, t = start("n", 4, 5, 5)
    sketch.input("z", "n", 2, 5, 5)
    made = sketch.pair(sketch.add("Concat", t, sketch.pair("z", 0.02, 60), axis=1), IN, 120)
    program = agree(sketch.bytes(made), step=IN)
    assert kinds(program) == {"Quantize i8": 2, "Table i8": 1, "Concat i8": 1, "Dequantize f32": 1}


@pytest.mark.parametrize(("scale", "kind"), [(IN, "i8"), (0.05, "f32")])
def test_bilinear_resize(scale: float, kind: str) -> None:
    sketch, t = start("n", 4, 5, 5)
    made = sketch.add("Resize", t, "", sketch.constant([1, 1, 2, 2], "float32"), mode="linear")
    # Quarters of a code make many ties, which rounding noise decides in ONNX Runtime.
    program = agree(sketch.bytes(sketch.pair(made, scale, 120)), step=scale, rare=0.1)
    assert kinds(program)[f"Resize {kind}"] == 1


def test_nearest_resize_and_another_scale_behind_it() -> None:
    sketch, t = start("n", 4, 5, 5)
    made = sketch.add("Resize", t, "", sketch.constant([1, 1, 2, 2], "float32"), mode="nearest")
    program = agree(sketch.bytes(sketch.pair(made, 0.05, 100)), step=0.05)
    assert kinds(program) == {"Quantize i8": 1, "Resize i8": 1, "Table i8": 1, "Dequantize f32": 1}


@pytest.mark.parametrize("dtype", ["uint8", "int8"])
def test_ports_of_integers(dtype: str) -> None:
    sketch = Sketch("n", 2)
    element = TensorProto.UINT8 if dtype == "uint8" else TensorProto.INT8
    sketch.inputs = [("x", element, ("n", 5, 5, 3))]
    affine = (sketch.constant(IN, "float32"), sketch.constant(3, dtype))
    t = sketch.add("DequantizeLinear", sketch.add("Transpose", "x", perm=[0, 3, 1, 2]), *affine)
    made = sketch.add("QuantizeLinear", sketch.add("Conv", t, sketch.weight8(4, 3, 3, 3)), *affine)
    model = sketch.bytes(made, dtype=element)
    program = read_program(model, "net")
    assert kinds(program) == {"Transpose i8": 1, "Conv i8": 1}
    assert [port.dtype for port in (*program.inputs, *program.outputs)] == [dtype, dtype]
    agree(model)


def test_a_cast_of_bytes_is_a_scale_of_one() -> None:
    sketch = Sketch("n", 2)
    sketch.inputs = [("x", TensorProto.UINT8, ("n", 3, 5, 5))]
    t = sketch.add("Div", sketch.add("Cast", "x", to=TensorProto.FLOAT), sketch.constant(255, "float32"))
    made = sketch.add("Conv", sketch.pair(t, 1 / 255, 0), sketch.weight8(4, 3, 3, 3))
    program = agree(sketch.bytes(made))
    # 255 / 255 / scale is 255 again: the table changes nothing but the scale.
    assert kinds(program) == {"Table i8": 1, "Conv f32": 1}


def test_reals_are_made_once_for_all_readers() -> None:
    sketch, t = start("n", 4, 5, 5)
    second = sketch.add("DequantizeLinear", sketch.nodes[0].output[0], *sketch.nodes[0].input[1:])
    program = agree(sketch.bytes(sketch.add("Exp", t), sketch.add("Tanh", second), sketch.add("Sigmoid", t)))
    assert kinds(program) == {"Quantize i8": 1, "Dequantize f32": 1, "Unary f32": 3}


def test_a_clamp_is_the_same_in_codes_for_every_code() -> None:
    sketch, t = start("n", 4, 8, 8)
    bounds = (sketch.constant(-0.51, "float32"), sketch.constant(0.77, "float32"))
    made = sketch.add("QuantizeLinear", sketch.add("Clip", conv8(sketch, t, 4, 4), *bounds), *_affine(sketch))
    model = sketch.bytes(made, dtype=TensorProto.UINT8)
    program = read_program(model, "net")
    assert program.ops[1].clamp.low is not None
    feeds = feeds_of(program)
    ours, theirs = run(program, feeds)[made], on_ort(model, feeds)[made]
    assert (ours.min(), ours.max()) == (theirs.min(), theirs.max())


def _affine(sketch: Sketch) -> tuple[str, str]:
    return sketch.constant(OUT, "float32"), sketch.constant(101, "uint8")


def test_clamps_are_open_where_codes_end_anyway() -> None:
    from shoestring.native.front.builder import Affine, End

    end = End("t", -10.0, 10.0, (), Affine(0.05, 100))
    assert (end.clamp().low, end.clamp().high) == (None, None)
    reals = end.in_reals().clamp()
    assert isinstance(reals, Clamp)
    assert (reals.low, reals.high) == (-10.0, 10.0)


def test_requantization_alone_is_a_table() -> None:
    sketch, t = start("n", 4, 5, 5)
    t = conv8(sketch, t, 4, 4, kernel=1)
    program = agree(sketch.bytes(sketch.pair(sketch.pair(t, 0.05, 128), 0.07, 99)), step=0.07)
    assert isinstance(program.ops[2], Table)
    assert kinds(program) == {"Quantize i8": 1, "Conv i8": 1, "Table i8": 1, "Dequantize f32": 1}
