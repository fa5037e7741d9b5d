"""Elementwise chains from one tensor of codes to codes become one table, with the chain's results to the bit."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from native.front_helpers import agree, feeds_of, kinds
from native.qdq_models import Sketch
from shoestring.native.form import Binary, Clamp, Dequantize, Op, Port, Program, Quantize, Table, Unary, Value
from shoestring.native.front.reading import read_graph
from shoestring.native.front.translate import translate
from shoestring.native.interpret import run
from shoestring.native.passes.prune import prune
from shoestring.native.passes.tables import tables

CHAINS = {
    "relu": [("Relu", {})],
    "leaky": [("LeakyRelu", {"alpha": 0.1})],
    "sigmoid": [("Sigmoid", {})],
    "tanh": [("Tanh", {})],
    "hard_swish": [("HardSwish", {})],
    "hard_sigmoid": [("HardSigmoid", {})],
    "several": [("Abs", {}), ("Sqrt", {}), ("Neg", {}), ("Exp", {})],
}


@pytest.mark.parametrize("chain", CHAINS)
def test_chains(chain: str) -> None:
    sketch = Sketch("n", 4, 8, 8)
    t = sketch.pair("x", 0.03, 120)
    for op, attributes in CHAINS[chain]:
        t = sketch.add(op, t, **attributes)
    program = agree(sketch.bytes(sketch.pair(t, 0.0117, 90)), step=0.0117)
    assert kinds(program) == {"Quantize i8": 1, "Table i8": 1, "Dequantize f32": 1}


def gate(sketch: Sketch, t: str) -> str:
    return sketch.add("Mul", t, sketch.add("Sigmoid", t))


def hand_written_hard_swish(sketch: Sketch, t: str) -> str:
    bounds = (sketch.constant(0, "float32"), sketch.constant(6, "float32"))
    inner = sketch.add("Clip", sketch.add("Add", t, sketch.constant(3, "float32")), *bounds)
    return sketch.add("Div", sketch.add("Mul", t, inner), sketch.constant([6], "float32"))


def gate_with_codes_inside(sketch: Sketch, t: str) -> str:
    return sketch.add("Mul", t, sketch.pair(sketch.add("Sigmoid", t), 1 / 255, 0))


@pytest.mark.parametrize("shape", [gate, hand_written_hard_swish, gate_with_codes_inside])
def test_branches_from_one_tensor(shape) -> None:
    sketch = Sketch("n", 4, 8, 8)
    program = agree(sketch.bytes(sketch.pair(shape(sketch, sketch.pair("x", 0.03, 120)), 0.0217, 90)), step=0.0217)
    assert kinds(program) == {"Quantize i8": 1, "Table i8": 1, "Dequantize f32": 1}


def chained() -> Program:
    """Codes -> reals -> function -> codes -> sum with the codes -> codes; all 256 codes come in."""
    values = [
        Value("a", (1, 256), "i8", 0.02, 100),
        Value("r", (1, 256), "f32"),
        Value("s", (1, 256), "f32"),
        Value("q", (1, 256), "i8", 0.004, 0),
        Value("y", (1, 256), "i8", 0.03, 77),
    ]
    ops = (
        Dequantize("d", ("a",), "r"),
        Unary("u", ("r",), "s", function="sigmoid"),
        Quantize("z", ("s",), "q"),
        Binary("b", ("a", "q"), "y", kind="add", clamp=Clamp(10, 200)),
    )
    ports = (Port("a", "a", "uint8"),), (Port("y", "y", "uint8"),)
    return Program("net", {value.name: value for value in values}, ops, *ports)


def outputs(program: Program) -> dict[str, np.ndarray]:
    return run(program, {"a": np.arange(256, dtype=np.uint8).reshape(1, 256)})


def test_entries_are_what_the_operators_give() -> None:
    program = chained()
    made = tables(program)
    assert [(type(op), op.inputs) for op in made.ops] == [(Table, ("a",))]
    np.testing.assert_array_equal(outputs(made)["y"], outputs(program)["y"])
    assert set(made.values) == {"a", "y"}


@pytest.mark.parametrize("kept", ["q", "r"])
def test_values_that_are_read_elsewhere_stay(kept: str) -> None:
    program = chained()
    dtype = "uint8" if kept == "q" else "float32"
    program = replace(program, outputs=(*program.outputs, Port(kept, kept, dtype)))
    made = tables(program)
    assert kinds(made) == ({"Table i8": 2} if kept == "q" else {"Dequantize f32": 1, "Table i8": 1})
    for name, found in outputs(made).items():
        np.testing.assert_array_equal(found, outputs(program)[name])


def test_two_tensors_or_a_constant_for_each_channel_make_no_table() -> None:
    sketch = Sketch("n", 4, 8, 8)
    sketch.input("z", "n", 4, 8, 8)
    t = sketch.pair(sketch.add("Add", sketch.pair("x", 0.03, 120), sketch.pair("z", 0.03, 120)), 0.05, 100)
    t = sketch.pair(sketch.add("Mul", t, sketch.normal(4, 1, 1)), 0.05, 100)
    assert "Table i8" not in kinds(agree(sketch.bytes(t), step=0.05))


def test_broadcasting_from_one_tensor_makes_no_table() -> None:
    sketch = Sketch("n", 4, 1, 1)
    t = sketch.pair("x", 0.03, 120)
    grown = sketch.add("Concat", t, t, axis=3)
    made = sketch.pair(sketch.add("Mul", grown, t), 0.05, 100)
    assert kinds(agree(sketch.bytes(made), step=0.05))["Binary i8"] == 1


def test_tables_behind_tables_are_joined_unless_both_are_read() -> None:
    sketch = Sketch("n", 4, 8, 8)
    first = sketch.pair(sketch.add("Tanh", sketch.pair("x", 0.03, 120)), 0.01, 110)
    second = sketch.pair(sketch.add("LeakyRelu", first, alpha=0.3), 0.009, 100)
    assert kinds(agree(sketch.bytes(second), step=0.02))["Table i8"] == 1
    program = agree(sketch.bytes(second, first), step=0.02)
    assert [op.inputs for op in program.ops if isinstance(op, Table)][1] == (program.ops[1].output,)


def test_a_table_that_changes_nothing_is_no_operator() -> None:
    sketch = Sketch("n", 4, 8, 8)
    made = sketch.pair(sketch.add("Relu", sketch.pair("x", 0.03, 0)), 0.03, 0)
    assert kinds(agree(sketch.bytes(made), step=0.03)) == {"Quantize i8": 1, "Dequantize f32": 1}


def test_a_nan_gives_code_zero_as_it_does_without_a_table() -> None:
    sketch = Sketch("n", 256)
    made = sketch.pair(sketch.add("Sqrt", sketch.pair("x", 0.03, 120)), 0.01, 50)
    plain = prune(translate(read_graph(sketch.bytes(made)), "net", ""))
    feeds = feeds_of(plain, size=2.0)
    np.testing.assert_array_equal(run(tables(plain), feeds)[made], run(plain, feeds)[made])


def test_long_chains_stay_cheap() -> None:
    """A chain of thousands of tables is one table, and takes no recursion."""
    values = {f"v{i}": Value(f"v{i}", (1, 4), "i8", 0.02, 100) for i in range(3001)}
    flipped = np.arange(255, -1, -1, dtype=np.uint8)
    ops: tuple[Op, ...] = tuple(Table(f"t{i}", (f"v{i}",), f"v{i + 1}", flipped) for i in range(3000))
    ports = (Port("a", "v0", "uint8"),), (Port("y", "v3000", "uint8"),)
    made = tables(Program("net", values, ops, *ports))
    assert len(made.ops) == 1
    np.testing.assert_array_equal(made.ops[0].table, np.arange(256))
