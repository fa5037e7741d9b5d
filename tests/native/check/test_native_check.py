"""Every rule of the form refuses the program that breaks it; the factory's programs obey all of them."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from native.programs import KINDS, feeds, make, network, single_op_programs
from shoestring.base.errors import ModelError
from shoestring.native.check import check
from shoestring.native.form import Clamp, Op, Port, Program, Reshape

Change = Callable[[Program], Program]
HUGE = np.float32(3e38)


def program_of(kind: str, seed: int = 0) -> Program:
    return make(kind, np.random.default_rng((seed, 41)))


def on_op(**fields: Any) -> Change:
    """Replace fields of the one operator; a callable is given the operator."""

    def change(program: Program) -> Program:
        op = program.ops[0]
        new = {name: value(op) if callable(value) else value for name, value in fields.items()}
        return dataclasses.replace(program, ops=(dataclasses.replace(op, **new),))

    return change


def on_value(of_output: bool, **fields: Any) -> Change:
    """Replace fields of the operator's output, or of its first input; a callable is given the value."""

    def change(program: Program) -> Program:
        op = program.ops[0]
        name = op.output if of_output else op.inputs[0]
        value = program.values[name]
        new = {field: found(value) if callable(found) else found for field, found in fields.items()}
        return dataclasses.replace(program, values={**program.values, name: dataclasses.replace(value, **new)})

    return change


def on_program(**fields: Any) -> Change:
    def change(program: Program) -> Program:
        new = {name: value(program) if callable(value) else value for name, value in fields.items()}
        return dataclasses.replace(program, **new)

    return change


def longer(value: Any) -> tuple[int, ...]:
    return (*value.shape[:-1], value.shape[-1] + 1)


def retyped(kind: type[Op], program: Program) -> Op:
    """The one operator as another type, which takes no parameters."""
    op = program.ops[0]
    return kind(op.name, op.inputs, op.output)


def renamed(port: Port, name: str) -> Port:
    return dataclasses.replace(port, name=name)


