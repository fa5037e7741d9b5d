"""4-bit weights: moments are those of real products, layers are rounded on what precedes them, limits hold."""

from __future__ import annotations

import numpy as np
import pytest

from encoders import encoder, tokens
from nets import Net, bare_workshop, images, residual_graph, run
from shoestring.base.errors import ModelError, UsageError
from shoestring.base.outputs import sqnr_db
from shoestring.compress import narrow
from shoestring.compress.apply import apply
from shoestring.compress.bias import first_examples, float_means
from shoestring.compress.candidates_matrix import narrow_recipe
from shoestring.compress.grams import from_rows, moments, weight_rows
from shoestring.compress.graph import Graph
from shoestring.compress.observe import value_ranges
from shoestring.compress.passes import PASSES, Workshop
from shoestring.compress.quantize import needed_ranges, to_qdq
from shoestring.compress.scheme import scheme_for, scheme_named, schemes
from shoestring.domain.recipe import Recipe, Step

X = images(64)


def feed():
    return ({"image": X[i : i + 16]} for i in range(0, 48, 16))


@pytest.fixture(scope="module")
def workshop() -> Workshop:
    graph = residual_graph()
    batches = first_examples(feed, 48)
    return bare_workshop(
        batches, ranges=value_ranges(graph, feed, needed_ranges(graph)), means=float_means(graph, batches, 1)
    )


@pytest.mark.parametrize(
    ("groups", "stride", "dilation"), [(1, 1, 1), (1, 2, 1), (2, 1, 1), (4, 1, 1), (4, 2, 1), (1, 1, 2)]
)
def test_moments_predict_the_output_of_a_convolution(groups: int, stride: int, dilation: int) -> None:
    net = Net(2)
    net.conv("image", "mixed", 3, 4)
    net.conv("mixed", "logits", 4, 8, groups=groups)
    attributes = {"strides": [stride] * 2, "dilations": [dilation] * 2, "pads": [1, 1, 1, 1], "group": groups}
    net.nodes.pop()
    net.node("Conv", ["mixed", "logits_w", "logits_b"], "logits", **attributes)
    model = net.model(["N", 3, 16, 16], ["N", 8, "h", "w"])
    seen = run(_with_output(model, "mixed"), X[:8])
    outputs = run(model.SerializeToString(), X[:8])
    weight = net.weights["logits_w"]
    node = net.nodes[-1]
    facts = moments(node, weight.shape, [seen], [outputs], seed=0, max_samples=10_000)
    rows = weight_rows(node, weight)
    each = 8 // groups
    by_weight = np.concatenate([rows[g * each : (g + 1) * each] @ facts.gram[g] for g in range(groups)])
    assert np.allclose(facts.cross, by_weight, atol=1e-3)
    mean = np.sum(rows * np.repeat(facts.input_mean, each, axis=0), axis=1) + net.weights["logits_b"]
    assert np.allclose(mean, facts.target_mean, atol=1e-3)
    assert np.array_equal(from_rows(node, rows, weight.shape), weight)


def _with_output(model, name: str) -> bytes:
    cut = Graph(model).copy()
    cut.proto.graph.output[0].name = name
    return cut.to_bytes()


@pytest.mark.parametrize("trans", [0, 1])
def test_moments_of_a_product(trans: int) -> None:
    rng = np.random.default_rng(0)
    x, weight = rng.normal(0, 1, (50, 6)).astype(np.float32), rng.normal(0, 1, (6, 3)).astype(np.float32)
    net = Net()
    stored = weight.T.copy() if trans else weight
    net.node("Gemm", ["x", net.constant("w", stored)], "y", transB=trans)
    facts = moments(net.nodes[0], stored.shape, [x], [x @ weight], seed=0)
    rows = weight_rows(net.nodes[0], stored)
    assert np.allclose(rows, weight.T)
    assert np.allclose(facts.cross, rows @ facts.gram[0], atol=1e-4)
    assert np.array_equal(from_rows(net.nodes[0], rows, stored.shape), stored)


