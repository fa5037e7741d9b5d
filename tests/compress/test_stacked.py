"""Blocks of an encoder are found, and a run of them gives way to the linear map that comes nearest."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest

import encoders
import tiny_encoder
from shoestring.base.errors import ModelError, UsageError
from shoestring.compress.apply import apply
from shoestring.compress.graph import Graph, make_node
from shoestring.compress.passes import PASSES, Workshop
from shoestring.compress.shortcuts import Linear, Run, best_run, fit_linear, observe, shorten
from shoestring.compress.stacked import Stack, find_stack
from shoestring.domain.recipe import Recipe, Step
from shoestring.inputs.text import TextReader


@pytest.fixture(scope="module")
def batches() -> list[dict[str, np.ndarray]]:
    reader = TextReader(tiny_encoder.tokenizer_bytes(), tiny_encoder.spec_of())
    found = []
    for _, text in tiny_encoder.texts(24):
        count = len(reader.tokens([text])[0].ids)
        found.append({name: value[:, :count] for name, value in reader.one(text)[0].items()})
    return found


def graph_of(**options: object) -> Graph:
    return Graph(tiny_encoder.encoder(**options))


def workshop(graph: Graph, batches: list[dict[str, np.ndarray]]) -> Workshop:
    return Workshop(graph, {}, {}, batches, batches, {}, {}, 1)


def test_joints_are_what_runs_from_block_to_block() -> None:
    assert find_stack(graph_of(blocks=3)) == Stack(("embedded", "b0_norm2", "b1_norm2", "b2_norm2"))


def test_types_and_heads_do_not_hide_the_blocks() -> None:
    assert find_stack(graph_of(types=False, classes=3)) == Stack(("embedded", "b0_norm2", "b1_norm2"))


@pytest.mark.parametrize(("blocks", "words"), [(0, "0 attention blocks"), (1, "1 attention blocks")])
def test_fewer_than_two_blocks_are_no_stack(blocks: int, words: str) -> None:
    assert words in str(find_stack(graph_of(blocks=blocks)))


def test_a_path_past_the_blocks_hides_them() -> None:
    graph = graph_of()
    mean = next(node for node in graph.nodes if "total" in node.output)
    graph.nodes.insert(graph.nodes.index(mean), make_node("Add", ["kept", "word"], ["leak"], "leak"))
    mean.input[0] = "leak"
    graph.reindex()
    assert isinstance(find_stack(graph), str)


def test_a_network_without_token_ids_is_none() -> None:
    assert find_stack(Graph(encoders.encoder())) == "no table is read by token ids"


def test_a_linear_run_is_found_exactly() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(2, 1, (400, 8)).astype(np.float32)
    weight, bias = rng.normal(0, 1, (8, 8)), rng.normal(0, 1, 8)
    linear, missed = fit_linear([x[:100], x[100:]], [part @ weight + bias for part in (x[:100], x[100:])])
    assert missed < 1e-4
    assert np.allclose(linear.weight, weight, atol=0.02)
    assert np.allclose(x @ linear.weight + linear.bias, x @ weight + bias, atol=0.05)


def test_a_run_that_changes_nothing_needs_no_map() -> None:
    x = np.random.default_rng(0).normal(0, 1, (100, 6)).astype(np.float32)
    linear, _ = fit_linear([x], [x])
    assert np.allclose(linear.weight, np.eye(6), atol=1e-6) and np.allclose(linear.bias, 0, atol=1e-6)


def test_the_map_stands_for_the_run_and_its_weights_are_gone(batches: list[dict[str, np.ndarray]]) -> None:
    graph = graph_of(blocks=3)
    stack = find_stack(graph)
    assert isinstance(stack, Stack)
    exact = Linear(np.eye(tiny_encoder.WIDTH, dtype=np.float32), np.zeros(tiny_encoder.WIDTH, np.float32))
    made = shorten(graph, stack, Run(1, 3), exact)
    onnx.checker.check_model(made.to_bytes())
    assert not [name for name in made.weights if name.startswith(("b1_", "b2_"))]
    assert "b1_q_w" in graph.weights
    got = observe(made, [made.outputs[0], "b0_norm2"], batches, 1)
    for one in got:
        rows = one["b0_norm2"].mean(axis=0)
        assert np.allclose(one["embedding"][0], rows / np.linalg.norm(rows), atol=1e-5)


def test_the_fitted_map_is_nearer_than_leaving_the_run_out(batches: list[dict[str, np.ndarray]]) -> None:
    graph = graph_of(blocks=3)
    stack = find_stack(graph)
    assert isinstance(stack, Stack)
    run, linear, error = best_run(graph, stack, 1, batches, 1)
    plain = Linear(np.eye(tiny_encoder.WIDTH, dtype=np.float32), np.zeros(tiny_encoder.WIDTH, np.float32))

    def missed(given: Linear) -> float:
        wanted, got = (observe(one, ["embedding"], batches, 1) for one in (graph, shorten(graph, stack, run, given)))
        return sum(float(np.sum((a["embedding"] - b["embedding"]) ** 2)) for a, b in zip(wanted, got, strict=True))

    assert missed(linear) < missed(plain)  # the saboteur: a run that is cut out without a map
    assert 0 < error < 1


def test_dropping_is_a_pass_with_words(tmp_path: Path, batches: list[dict[str, np.ndarray]]) -> None:
    graph = graph_of(blocks=3)
    recipe = Recipe("blocks2", "fp32", (Step("drop_blocks", {"drop": 1}),), "")
    said = apply(recipe, graph, workshop(graph, batches), tmp_path / "m.onnx")
    assert "of 3 blocks" in said[0] and "left out for a linear map" in said[0]
    assert (tmp_path / "m.onnx").stat().st_size < 0.85 * len(graph.to_bytes())


@pytest.mark.parametrize("drop", [3, 4])
def test_all_blocks_cannot_go(tmp_path: Path, batches: list[dict[str, np.ndarray]], drop: int) -> None:
    graph = graph_of(blocks=3)
    recipe = Recipe("none", "fp32", (Step("drop_blocks", {"drop": drop}),), "")
    with pytest.raises(ModelError, match=f"{drop} of its 3 blocks cannot be left out"):
        apply(recipe, graph, workshop(graph, batches), tmp_path / "m.onnx")


@pytest.mark.parametrize("option", [{}, {"drop": 0}, {"drop": "1"}, {"drop": True}])
def test_an_odd_count_is_refused(option: dict[str, object]) -> None:
    with pytest.raises(UsageError, match="drop must be a count"):
        PASSES["drop_blocks"].requires(graph_of(), option)  # type: ignore[arg-type]


def test_the_first_tokens_are_what_a_shorter_text_gives(tmp_path: Path, batches: list[dict[str, np.ndarray]]) -> None:
    graph = graph_of()
    recipe = Recipe("first6", "fp32", (Step("first_tokens", {"tokens": 6}),), "")
    apply(recipe, graph, workshop(graph, batches), tmp_path / "m.onnx")
    cut = observe(Graph.load(tmp_path / "m.onnx"), ["embedding"], batches, 1)
    short = [{name: value[:, :6] for name, value in batch.items()} for batch in batches]
    wanted = observe(graph, ["embedding"], short, 1)
    for one, other in zip(cut, wanted, strict=True):
        assert np.allclose(one["embedding"], other["embedding"], atol=1e-6)


def test_an_image_network_has_no_first_tokens() -> None:
    assert "is not whole numbers" in str(PASSES["first_tokens"].requires(Graph(encoders.encoder()), {"tokens": 4}))


def test_seven_bits_of_weights_do_not_saturate(tmp_path: Path, batches: list[dict[str, np.ndarray]]) -> None:
    graph = graph_of()
    largest = {}
    for bits in (7, 8):
        recipe = Recipe("d", "int8", (Step("dynamic_int8", {"weight_bits": bits}),), "")
        apply(recipe, graph, workshop(graph, batches), tmp_path / f"{bits}.onnx")
        made = Graph.load(tmp_path / f"{bits}.onnx")
        largest[bits] = max(int(np.abs(w.astype(int)).max()) for w in made.weights.values() if w.dtype == np.int8)
    assert largest[7] <= 64 < largest[8]
    with pytest.raises(UsageError, match="weight_bits must be 7 or 8"):
        PASSES["dynamic_int8"].requires(graph, {"weight_bits": 6})

