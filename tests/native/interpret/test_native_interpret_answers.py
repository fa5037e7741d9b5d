"""Answers worked out by hand, ONNX Runtime as a witness for integer convolutions, and refused feeds."""

from __future__ import annotations

import dataclasses

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from native.program_builder import Builder
from native.programs import feeds, make
from shoestring.base.errors import DataError, ModelError
from shoestring.native.form import (
    Clamp,
    Conv,
    Dequantize,
    Linear,
    Mean,
    Op,
    Pool,
    Port,
    Program,
    Quantize,
    Resize,
    Softmax,
    Value,
)
from shoestring.native.interpret import run

F = np.float32


def one(op: Op, x: Value, y: Value, dtypes: tuple[str, str]) -> Program:
    """A program of one operator between the ports `in` and `out`."""
    ports = (Port("in", x.name, dtypes[0]), Port("out", y.name, dtypes[1]))
    return Program("p", {x.name: x, y.name: y}, (op,), ports[:1], ports[1:])


def test_rounds_halves_to_even_then_adds_the_zero_point_then_clamps() -> None:
    x, y = Value("x", (5, 1), "i8", 1.0, 10), Value("y", (5, 1), "i8", 1.0, 3)
    fields = {"weight": np.ones((1, 1), np.int8), "bias": np.zeros(1, np.int32), "multiplier": np.array([0.5], F)}
    codes = np.array([[11], [13], [15], [0], [255]], np.uint8)
    found = run(one(Linear("n", ("x",), "y", **fields), x, y, ("uint8", "uint8")), {"in": codes})["out"]
    # Sums 1, 3, 5, -10, 245: halves 0.5, 1.5, 2.5, then -5 and 122.5.
    assert found.ravel().tolist() == [3, 5, 5, 0, 125]
    clamped = Linear("n", ("x",), "y", **fields, clamp=Clamp(4, 100))
    found = run(one(clamped, x, y, ("uint8", "uint8")), {"in": codes})["out"]
    assert found.ravel().tolist() == [4, 5, 5, 4, 100]


def test_padding_of_codes_is_the_zero_point() -> None:
    x, y = Value("x", (1, 1, 1, 1), "i8", 1.0, 128), Value("y", (1, 1, 3, 3), "i8", 1.0, 7)
    op = Conv(
        "n", ("x",), "y", np.arange(1, 10, dtype=np.int8).reshape(1, 1, 3, 3), np.zeros(1, np.int32),
        np.ones(1, F), pads=(2, 2, 2, 2),
    )  # fmt: skip
    found = run(one(op, x, y, ("uint8", "uint8")), {"in": np.full((1, 1, 1, 1), 129, np.uint8)})["out"]
    assert found[0, 0].tolist() == [[16, 15, 14], [13, 12, 11], [10, 9, 8]]


def test_signed_ports_are_shifted_by_128() -> None:
    x, y = Value("x", (3,), "i8", 0.5, 128), Value("y", (3,), "f32")
    program = one(Dequantize("n", ("x",), "y"), x, y, ("int8", "float32"))
    assert run(program, {"in": np.array([-128, 0, 127], np.int8)})["out"].tolist() == [-64.0, 0.0, 63.5]
    x, y = Value("x", (5,), "f32"), Value("y", (5,), "i8", 0.5, 128)
    program = one(Quantize("n", ("x",), "y"), x, y, ("float32", "int8"))
    given = np.array([np.nan, np.inf, -np.inf, 0.25, 0.75], F)
    assert run(program, {"in": given})["out"].tolist() == [-128, 127, -128, 0, 2]


def test_max_pool_keeps_a_nan_only_where_the_window_starts_with_it() -> None:
    x, y = Value("x", (1, 1, 1, 4), "f32"), Value("y", (1, 1, 1, 4), "f32")
    op = Pool("n", ("x",), "y", "max", (1, 2), pads=(0, 1, 0, 0))
    given = np.array([np.nan, -5.0, np.nan, -7.0], F).reshape(x.shape)
    found = run(one(op, x, y, ("float32", "float32")), {"in": given})["out"].ravel()
    # Windows: (nan), (nan, -5), (-5, nan), (nan, -7); padding never wins over negative numbers.
    assert np.isnan(found[[0, 1, 3]]).all()
    assert found[2] == -5.0


@pytest.mark.parametrize(("count_pads", "wanted"), [(False, [1.5, 3.0]), (True, [1.0, 2.0])])
def test_average_counts_padding_only_when_told_and_never_beyond_it(count_pads: bool, wanted: list[float]) -> None:
    """Elements 1, 2, 3 with one of padding on either side, windows of 3 at steps of 3: the second sticks out."""
    x, y = Value("x", (1, 1, 1, 3), "f32"), Value("y", (1, 1, 1, 2), "f32")
    op = Pool("n", ("x",), "y", "average", (1, 3), (1, 3), (0, 1, 0, 1), count_pads)
    given = np.array([1.0, 2.0, 3.0], F).reshape(x.shape)
    found = run(one(op, x, y, ("float32", "float32")), {"in": given})["out"].ravel()
    # The second window covers 3, one element of padding, and one element that is not even padding.
    wanted = [wanted[0], 3.0 / 2 if count_pads else 3.0]
    assert found.tolist() == wanted


