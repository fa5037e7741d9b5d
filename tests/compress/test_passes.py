"""Passes do what they state, and `apply` catches one that does not."""

from __future__ import annotations

import numpy as np
import onnx
import pytest

from nets import Net, images, make_workshop, residual_graph, residual_net, run
from saturation import needs_exact_products
from shoestring.base.errors import ModelError, UsageError
from shoestring.base.outputs import sqnr_db
from shoestring.compress.apply import apply
from shoestring.compress.candidates import dynamic_recipes, float_recipes, static_recipes
from shoestring.compress.graph import Graph
from shoestring.compress.passes import PASSES, Workshop
from shoestring.compress.passes.lower_mean import LowerMean
from shoestring.compress.passes.static_int8 import StaticInt8
from shoestring.compress.scheme import scheme_named
from shoestring.domain.evidence import Sensitivity
from shoestring.domain.recipe import Recipe, Step

X = images(32)


@pytest.fixture(scope="module")
def workshop() -> Workshop:
    return make_workshop(residual_graph(), X)


def static(**options: object) -> Recipe:
    return Recipe("r", "int8", (Step("lower_mean", {}), Step("static_int8", {"scheme": "u8s8", **options})), "test")


@pytest.mark.parametrize("keepdims", [0, 1])
@pytest.mark.parametrize("opset", [17, 18])
def test_lower_mean_keeps_the_function(keepdims: int, opset: int) -> None:
    net = Net()
    x = net.conv("image", "conv", 3, 4)
    if opset == 17:
        net.node("ReduceMean", [x], "logits", axes=[2, 3], keepdims=keepdims)
    else:
        axes = net.constant("axes", np.array([-2, -1], np.int64))
        net.node("ReduceMean", [x, axes], "logits", keepdims=keepdims)
    shape = ["N", 4, 1, 1] if keepdims else ["N", 4]
    model = onnx.helper.make_model(
        net.model(["N", 3, 16, 16], shape).graph if opset == 18 else _graph17(net, shape),
        opset_imports=[onnx.helper.make_opsetid("", opset)],
        ir_version=9,
    )
    model = onnx.shape_inference.infer_shapes(model)
    lowered, said = LowerMean().run(Graph(model), {})
    assert [node.op_type for node in lowered.nodes if node.op_type == "ReduceMean"] == []
    assert said
    assert np.allclose(run(lowered.to_bytes(), X), run(model.SerializeToString(), X), atol=1e-5)


def _graph17(net: Net, shape: list[object]) -> onnx.GraphProto:
    info = onnx.helper.make_tensor_value_info
    weights = [onnx.numpy_helper.from_array(np.asarray(value), name) for name, value in net.weights.items()]
    inputs = [info("image", onnx.TensorProto.FLOAT, ["N", 3, 16, 16])]
    return onnx.helper.make_graph(net.nodes, "net", inputs, [info("logits", onnx.TensorProto.FLOAT, shape)], weights)


def test_lower_mean_leaves_other_means_alone() -> None:
    net = Net()
    axes = net.constant("axes", np.array([1], np.int64))
    net.node("ReduceMean", ["image", axes], "logits", keepdims=1)
    graph, said = LowerMean().run(Graph(net.model(["N", 3, 16, 16], ["N", 1, 16, 16])), {})
    assert [node.op_type for node in graph.nodes] == ["ReduceMean"]
    assert said == ()


def test_fp16_weights_halve_the_file(tmp_path, workshop: Workshop) -> None:
    net = Net()
    x = net.conv("image", "conv", 3, 64, kernel=5)
    axes = net.constant("axes", np.array([2, 3], np.int64))
    net.gemm(net.node("ReduceMean", [x, axes], "mean", keepdims=0), "logits", 64, 50)
    model = net.model(["N", 3, 16, 16], ["N", 50])
    graph = Graph(model)
    apply(float_recipes()[1], graph, workshop, tmp_path / "fp16.onnx")
    data = (tmp_path / "fp16.onnx").read_bytes()
    assert len(data) < 0.6 * len(graph.to_bytes())
    assert sqnr_db(run(graph.to_bytes(), X), run(data, X)) > 50