BROKEN: list[tuple[str, str, Change]] = [
    # 1. Names, ranges, ports.
    ("reshape_i8", "not a C identifier", on_program(name="a-b")),
    ("reshape_i8", "not a C identifier", on_program(name="3a")),
    ("reshape_i8", "listed under the name", on_value(True, name="other")),
    ("reshape_i8", "sides are 1 or more", on_value(True, shape=(0, 4))),
    ("reshape_i8", "sides are 1 or more", on_value(True, shape=(np.int64(4),))),
    ("reshape_i8", "elements; the limit", on_value(True, shape=(1 << 20, 1 << 20, 1 << 20, 1 << 10))),
    ("reshape_i8", "kinds are i8 and f32", on_value(True, kind="i16")),
    ("reshape_f32", "must have 1, 0", on_value(True, scale=2.0)),
    ("reshape_i8", "normal float32", on_value(True, scale=0.0)),
    ("reshape_i8", "normal float32", on_value(True, scale=float("nan"))),
    ("reshape_i8", "normal float32", on_value(True, scale=1e-40)),
    ("reshape_i8", "normal float32", on_value(True, scale=1e38)),
    ("reshape_i8", "0..255", on_value(True, zero=256)),
    ("reshape_i8", "no output", on_program(outputs=())),
    ("add_f32", "two ports", on_program(inputs=lambda p: (p.inputs[0], renamed(p.inputs[1], "input0")))),
    ("add_f32", "two inputs fill", on_program(inputs=lambda p: (*p.inputs, renamed(p.inputs[0], "z")))),
    ("reshape_i8", "does not have", on_program(outputs=(Port("o", "nothing", "uint8"),))),
    ("reshape_i8", "is float32; a value of kind i8", on_program(outputs=(Port("o", "v1", "float32"),))),
    # 2. Order.
    ("reshape_i8", "before it is made", on_program(inputs=())),
    ("reshape_i8", "a second time", on_program(ops=lambda p: p.ops * 2)),
    ("reshape_i8", "no description", on_op(output="nowhere")),
    ("reshape_i8", "never made", on_program(ops=())),
    # 3. Inputs, kinds, dtypes.
    ("reshape_i8", "not an operator of the form", on_program(ops=lambda p: (retyped(Op, p),))),
    ("add_i8", "it has 1 inputs; it takes 2", on_op(inputs=lambda op: op.inputs[:1])),
    ("add_constant_i8", "it has 2 inputs; it takes 1", on_op(inputs=lambda op: op.inputs * 2)),
    ("add_i8", "swapped without", on_op(swapped=True)),
    ("concat_i8", "no input", on_op(inputs=())),
    ("quantize", "f32 to i8 is not one of", on_program(ops=lambda p: (retyped(Reshape, p),))),
    ("pool_max_i8", "differ in scale or zero", on_value(True, scale=lambda v: v.scale * 2)),
    ("pad_i8", "differ in scale or zero", on_value(True, zero=lambda v: 255 - v.zero if v.zero != 127 else 1)),
    ("conv_dense_i8", "weight is int16", on_op(weight=lambda op: op.weight.astype(np.int16))),
    ("conv_dense_i8", "bias is int64", on_op(bias=lambda op: op.bias.astype(np.int64))),
    ("linear_f32", "bias is float64", on_op(bias=lambda op: op.bias.astype(np.float64))),
    ("conv_dense_f32", "infinity or NaN", on_op(bias=lambda op: op.bias * np.float32(np.nan))),
    ("conv_dense_i8", "its weight has the shape", on_op(weight=lambda op: op.weight[0])),
    ("conv_dense_i8", "its bias has the shape", on_op(bias=lambda op: op.bias[None])),
    ("conv_dense_i8", "no multiplier", on_op(multiplier=None)),
    ("linear_f32", "must have None", on_op(multiplier=lambda op: op.bias)),
    ("linear_i8", "multiplier is float64", on_op(multiplier=lambda op: op.multiplier.astype(np.float64))),
    ("matmul_i8", "i8 inputs need one", on_op(multiplier=None)),
    ("table", "must be uint8", on_op(table=np.zeros(255, np.uint8))),
    # 4. Shapes and parameters.
    ("conv_dense_i8", "its output has the shape", on_value(True, shape=longer)),
    ("conv_dense_i8", "four, 0 or more", on_op(pads=(0, 0, -1, 0))),
    ("conv_dense_i8", "two, 1 or more", on_op(strides=(0, 1))),
    ("conv_dense_i8", "its dilations", on_op(dilations=(1, 0))),
    ("conv_dense_i8", "does not fit", on_op(groups=7)),
    ("conv_dense_i8", "padded input has a side", on_op(pads=(20000, 0, 20000, 0))),
    ("conv_dilated_f32", "its kernel spans", on_op(dilations=(30000, 30000))),
    ("conv_dense_i8", "a pad, stride or kernel side", on_op(strides=(40000, 1))),
    ("linear_i8", "does not fit", on_op(weight=lambda op: np.pad(op.weight, ((0, 0), (0, 1))))),
    ("matmul_f32", "cannot be multiplied", on_value(False, shape=longer)),
    ("add_f32", "do not broadcast|output has the shape", on_value(True, shape=longer)),
    ("mul_f32", "it cannot 'pow'", on_op(kind="pow")),
    ("unary_tanh", "no function", on_op(function="sinh")),
    ("unary_clip", "NaN is not", on_op(a=float("nan"))),
    ("table", "its output has the shape", on_value(True, shape=longer)),
    ("pool_max_f32", "there are max and average", on_op(function="median")),
    ("pool_max_f32", "no element inside", on_value(True, shape=lambda v: (*v.shape[:3], 900))),
    ("pool_average_f32", "no element inside", on_op(pads=lambda op: (op.kernel[0], 0, 0, 0))),
    ("mean_i8", "it must be", on_value(True, shape=lambda v: (v.shape[1],))),
    ("softmax", "its axis", on_op(axis=4)),
    ("concat_f32", "its axis", on_op(axis=-1)),
    ("concat_f32", "its output has the shape", on_value(True, shape=longer)),
    ("slice_f32", "it reads", on_op(starts=lambda op: (op.starts[0] + 99, *op.starts[1:]))),
    ("slice_f32", "a step is 0", on_op(steps=lambda op: (0, *op.steps[1:]))),
    ("slice_f32", "differ in length", on_op(steps=lambda op: (*op.steps, 1))),
    ("pad_f32", "do not fit", on_op(before=lambda op: (99, *op.before[1:]))),
    ("pad_i8", "must be a code", on_op(value=0.5)),
    ("pad_f32", "its value is NaN", on_op(value=float("nan"))),
    ("resize_nearest_i8", "sources for", on_op(rows=lambda op: (*op.rows, 0))),
    ("resize_nearest_i8", "outside the image", on_op(rows=lambda op: (99, *op.rows[1:]))),
    ("resize_bilinear_f32", "outside 0..1", on_op(row_part=lambda op: (1.5, *op.row_part[1:]))),
    ("resize_bilinear_f32", "there are nearest", on_op(function="cubic")),
    ("transpose_f32", "no order", on_op(axes=lambda op: (*op.axes[1:], 9))),
    ("reshape_f32", "number of elements", on_value(True, shape=longer)),
    # 5. Arithmetic.
    ("conv_dense_i8", "int32 sums can reach", on_op(bias=lambda op: np.full_like(op.bias, 2**31 - 1))),
    ("linear_i8", "int32 sums can reach", on_op(bias=lambda op: np.full_like(op.bias, -(2**31)))),
    ("conv_dense_i8", "above zero", on_op(multiplier=lambda op: op.multiplier * np.float32(0))),
    ("conv_dense_i8", "above zero", on_op(multiplier=lambda op: -op.multiplier)),
    ("conv_dense_i8", "above zero", on_op(multiplier=lambda op: op.multiplier * np.float32(np.inf))),
    ("linear_i8", "must stay below", on_op(multiplier=lambda op: op.multiplier + np.float32(1e9))),
    ("linear_i8_f32", "must stay below", on_op(multiplier=lambda op: op.multiplier * 0 + HUGE)),
    ("matmul_i8", "above zero", on_op(multiplier=1e-50)),
    ("matmul_i8", "must stay below", on_op(multiplier=1e8)),
    ("mul_i8", "must stay below", on_value(True, scale=1e-30)),
    ("add_i8", "must stay below", on_value(True, scale=1e-30)),
    ("mean_i8", "must stay below", on_value(True, scale=1e-30)),
    ("pool_average_i8", "must stay below", on_value(True, scale=1e-30)),
    ("add_i8", "are not divided", on_op(kind="div")),
    ("conv_dense_i8", "must be a code", on_op(clamp=Clamp(-1, None))),
    ("conv_dense_i8", "must be a code", on_op(clamp=Clamp(0, 5.5))),
    ("conv_dense_f32", "clamp holds NaN", on_op(clamp=Clamp(float("nan")))),
    ("conv_dense_i8", "above the high side", on_op(clamp=Clamp(9, 8))),
    ("mul_constant_i8", "its constant is int8", on_op(constant=lambda op: op.constant.astype(np.int8))),
    ("mul_constant_i8", "zero point", on_op(constant_zero=-1)),
    ("mul_constant_i8", "finite and above zero", on_op(constant_scale=0.0)),
    ("mul_constant_f32", "scale 1", on_op(constant_scale=0.5)),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "match", "change"), BROKEN, ids=[f"{k}-{m[:20]}" for k, m, _ in BROKEN])
