"""fp16 and bf16: the schemas decide, borders keep their types, what fp16 cannot hold stays wide and is named."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import TensorProto
from onnx.reference import ReferenceEvaluator

from encoders import close, encoder, layer_norm, linear, tokens
from nets import SIDE, Net, bare_workshop, images, residual_graph, residual_net, run
from shoestring.base.errors import ModelError, UsageError
from shoestring.base.outputs import sqnr_db
from shoestring.compress.apply import apply
from shoestring.compress.graph import Graph
from shoestring.compress.passes import PASSES, Workshop
from shoestring.compress.passes import half as half_pass
from shoestring.domain.recipe import Recipe, Step

X = tokens(8)
PICTURES = images(8)
BENCH = bare_workshop([{"x": X[:4]}])
PICTURE_BENCH = bare_workshop([{"image": PICTURES[:4]}])


def half(graph: Graph, bench: Workshop = BENCH, **options: object) -> tuple[Graph, tuple[str, ...]]:
    made, notes = PASSES["half"].run(graph, options, bench)
    onnx.checker.check_model(made.to_bytes(), full_check=True)
    assert PASSES["half"].ensures(made, options) is None
    return made, notes


@pytest.mark.parametrize("form", ["operator", "decomposed"])
def test_fp16_of_an_encoder(form: str) -> None:
    graph = Graph(encoder(form))
    exact = run(graph.to_bytes(), X)
    made, notes = half(graph, kind="fp16")
    answer = run(made.to_bytes(), X)
    assert answer.dtype == np.float32
    assert sqnr_db(exact, answer) > 40
    assert notes[0].endswith("operators in fp16")
    used = {name for node in made.nodes for name in node.input}
    assert not [name for name in used if name in made.weights and made.weights[name].dtype == np.float32]


def test_fp16_of_a_convolutional_network_halves_the_file() -> None:
    graph = residual_graph()
    exact, size = run(graph.to_bytes(), PICTURES), len(graph.to_bytes())
    made, _ = half(graph, PICTURE_BENCH, kind="fp16")
    assert sqnr_db(exact, run(made.to_bytes(), PICTURES)) > 40
    weights = sum(value.nbytes for value in made.weights.values() if value.dtype == np.float16)
    assert weights > 0.45 * sum(value.nbytes for value in Graph(residual_net()).weights.values())
    assert len(made.to_bytes()) < size + 1500  # what is left is names and casts


def test_narrow_borders() -> None:
    graph = Graph(encoder())
    exact = run(graph.to_bytes(), X)
    made, _ = half(graph, kind="fp16", keep_io_types=False)
    types = [value.type.tensor_type.elem_type for value in (*made.proto.graph.input, *made.proto.graph.output)]
    assert types == [TensorProto.FLOAT16] * 2
    assert not [node for node in made.nodes if node.op_type == "Cast"]
    answer = run(made.to_bytes(), X.astype(np.float16))
    assert answer.dtype == np.float16
    assert sqnr_db(exact, answer.astype(np.float32)) > 40


def test_bf16_by_the_reference_implementation() -> None:
    net = Net(1)
    hidden = net.node("Relu", [linear(net, "x", "up", 32, 32)], "hidden")
    pooled = net.node("ReduceMean", [hidden], "pooled", axes=[1], keepdims=0)
    linear(net, pooled, "logits", 32, 10, gemm=True)
    graph = Graph(close(net))
    exact = run(graph.to_bytes(), X)
    made, _ = half(graph, kind="bf16")
    (answer,) = ReferenceEvaluator(onnx.load_model_from_string(made.to_bytes())).run(None, {"x": X})
    assert answer.dtype == np.float32
    assert 25 < sqnr_db(exact, answer) < 60  # eight bits of mantissa, and it is really used


def test_convolutions_have_no_bf16_before_opset_22() -> None:
    made, notes = half(residual_graph(), PICTURE_BENCH, kind="bf16")
    assert any("Conv (4)" in note or "Conv (5)" in note for note in notes)
    assert all(made.weights[node.input[1]].dtype == np.float32 for node in made.nodes if node.op_type == "Conv")


def large(size: float) -> Graph:
    """A tensor between two products that reaches `size` times what comes in."""
    net = Net(2)
    y = net.node("Mul", [layer_norm(net, "x", "y", "operator"), net.constant("gain", np.float32(size))], "grown")
    z = net.node("Mul", [y, net.constant("loss", np.float32(1 / size))], "shrunk")
    linear(net, net.node("ReduceMean", [z], "pooled", axes=[1], keepdims=0), "logits", 32, 10, gemm=True)
    return Graph(close(net))


def test_what_overflows_stays_wide_and_is_named() -> None:
    graph = large(2000.0)
    exact = run(graph.to_bytes(), X)
    made, notes = half(graph, kind="fp16")
    assert sqnr_db(exact, run(made.to_bytes(), X)) > 40
    told = next(note for note in notes if "cannot hold" in note)
    assert "n_grown" in told and "n_shrunk" in told and "n_logits" not in told


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_without_the_check_it_overflows(monkeypatch) -> None:
    monkeypatch.setattr(half_pass, "_out_of_range", lambda *_: {})
    made, _ = half(large(2000.0), kind="fp16")
    (answer,) = ReferenceEvaluator(onnx.load_model_from_string(made.to_bytes())).run(None, {"x": X})
    assert not np.isfinite(answer).all()


@pytest.mark.parametrize(("value", "words"), [(-3.0e38, "constant of 3e+38"), (1e-9, "would become 0")])
def test_constants_that_fp16_cannot_hold(value: float, words: str) -> None:
    net = Net(2)
    y = net.node("Max", ["x", net.constant("edge", np.float32(value))], "y")
    linear(net, net.node("ReduceMean", [y], "pooled", axes=[1], keepdims=0), "logits", 32, 10, gemm=True)
    _, notes = half(Graph(close(net)), kind="fp16")
    assert any("n_y" in note and words in note for note in notes)


def test_named_layers_stay() -> None:
    made, notes = half(Graph(encoder()), kind="fp16", float_layers=("n_att_q_product",))
    assert next(node for node in made.nodes if node.name == "n_att_q_product").input[1] == "att_q_w"
    assert any("by name: n_att_q_product" in note for note in notes)


def test_resize_keeps_its_scales_in_fp32() -> None:
    net = Net()
    x = net.conv("image", "conv", 3, 4)
    roi, scales = net.constant("roi", np.zeros(0, np.float32)), net.constant("s", np.array([1, 1, 2, 2], np.float32))
    net.node("Resize", [x, roi, scales], "logits", mode="nearest")
    graph = Graph(net.model(["N", 3, SIDE, SIDE], ["N", 4, 2 * SIDE, 2 * SIDE]))
    exact = run(graph.to_bytes(), PICTURES)
    made, _ = half(graph, PICTURE_BENCH, kind="fp16")
    assert next(node for node in made.nodes if node.op_type == "Resize").input[2] == "s"
    assert sqnr_db(exact, run(made.to_bytes(), PICTURES)) > 40


def test_shared_tensors_are_cast_once() -> None:
    net = Net(4)
    parts = [linear(net, "x", f"part{i}", 32, 32) for i in range(3)]
    both = net.node("Sum", parts, "both")
    linear(net, net.node("ReduceMean", [both], "pooled", axes=[1], keepdims=0), "logits", 32, 10, gemm=True)
    made, _ = half(Graph(close(net)), kind="fp16")
    assert [node.op_type for node in made.nodes].count("Cast") == 2


def test_transposes_that_are_measured_stay_wide() -> None:
    net = Net(4)
    turned = net.node("Transpose", [net.node("Add", ["x", "x"], "twice")], "turned", perm=[1, 0, 2])
    back = net.node("Transpose", [linear(net, turned, "up", 32, 32)], "back", perm=[1, 0, 2])
    same = net.node("Reshape", [back, net.node("Shape", ["x"], "shape_x")], "same")
    count = net.node("Shape", [turned], "count")
    wide = net.node("Gather", [count, net.constant("first", np.array([0], np.int64))], "tokens")
    total = net.node("Cast", [wide], "tokens_float", to=TensorProto.FLOAT)
    pooled = net.node("ReduceMean", [net.node("Div", [same, total], "scaled")], "pooled", axes=[1], keepdims=0)
    linear(net, pooled, "logits", 32, 10, gemm=True)
    graph = Graph(close(net))
    exact = run(graph.to_bytes(), X)
    made, notes = half(graph, kind="fp16")
    assert any("crash" in note and "n_turned" in note and "n_back" not in note for note in notes)
    assert sqnr_db(exact, run(made.to_bytes(), X)) > 40


def test_refusals(tmp_path) -> None:
    with pytest.raises(UsageError, match="fp12"):
        PASSES["half"].requires(Graph(encoder()), {"kind": "fp12"})
    recipe = Recipe("r", "fp16", (Step("half", {"kind": "fp16", "float_layers": ("nothing",)}),), "test")
    with pytest.raises(ModelError, match="nothing"):
        apply(recipe, Graph(encoder()), BENCH, tmp_path / "m.onnx")