def test_fp16_refuses_what_it_cannot_hold(tmp_path, workshop: Workshop) -> None:
    graph = residual_graph()
    graph.weights["expand_w"] = np.full((16, 32, 1, 1), 1e6, np.float32)
    with pytest.raises(ModelError, match=r"expand_w.*1e\+06"):
        apply(float_recipes()[1], graph, workshop, tmp_path / "fp16.onnx")
    assert not (tmp_path / "fp16.onnx").exists()


def test_dynamic_int8_for_matrix_products(tmp_path, workshop: Workshop) -> None:
    net = Net()
    flat = net.node("Flatten", ["image"], "flat")
    hidden = net.node("Relu", [net.gemm(flat, "hidden", 768, 64)], "act")
    net.gemm(hidden, "logits", 64, 5)
    graph = Graph(net.model(["N", 3, 16, 16], ["N", 5]))
    (recipe,) = dynamic_recipes(graph)
    apply(recipe, graph, workshop, tmp_path / "dynamic.onnx")
    assert sqnr_db(run(graph.to_bytes(), X), run((tmp_path / "dynamic.onnx").read_bytes(), X)) > 25


def test_dynamic_int8_is_not_tried_on_convolutions() -> None:
    assert dynamic_recipes(residual_graph()) == ()


@needs_exact_products
def test_static_recipes_run_and_are_deterministic(tmp_path, workshop: Workshop) -> None:
    worst = tuple(Sensitivity(name, "Conv", kl, 20.0) for name, kl in (("n_stem", 0.5), ("n_expand", 0.1)))
    graph = Graph(residual_net())
    for recipe in static_recipes(
        scheme_named("u8s8"), worst, [("n_stem",), ("n_stem", "n_expand"), ("n_expand",)], drift=True
    ):
        notes = apply(recipe, graph, workshop, tmp_path / "one.onnx")
        apply(recipe, graph, workshop, tmp_path / "two.onnx")
        assert (tmp_path / "one.onnx").read_bytes() == (tmp_path / "two.onnx").read_bytes()
        assert any("8 bits" in note for note in notes)
        kept = next(step for step in recipe.steps if step.name == "static_int8").options["float_layers"]
        assert bool(kept) == any("left in float" in note for note in notes)
        found = run((tmp_path / "one.onnx").read_bytes(), X)
        assert sqnr_db(run(graph.to_bytes(), X), found) > 25


def test_a_pass_that_breaks_its_promise_is_caught(tmp_path, workshop: Workshop, monkeypatch) -> None:
    class Lazy(StaticInt8):
        """Says it quantizes everything, and leaves the stem in float."""

        def run(self, graph, options, workshop):
            return super().run(graph, {**options, "float_layers": ("n_stem",)}, workshop)

    monkeypatch.setitem(PASSES, "static_int8", Lazy())
    with pytest.raises(ModelError, match=r"static_int8 broke its promise.*n_stem"):
        apply(static(float_layers=()), Graph(residual_net()), workshop, tmp_path / "x.onnx")
    assert list(tmp_path.iterdir()) == []


def test_unknown_layers_and_passes_are_named(tmp_path, workshop: Workshop) -> None:
    graph = Graph(residual_net())
    with pytest.raises(ModelError, match="nobody"):
        apply(static(float_layers=("nobody",)), graph, workshop, tmp_path / "x.onnx")
    with pytest.raises(UsageError, match="sharpen"):
        apply(Recipe("r", "int8", (Step("sharpen", {}),), ""), graph, workshop, tmp_path / "x.onnx")


def test_a_quantized_model_is_refused(tmp_path, workshop: Workshop) -> None:
    apply(static(float_layers=()), Graph(residual_net()), workshop, tmp_path / "int8.onnx")
    again = Graph.load(tmp_path / "int8.onnx")
    assert "already" in str(StaticInt8().requires(again, {"scheme": "u8s8", "float_layers": ()}))


def test_bias_correction_needs_integer_biases(tmp_path, workshop: Workshop) -> None:
    with pytest.raises(ModelError, match="static_int8 goes first"):
        apply(
            Recipe("r", "int8", (Step("correct_bias", {}),), ""), Graph(residual_net()), workshop, tmp_path / "x.onnx"
        )