def test_broken_programs_are_refused(kind: str, match: str, change: Change) -> None:
    for seed in range(3):
        program = program_of(kind, seed)
        check(program)
        with pytest.raises(ModelError, match=match) as caught:
            check(change(program))
        assert caught.value.hint


def test_mixed_kinds_are_refused() -> None:
    program = program_of("add_f32")
    name = program.ops[0].inputs[1]
    value = dataclasses.replace(program.values[name], kind="i8")
    port = dataclasses.replace(program.inputs[1], dtype="uint8")
    broken = dataclasses.replace(program, values={**program.values, name: value}, inputs=(program.inputs[0], port))
    with pytest.raises(ModelError, match="they must agree"):
        check(broken)


def test_the_limit_of_an_accumulator_is_exact() -> None:
    program = program_of("linear_i8_f32")
    op, zero = program.ops[0], program.values[program.ops[0].inputs[0]].zero
    weights = int(np.abs(op.weight[0].astype(int)).sum()) * max(zero, 255 - zero)
    tiny = on_op(multiplier=lambda op: op.multiplier * 0 + np.float32(1e-6))
    last = np.zeros_like(op.bias)
    last[0] = 2**31 - 1 - weights
    check(tiny(on_op(bias=last.copy())(program)))
    last[0] += 1
    with pytest.raises(ModelError, match=f"can reach {2**31}; the limit is {2**31 - 1}"):
        check(tiny(on_op(bias=last)(program)))


@pytest.mark.parametrize("seed", range(25))
def test_the_factory_obeys_the_form(seed: int) -> None:
    for program in single_op_programs(seed):
        check(program)
        assert len(program.ops) == 1
    for index in range(6):
        program = network(np.random.default_rng((seed, index)))
        check(program)
        assert 5 <= len(program.ops) <= 12


def test_the_factory_is_deterministic_and_reaches_what_matters() -> None:
    def words(program: Program) -> str:
        return repr([vars(op) for op in program.ops]) + repr(program.values)

    assert [words(p) for p in single_op_programs(3)] == [words(p) for p in single_op_programs(3)]
    program, given = program_of("conv_dense_i8"), np.random.default_rng
    first, second = feeds(program, given(1)), feeds(program, given(1))
    assert all(np.array_equal(first[name], second[name]) for name in first)
    networks = [network(np.random.default_rng(seed)) for seed in range(40)]
    met = {type(op).__name__ for program in networks for op in program.ops}
    assert {"Conv", "Binary", "Concat", "Mean", "Pool", "Resize", "Table", "Quantize", "Softmax", "Linear"} <= met
    convolutions = [make("conv_dense_i8", np.random.default_rng(seed)).ops[0] for seed in range(80)]
    assert {op.strides for op in convolutions} >= {(1, 1), (2, 2), (3, 3), (1, 2)}
    assert any(op.weight.min() == -128 for op in convolutions)
    assert any(op.pads[0] != op.pads[2] for op in convolutions)
    assert len(KINDS) == len(set(KINDS)) >= 70


def test_a_value_may_have_two_ports_and_several_readers() -> None:
    program = program_of("unary_tanh")
    port = dataclasses.replace(program.outputs[0], name="again")
    check(dataclasses.replace(program, outputs=(*program.outputs, port)))
    x = program.values[program.ops[0].inputs[0]]
    copy = dataclasses.replace(x, name="copy")
    ops = (*program.ops, Reshape("m", (x.name,), "copy"))
    check(dataclasses.replace(program, values={**program.values, "copy": copy}, ops=ops))