def test_it_is_nearer_than_nearest_rounding(workshop: Workshop) -> None:
    graph = residual_graph()
    exact = run(graph.to_bytes(), X)
    plain = to_qdq(graph, workshop.ranges, scheme_named("u8s4"), frozenset())
    made, notes = PASSES["narrow_weights"].run(graph, {"scheme": "u8s4"}, workshop)
    assert sqnr_db(exact, run(made.to_bytes(), X)) > sqnr_db(exact, run(plain.to_bytes(), X)) + 3
    assert "6 layers (1 of them grouped) with weights of 4 bits" in notes[0]
    for name, value in made.weights.items():
        if name.endswith(narrow.WEIGHT):
            assert value.dtype == np.int8 and np.abs(value).max() <= 7


def test_the_recipe_runs_whole_and_is_deterministic(tmp_path, workshop: Workshop) -> None:
    for name in ("a", "b"):
        notes = apply(narrow_recipe(scheme_named("u8s7")), residual_graph(), workshop, tmp_path / f"{name}.onnx")
    assert (tmp_path / "a.onnx").read_bytes() == (tmp_path / "b.onnx").read_bytes()
    exact = run(residual_graph().to_bytes(), X)
    assert sqnr_db(exact, run((tmp_path / "a.onnx").read_bytes(), X)) > 15
    assert any("biases corrected" in note for note in notes)


def test_named_layers_stay_in_float(workshop: Workshop) -> None:
    options = {"scheme": "u8s4", "float_layers": ("n_stem",)}
    made, _ = PASSES["narrow_weights"].run(residual_graph(), options, workshop)
    assert next(node for node in made.nodes if node.name == "n_stem").input[1] == "stem_w"
    assert PASSES["narrow_weights"].ensures(made, options) is None


def test_weights_beyond_their_bits_are_caught(tmp_path, workshop: Workshop, monkeypatch) -> None:
    def careless(rows, gram, limit, floor):
        return np.full(rows.shape, 9, np.int8), np.ones(len(rows))

    real = narrow.round_layers
    monkeypatch.setattr(
        "shoestring.compress.passes.narrow_weights.round_layers", lambda *args: real(*args, finder=careless)
    )
    recipe = Recipe("r", "int8", (Step("narrow_weights", {"scheme": "u8s4"}),), "test")
    with pytest.raises(ModelError, match=r"beyond \+-7"):
        apply(recipe, residual_graph(), workshop, tmp_path / "m.onnx")
    assert not (tmp_path / "m.onnx").exists()


def test_products_without_bias_are_rounded_too() -> None:
    graph = Graph(encoder())
    x = tokens(16)
    batches = [{"x": x}]
    ranges = value_ranges(graph, lambda: iter(batches), needed_ranges(graph))
    made, _ = PASSES["narrow_weights"].run(graph, {"scheme": "s8s4"}, bare_workshop(batches, ranges=ranges))
    plain = to_qdq(graph, ranges, scheme_named("s8s4"), frozenset())
    exact = run(graph.to_bytes(), x)
    assert sqnr_db(exact, run(made.to_bytes(), x)) > sqnr_db(exact, run(plain.to_bytes(), x))


def test_wide_schemes_are_refused_and_narrow_ones_never_chosen() -> None:
    with pytest.raises(UsageError, match="u8s8"):
        PASSES["narrow_weights"].requires(residual_graph(), {"scheme": "u8s8"})
    for isa in ((), ("avx2",), ("avx512_vnni",), ("neon",)):
        assert not scheme_for(isa).by_recipe
    assert {row.name for row in schemes() if row.by_recipe} == {"u8s4", "s8s4"}
    assert narrow_recipe(scheme_named("s8s8")).steps[1].options["scheme"] == "s8s4"


def test_a_one_dimensional_convolution_is_refused() -> None:
    net = Net()
    weight = net.constant("w", np.ones((4, 3, 5), np.float32))
    net.node("Conv", ["image", weight], "logits")
    graph = Graph(net.model(["N", 3, 16], ["N", 4, 12]))
    assert "3 dimensions" in (PASSES["narrow_weights"].requires(graph, {"scheme": "u8s4"}) or "")
