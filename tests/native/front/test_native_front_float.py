"""Float graphs: every operator gives what ONNX Runtime gives."""

from __future__ import annotations

import numpy as np
import pytest

from native.front_helpers import agree, kinds
from native.qdq_models import Sketch
from shoestring.native.form import Binary, Conv, Linear, Softmax, Unary


@pytest.mark.parametrize(
    "attributes",
    [
        {},
        {"pads": [1, 0, 2, 1], "strides": [2, 1]},
        {"auto_pad": "SAME_UPPER", "strides": [2, 2]},
        {"auto_pad": "SAME_LOWER", "strides": [2, 2]},
        {"auto_pad": "VALID"},
        {"dilations": [2, 1], "pads": [2, 1, 2, 1]},
    ],
)
def test_conv(attributes: dict[str, object]) -> None:
    sketch = Sketch("n", 4, 10, 9)
    made = sketch.add("Conv", "x", sketch.normal(6, 4, 3, 3), sketch.normal(6), **attributes)
    program = agree(sketch.bytes(made))
    assert kinds(program) == {"Conv f32": 1}
    assert program.inputs[0].free_batch and program.outputs[0].free_batch


@pytest.mark.parametrize("groups", [2, 4])
def test_grouped_and_depthwise_conv(groups: int) -> None:
    sketch = Sketch(1, 4, 6, 6)
    program = agree(sketch.bytes(sketch.add("Conv", "x", sketch.normal(8, 4 // groups, 3, 3), group=groups)))
    assert program.ops[0].groups == groups
    assert not program.inputs[0].free_batch


def test_sequences_are_images_of_one_row() -> None:
    sketch = Sketch("n", 4, 12)
    t = sketch.add("Conv", "x", sketch.normal(6, 4, 3), pads=[1, 1], strides=[2])
    t = sketch.add("MaxPool", t, kernel_shape=[2], strides=[1])
    t = sketch.add("AveragePool", t, kernel_shape=[3], pads=[1, 1])
    program = agree(sketch.bytes(t, sketch.add("GlobalAveragePool", t)))
    assert {program.values[p.value].shape for p in program.outputs} == {(1, 6, 5), (1, 6, 1)}


@pytest.mark.parametrize("transposed", [0, 1])
def test_gemm(transposed: int) -> None:
    sketch = Sketch("n", 7)
    weight = sketch.normal(5, 7) if transposed else sketch.normal(7, 5)
    made = sketch.add("Gemm", "x", weight, sketch.normal(5), transB=transposed, alpha=0.5, beta=2.0)
    assert kinds(agree(sketch.bytes(made))) == {"Linear f32": 1}


def test_gemm_with_one_bias_for_all() -> None:
    sketch = Sketch(3, 7)
    agree(sketch.bytes(sketch.add("Gemm", "x", sketch.normal(7, 5), sketch.constant([0.5], "float32"))))


def test_matmul_takes_the_bias_added_to_it() -> None:
    sketch = Sketch("n", 6, 7)
    product = sketch.add("MatMul", "x", sketch.normal(7, 5))
    made = sketch.add("Relu", sketch.add("Add", sketch.normal(5), product))
    program = agree(sketch.bytes(made))
    assert kinds(program) == {"Linear f32": 1}
    assert program.ops[0].clamp.low == 0.0


def test_matmul_of_two_activations() -> None:
    sketch = Sketch("n", 2, 6, 7)
    other = sketch.add("Transpose", "x", perm=[0, 1, 3, 2])
    assert kinds(agree(sketch.bytes(sketch.add("MatMul", "x", other)))) == {"Transpose f32": 1, "MatMul f32": 1}


@pytest.mark.parametrize("op", ["Add", "Sub", "Mul", "Div"])
@pytest.mark.parametrize("other", ["activation", "first", "second", "channels"])
def test_binary(op: str, other: str) -> None:
    sketch = Sketch("n", 4, 5, 5)
    if other == "activation":
        pair = ("x", sketch.add("Exp", "x"))
    elif other == "channels":
        pair = ("x", sketch.constant(np.linspace(0.5, 2, 4).reshape(4, 1, 1), "float32"))
    else:
        pair = ("x", sketch.constant(1.5, "float32"))
    if other == "first":
        pair = (sketch.add("Exp", "x"), sketch.constant(1.5, "float32"))[::-1]
    program = agree(sketch.bytes(sketch.add(op, *pair)))
    assert isinstance(program.ops[-1], Binary)
    assert program.ops[-1].swapped == (other == "first")


UNARY = {
    "Sigmoid": ("sigmoid", {}),
    "HardSwish": ("hard_swish", {}),
    "Tanh": ("tanh", {}),
    "Exp": ("exp", {}),
    "Neg": ("neg", {}),
    "Abs": ("abs", {}),
    "LeakyRelu": ("leaky_relu", {"alpha": 0.3}),
    "HardSigmoid": ("hard_sigmoid", {"alpha": 0.3, "beta": 0.4}),
    "Relu": ("clip", {}),
}


@pytest.mark.parametrize("op", UNARY)
def test_unary(op: str) -> None:
    function, attributes = UNARY[op]
    sketch = Sketch("n", 4, 5, 5)
    program = agree(sketch.bytes(sketch.add(op, "x", **attributes)), size=3.0)
    (made,) = program.ops
    assert isinstance(made, Unary)
    assert made.function == function


def test_sqrt_of_what_is_positive() -> None:
    sketch = Sketch("n", 5)
    assert agree(sketch.bytes(sketch.add("Sqrt", sketch.add("Abs", "x")))).ops[1].function == "sqrt"


def test_prelu_with_one_slope_is_leaky() -> None:
    sketch = Sketch("n", 4, 5, 5)
    program = agree(sketch.bytes(sketch.add("PRelu", "x", sketch.constant(np.full((4, 1, 1), 0.2), "float32"))))
    assert program.ops[0].function == "leaky_relu"


@pytest.mark.parametrize(
    ("gate", "function", "attributes"),
    [("Sigmoid", "silu", {}), ("HardSigmoid", "hard_swish", {"alpha": 1 / 6, "beta": 0.5})],
)
@pytest.mark.parametrize("first", [True, False])
def test_gates_written_as_two_nodes(gate: str, function: str, attributes: dict[str, float], first: bool) -> None:
    sketch = Sketch("n", 4, 5, 5)
    pair = ("x", sketch.add(gate, "x", **attributes))
    program = agree(sketch.bytes(sketch.add("Mul", *(pair if first else pair[::-1]))), size=3.0)
    assert [op.function for op in program.ops] == [function]


def test_a_hard_sigmoid_of_another_slope_is_no_hard_swish() -> None:
    sketch = Sketch("n", 4, 5, 5)
    program = agree(sketch.bytes(sketch.add("Mul", "x", sketch.add("HardSigmoid", "x", alpha=0.2))), size=3.0)
    assert kinds(program) == {"Unary f32": 1, "Binary f32": 1}


def test_clamps_join_the_operator_before() -> None:
    sketch = Sketch("n", 4, 6, 6)
    t = sketch.add("Relu", sketch.add("Conv", "x", sketch.normal(4, 4, 1, 1)))
    bounds = (sketch.constant(0, "float32"), sketch.constant(6, "float32"))
    made = sketch.add("Clip", sketch.add("Add", t, "x"), *bounds)
    program = agree(sketch.bytes(made))
    assert kinds(program) == {"Conv f32": 1, "Binary f32": 1}
    assert [(op.clamp.low, op.clamp.high) for op in program.ops] == [(0.0, None), (0.0, 6.0)]


def test_a_clamp_beside_another_reader_stays_apart() -> None:
    sketch = Sketch("n", 4, 6, 6)
    t = sketch.add("Conv", "x", sketch.normal(4, 4, 1, 1))
    program = agree(sketch.bytes(sketch.add("Relu", t), sketch.add("Neg", t)))
    assert kinds(program) == {"Conv f32": 1, "Unary f32": 2}


def test_a_clip_whose_minimum_is_above_its_maximum_gives_its_maximum() -> None:
    from shoestring.native.front.builder import _narrowed

    assert _narrowed(None, None, 3.0, 1.0) == (1.0, 1.0)
    assert _narrowed(0.0, 6.0, -1.0, 4.0) == (0.0, 4.0)
    assert _narrowed(0.0, 2.0, 5.0, None) == (5.0, 5.0)


@pytest.mark.parametrize("ceil", [0, 1])
@pytest.mark.parametrize("counts", [0, 1])
def test_average_pool(ceil: int, counts: int) -> None:
    sketch = Sketch("n", 3, 9, 8)
    window = {"kernel_shape": [3, 2], "strides": [2, 2], "pads": [1, 0, 1, 0]}
    agree(sketch.bytes(sketch.add("AveragePool", "x", ceil_mode=ceil, count_include_pad=counts, **window)))


@pytest.mark.parametrize("ceil", [0, 1])
def test_max_pool(ceil: int) -> None:
    sketch = Sketch("n", 3, 9, 8)
    window = {"kernel_shape": [3, 3], "strides": [2, 2], "pads": [1, 1, 1, 1]}
    agree(sketch.bytes(sketch.add("MaxPool", "x", ceil_mode=ceil, **window), sketch.add("GlobalMaxPool", "x")))


@pytest.mark.parametrize("keep", [0, 1])
@pytest.mark.parametrize("opset", [17, 18])
@pytest.mark.parametrize("axes", [[2, 3], [-1, -2], [1, 2]])
def test_means(keep: int, opset: int, axes: list[int]) -> None:
    sketch = Sketch("n", 3, 9, 8, opset=opset)
    if opset == 17:
        made = sketch.add("ReduceMean", "x", axes=axes, keepdims=keep)
    else:
        made = sketch.add("ReduceMean", "x", sketch.constant(axes, "int64"), keepdims=keep)
    program = agree(sketch.bytes(made))
    assert ("Transpose f32" in kinds(program)) == (axes == [1, 2])


RESIZES = [
    ("nearest", "asymmetric", {"nearest_mode": "floor"}),
    ("nearest", "half_pixel", {}),
    ("nearest", "half_pixel", {"nearest_mode": "round_prefer_ceil"}),
    ("nearest", "align_corners", {"nearest_mode": "ceil"}),
    ("nearest", "pytorch_half_pixel", {"nearest_mode": "floor"}),
    ("linear", "half_pixel", {}),
    ("linear", "pytorch_half_pixel", {}),
    ("linear", "align_corners", {}),
    ("linear", "asymmetric", {}),
    ("linear", "half_pixel_symmetric", {}),
]


@pytest.mark.parametrize(("mode", "coordinates", "more"), RESIZES)
@pytest.mark.parametrize("factors", [(2.0, 2.0), (1.5, 3.0), (0.6, 0.5), (1.0, 2.3)])
@pytest.mark.parametrize("by", ["scales", "sizes"])
def test_resize(mode: str, coordinates: str, more: dict[str, str], factors: tuple[float, float], by: str) -> None:
    sketch = Sketch("n", 3, 7, 6, opset=19)
    attributes = {"mode": mode, "coordinate_transformation_mode": coordinates, **more}
    if by == "scales":
        made = sketch.add("Resize", "x", "", sketch.constant([1, 1, *factors], "float32"), **attributes)
    else:
        sizes = sketch.constant([1, 3, int(7 * factors[0]), int(6 * factors[1])], "int64")
        made = sketch.add("Resize", "x", "", "", sizes, **attributes)
    assert kinds(agree(sketch.bytes(made))) == {"Resize f32": 1}


def test_moves() -> None:
    sketch = Sketch("n", 4, 6, 6)
    t = sketch.add("Pad", "x", sketch.constant([0, 0, 1, 2, 0, 0, 0, 1], "int64"), sketch.constant(0.5, "float32"))
    t = sketch.add("Transpose", t, perm=[0, 2, 3, 1])
    whole = [sketch.constant(v, "int64") for v in ([6, 0], [-100, 100], [1, -1], [-2, 3])]
    t = sketch.add("Slice", t, *whole)
    t = sketch.add("Squeeze", sketch.add("Unsqueeze", t, sketch.constant([1], "int64")), sketch.constant([1], "int64"))
    first, second = sketch.add("Split", t, sketch.constant([1, 3], "int64"), outputs=["s1", "s2"], axis=1), "s2"
    t = sketch.add("Concat", second, first, axis=1)
    t = sketch.add("Gather", t, sketch.constant(1, "int64"), axis=1)
    t = sketch.add("Gather", t, sketch.constant([1, 0], "int64"), axis=-1)
    made = sketch.add("Flatten", sketch.add("Dropout", sketch.add("Identity", t)))
    program = agree(sketch.bytes(made))
    assert kinds(program)["Slice f32"] == 5


def test_a_shape_computed_from_the_input_is_computed_here() -> None:
    sketch = Sketch("n", 4, 3, 3)
    zero = sketch.constant(0, "int64")
    batch = sketch.add("Unsqueeze", sketch.add("Gather", sketch.add("Shape", "x"), zero), sketch.constant([0], "int64"))
    shape = sketch.add("Concat", batch, sketch.constant([-1], "int64"), axis=0)
    made = sketch.add("Gemm", sketch.add("Reshape", "x", shape), sketch.normal(36, 5))
    program = agree(sketch.bytes(made))
    assert kinds(program) == {"Reshape f32": 1, "Linear f32": 1}
    assert isinstance(program.ops[1], Linear)


@pytest.mark.parametrize(("opset", "axis", "reshapes"), [(17, 1, 0), (17, -1, 0), (11, 1, 2), (11, 3, 0)])
def test_softmax(opset: int, axis: int, reshapes: int) -> None:
    sketch = Sketch("n", 3, 4, 5, opset=opset)
    program = agree(sketch.bytes(sketch.add("Softmax", "x", axis=axis)))
    assert sum(isinstance(op, Softmax) for op in program.ops) == 1
    assert len(program.ops) == 1 + reshapes


def test_dead_nodes_are_dropped_and_an_output_may_be_an_input() -> None:
    sketch = Sketch("n", 3, 4, 4)
    sketch.add("Erf", "x")
    sketch.add("Identity", "x", outputs=["same"])
    program = agree(sketch.bytes("same"))
    assert kinds(program) == {"Reshape f32": 1}


def test_an_input_that_nobody_reads_keeps_its_port() -> None:
    sketch = Sketch("n", 3)
    sketch.input("unused", "n", 2)
    program = agree(sketch.bytes(sketch.add("Neg", "x")))
    assert [port.name for port in program.inputs] == ["x", "unused"]


def test_the_program_names_its_source() -> None:
    import hashlib

    from shoestring.native.front import read_program

    sketch = Sketch("n", 4, 4, 4)
    data = sketch.bytes(sketch.add("Conv", "x", sketch.normal(2, 4, 1, 1)))
    program = read_program(data, "net")
    assert (program.name, program.source_sha256) == ("net", hashlib.sha256(data).hexdigest())
    assert isinstance(program.ops[0], Conv)
    assert (program.ops[0].clamp.low, program.ops[0].clamp.high) == (None, None)
