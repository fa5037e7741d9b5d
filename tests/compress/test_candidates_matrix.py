"""Recipes for matrix products run whole on encoders, with tables in 8 bits, and are not tried on convolutions."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from encoders import WIDTH, close, encoder, linear, tokens
from nets import Net, bare_workshop, residual_graph, run
from shoestring.base.outputs import sqnr_db
from shoestring.compress.apply import apply
from shoestring.compress.candidates_matrix import matrix_recipes
from shoestring.compress.graph import Graph
from shoestring.compress.passes import PASSES
from shoestring.compress.scheme import scheme_named

X = tokens(24)
BENCH = bare_workshop([{"x": X[:4]}, {"x": X[4:8]}])
U8S8 = scheme_named("u8s8")
ROWS = 100


@pytest.mark.parametrize("form", ["operator", "decomposed"])
@pytest.mark.parametrize("index", range(3))
def test_each_recipe_runs_and_is_deterministic(tmp_path, form: str, index: int) -> None:
    graph = Graph(encoder(form))
    recipe = matrix_recipes(graph, U8S8)[index]
    for name in ("a", "b"):
        apply(recipe, graph, BENCH, tmp_path / f"{name}.onnx")
    assert (tmp_path / "a.onnx").read_bytes() == (tmp_path / "b.onnx").read_bytes()
    floor_db = 15 if recipe.precision == "int8" else 12
    assert sqnr_db(run(graph.to_bytes(), X), run((tmp_path / "a.onnx").read_bytes(), X)) > floor_db


def test_convolutional_networks_get_none() -> None:
    assert matrix_recipes(residual_graph(), U8S8) == ()


def test_names_and_precisions_are_unique() -> None:
    found = matrix_recipes(Graph(encoder()), U8S8)
    assert [recipe.name for recipe in found] == ["int8-smooth", "w4-gptq", "w4a8-gptq"]
    assert [recipe.precision for recipe in found] == ["int8", "w4", "int8-w4"]


def lookup(axis: int = 0, rows: int = ROWS) -> Graph:
    net = Net(1)
    table = net.rng.normal(0, 1, (rows, WIDTH)) * np.exp(net.rng.normal(0, 2, (rows, 1)))
    net.node("Gather", [net.constant("table", table.astype(np.float32)), "ids"], "found", axis=axis)
    net.node("Identity", ["found"], "logits")
    info = helper.make_tensor_value_info
    inputs, outputs = [info("ids", TensorProto.INT64, ["N"])], [info("logits", TensorProto.FLOAT, None)]
    weights = [numpy_helper.from_array(value, name) for name, value in net.weights.items()]
    graph = helper.make_graph(net.nodes, "lookup", inputs, outputs, weights)
    return Graph(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9))


def test_tables_take_a_quarter_and_every_row_stays_near() -> None:
    graph = lookup()
    ids = np.arange(ROWS)
    exact = run(graph.to_bytes(), ids)
    made, notes = PASSES["tables_int8"].run(graph, {}, BENCH)
    found = run(made.to_bytes(), ids)
    assert all(sqnr_db(exact[i], found[i]) > 35 for i in range(ROWS))
    assert "1 look-up tables in 8 bits" in notes[0]
    assert "table" not in {name for node in made.nodes for name in node.input}
    assert PASSES["tables_int8"].ensures(made, {}) is None
    _, notes = PASSES["tables_int8"].run(made, {}, BENCH)
    assert notes == ()


@pytest.mark.parametrize(("axis", "rows"), [(1, ROWS), (0, 20)])
def test_other_gathers_are_left_alone(axis: int, rows: int) -> None:
    made, notes = PASSES["tables_int8"].run(lookup(axis, rows), {}, BENCH)
    assert notes == ()
    assert [node.op_type for node in made.nodes] == ["Gather", "Identity"]


def test_one_scale_for_the_whole_table_would_lose_short_rows() -> None:
    graph = lookup()
    exact = run(graph.to_bytes(), np.arange(ROWS))
    whole = np.abs(graph.weights["table"]).max() / 127
    made, _ = PASSES["tables_int8"].run(graph, {}, BENCH)
    made.weights["table/scales"] = np.full((ROWS, 1), whole, np.float32)
    made.weights["table/int8"] = np.rint(graph.weights["table"] / whole).astype(np.int8)
    found = run(made.to_bytes(), np.arange(ROWS))
    assert min(sqnr_db(exact[i], found[i]) for i in range(ROWS)) < 20


def test_a_head_of_gemms_without_attention_is_taken_too(tmp_path) -> None:
    net = Net(2)
    pooled = net.node("ReduceMean", ["x"], "pooled", axes=[1], keepdims=0)
    hidden = net.node("Relu", [linear(net, pooled, "up", WIDTH, 64, gemm=True)], "hidden")
    linear(net, hidden, "logits", 64, 10, gemm=True)
    graph = Graph(close(net))
    for recipe in matrix_recipes(graph, U8S8):
        apply(recipe, graph, BENCH, tmp_path / "m.onnx")
        made = onnx.load(tmp_path / "m.onnx")
        assert not [node for node in made.graph.node if node.op_type == "Gemm"]
        assert sqnr_db(run(graph.to_bytes(), X), run((tmp_path / "m.onnx").read_bytes(), X)) > 15