def test_sums_go_in_order() -> None:
    """2**24 + 1 + 1 is 2**24 in float32 from the left, and 2**24 + 2 in any order that pairs the ones."""
    given = np.array([2.0**24, 1.0, 1.0, 0.0], F).reshape(1, 1, 1, 4)
    x, y = Value("x", (1, 1, 1, 4), "f32"), Value("y", (1, 1), "f32")
    assert run(one(Mean("n", ("x",), "y"), x, y, ("float32", "float32")), {"in": given})["out"][0, 0] == 2.0**22
    fields = {"weight": np.ones((1, 4), F), "bias": np.zeros(1, F), "multiplier": None}
    x, y = Value("x", (1, 4), "f32"), Value("y", (1, 1), "f32")
    program = one(Linear("n", ("x",), "y", **fields), x, y, ("float32", "float32"))
    assert run(program, {"in": given.reshape(1, 4)})["out"][0, 0] == 2.0**24


def test_softmax_is_near_the_truth_and_bilinear_is_between() -> None:
    x, y = Value("x", (2, 5), "f32"), Value("y", (2, 5), "f32")
    given = np.array([[1, 2, 3, 4, 5], [-300, 0, 0, 700, 700]], F)
    found = run(one(Softmax("n", ("x",), "y"), x, y, ("float32", "float32")), {"in": given})["out"]
    powers = np.exp(given - given.max(axis=1, keepdims=True), dtype=np.float64)
    assert np.allclose(found, powers / powers.sum(axis=1, keepdims=True), atol=1e-7)
    x, y = Value("x", (1, 1, 1, 2), "i8", 1.0, 0), Value("y", (1, 1, 1, 3), "i8", 1.0, 0)
    op = Resize("n", ("x",), "y", "bilinear", (0,), (0, 0, 1), (0,), (1, 1, 1), (0.0,), (0.0, 0.5, 0.0))
    found = run(one(op, x, y, ("uint8", "uint8")), {"in": np.array([[[[0, 5]]]], np.uint8)})["out"]
    assert found.ravel().tolist() == [0, 2, 5]


def qlinear_conv(program: Program, codes: np.ndarray) -> np.ndarray:
    """The program's one convolution in ONNX Runtime."""
    op, x, y = program.ops[0], program.values[program.ops[0].inputs[0]], program.values[program.ops[0].output]
    # Equal scales of input and output: ONNX Runtime's multiplier is then the weights' scale, exactly.
    arrays = {
        "xs": F(2**-4), "xz": np.uint8(x.zero), "w": op.weight, "ws": op.multiplier,
        "wz": np.zeros(len(op.weight), np.int8),
        "ys": F(2**-4), "yz": np.uint8(y.zero), "b": op.bias,
    }  # fmt: skip
    node = helper.make_node(
        "QLinearConv", ["x", "xs", "xz", "w", "ws", "wz", "ys", "yz", "b"], ["y"], group=op.groups,
        strides=list(op.strides), pads=list(op.pads), dilations=list(op.dilations), kernel_shape=op.weight.shape[2:],
    )  # fmt: skip
    graph = helper.make_graph(
        [node],
        "g",
        [helper.make_tensor_value_info("x", TensorProto.UINT8, x.shape)],
        [helper.make_tensor_value_info("y", TensorProto.UINT8, y.shape)],
        [numpy_helper.from_array(np.asarray(array), name) for name, array in arrays.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    model.ir_version = 8
    onnx.checker.check_model(model)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(None, {"x": codes})[0]


@pytest.mark.parametrize("style", ["dense", "pointwise", "depthwise", "grouped", "dilated"])
def test_onnx_runtime_agrees_on_integer_convolutions(style: str) -> None:
    for seed in range(4):
        rng = np.random.default_rng((seed, 3))
        program = make(f"conv_{style}_i8", rng)
        op = program.ops[0]
        # ONNX Runtime multiplies saturating pairs on some processors: 7-bit weights do not saturate.
        small = (op.weight // 2).astype(np.int8)
        program = dataclasses.replace(program, ops=(dataclasses.replace(op, weight=small, clamp=Clamp()),))
        ports = [dataclasses.replace(port, dtype="uint8") for port in (*program.inputs, *program.outputs)]
        program = dataclasses.replace(program, inputs=(ports[0],), outputs=(ports[1],))
        given = feeds(program, rng)
        assert np.array_equal(run(program, given)["output0"], qlinear_conv(program, given["input0"]))


def test_refused_feeds() -> None:
    builder = Builder(np.random.default_rng(0), "p")
    x = builder.input((1, 3), "f32")
    program = builder.program(builder.linear(x, 2, "f32"))
    good = np.zeros((1, 3), F)
    with pytest.raises(DataError, match="no data for the input 'input0'"):
        run(program, {})
    with pytest.raises(DataError, match="no input named 'other'"):
        run(program, {"input0": good, "other": good})
    with pytest.raises(DataError, match=r"\(3, 1\); the program takes float32 \(1, 3\)"):
        run(program, {"input0": good.T})
    with pytest.raises(DataError, match="float64"):
        run(program, {"input0": good.astype(np.float64)})
    odd = dataclasses.replace(program, ops=(Op("n", (x.name,), program.ops[0].output),))
    with pytest.raises(ModelError, match="which the form does not have"):
        run(odd, {"input0": good})
