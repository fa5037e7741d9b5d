"""Whole graphs: what is brought over, what is taken back, and what stays refused."""

from __future__ import annotations

import numpy as np
import pytest

from nets import Net
from rewriting import graph
from shoestring.base.errors import ModelError, UsageError
from shoestring.chips.loading import chip_named
from shoestring.compress.graph import Graph
from shoestring.legalise import asked_target, legalise, plan
from shoestring.legalise.apply import MAX_ROUNDS
from shoestring.legalise.same import check_same, random_feeds

CORAL = asked_target(chip_named("coral-dev-board"))
NANO = asked_target(chip_named("jetson-nano-4gb"))
ORIN = asked_target(chip_named("jetson-orin-nano-8gb"))


def operators(made: Graph) -> list[str]:
    return [node.op_type for node in made.nodes]


def same(before: Graph, after: Graph) -> None:
    check_same(before, after, random_feeds(before, 2))


def test_a_chain_of_rewrites_ends_where_the_chip_is() -> None:
    source = graph([("HardSwish", ["x"], ["y"], {})], {}, (1, 4, 5, 5))
    nano, coral = legalise(source, NANO), legalise(source, CORAL)
    assert operators(nano.graph) == ["HardSigmoid", "Mul"] and operators(coral.graph) == ["Add", "Clip", "Mul", "Mul"]
    sigmoid = graph([("HardSwish", ["x"], ["h"], {}), ("Abs", ["h"], ["y"], {})], {}, (1, 4, 5, 5))
    assert [one.rewrite for one in legalise(sigmoid, CORAL).done] == ["hardswish-as-clip", "abs-as-max"]
    for legal in (nano, coral):
        same(source, legal.graph)
    assert operators(source) == ["HardSwish"], "the source is as it was"


def test_what_is_legal_stays() -> None:
    source = graph([("Relu", ["x"], ["a"], {}), ("MaxPool", ["a"], ["y"], {"kernel_shape": [2, 2]})], {}, (1, 4, 6, 6))
    assert legalise(source, CORAL).done == ()


def test_a_rewrite_that_brings_nothing_over_is_taken_back() -> None:
    """A cubic grid is none of TensorFlow Lite's; a batch of two is refused under any shape."""
    sizes = {"s": np.array([1, 4, 10, 10], np.int64)}
    attrs = {"mode": "cubic", "coordinate_transformation_mode": "half_pixel"}
    source = graph([("Resize", ["x", "", "", "s"], ["r"], attrs), ("Abs", ["r"], ["y"], {})], sizes, (1, 4, 5, 5))
    legal = legalise(source, CORAL)
    assert operators(legal.graph) == ["Resize", "Mul", "Max"] and [one.rewrite for one in legal.done] == ["abs-as-max"]
    three = graph([("Squeeze", ["x", "a"], ["y"], {})], {"a": np.array([1], np.int64)}, (2, 1, 4, 4))
    assert legalise(three, CORAL).done == (), "a batch of 2 stays refused whatever the reshape"


def test_leaky_yolo_block_is_mapped_whole_only_after_its_rewrites() -> None:
    net = Net(3)
    x = net.node("LeakyRelu", [net.conv("image", "c1", 3, 8)], "l1", alpha=0.1)
    x = net.node("MaxPool", [x], "p1", kernel_shape=[2, 2], strides=[2, 2])
    x = net.node("LeakyRelu", [net.conv(x, "c2", 8, 8)], "logits", alpha=0.1)
    source = Graph(net.model([1, 3, 16, 16], [1, 8, 8, 8], x))
    before, legal = plan(source, CORAL), legalise(source, CORAL)
    assert [one.operator for one in before.mapped] == ["Conv"] and before.first_outside is not None
    assert before.first_outside.cures == ("leaky-as-max",)
    after = plan(legal.graph, CORAL)
    assert len(after.mapped) == len(after.operators) == 7 and not after.crossings
    same(source, legal.graph)


def test_the_jetson_gets_set_13_and_32_bit_indices() -> None:
    weights = {"b": np.array([0, 1], np.int64), "e": np.array([2**62, 5], np.int64), "a": np.array([2, 3], np.int64)}
    weights["r"] = np.array([2, 3], np.int64)
    nodes = [("Slice", ["x", "b", "e", "a"], ["s"], {}), ("ReduceMean", ["s", "r"], ["y"], {"keepdims": 0})]
    source = graph(nodes, weights, (1, 3, 6, 6))
    legal = legalise(source, NANO)
    assert legal.graph.opset == 13 and legal.graph.proto.ir_version == 7
    assert legal.notes == ("indices of 1 operators in 32 bits", "operator set lowered from 18 to 13")
    stored = [legal.graph.weights[name] for name in legal.graph.nodes[0].input[1:]]
    assert {one.dtype for one in stored} == {np.dtype(np.int32)}
    same(source, legal.graph)
    assert not plan(legal.graph, NANO).refused and plan(source, NANO).refused


def test_layer_normalisation_and_gelu_reach_tensorrt_8_2() -> None:
    weights = {"s": np.linspace(0.5, 1.5, 6).astype(np.float32)}
    nodes = [("LayerNormalization", ["x", "s"], ["n"], {"axis": -1}), ("Gelu", ["n"], ["y"], {})]
    source = graph(nodes, weights, (1, 5, 6), opset=20)
    legal = legalise(source, NANO)
    assert not plan(legal.graph, NANO).refused
    assert {"LayerNormalization", "Gelu"}.isdisjoint(operators(legal.graph))
    same(source, legal.graph)


def test_silu_is_kept_unless_its_replacement_is_asked_for() -> None:
    source = graph([("Sigmoid", ["x"], ["s"], {}), ("Mul", ["x", "s"], ["y"], {})], {}, (1, 4, 5, 5))
    assert legalise(source, CORAL).done == ()
    replaced = legalise(source, CORAL, replace=("silu-as-hardswish",))
    assert operators(replaced.graph) == ["Add", "Clip", "Mul", "Mul"] and replaced.done[0].exact == "no"
    with pytest.raises(ModelError, match="differs by"):
        same(source, replaced.graph)
    with pytest.raises(UsageError, match="no rewrite 'faster'"):
        legalise(source, CORAL, replace=("faster",))


def test_rounds_end() -> None:
    """GlobalAveragePool and ReduceMean have each a rewrite to the other; the list decides which is wanted."""
    source = graph([("GlobalAveragePool", ["x"], ["y"], {})], {}, (1, 3, 6, 6))
    for target in (CORAL, NANO, ORIN):
        assert len(legalise(source, target).done) <= MAX_ROUNDS


def test_a_quantized_graph_is_not_rewritten() -> None:
    weights = {"s": np.float32(0.1), "z": np.uint8(128)}
    nodes = [("QuantizeLinear", ["x", "s", "z"], ["q"], {}), ("DequantizeLinear", ["q", "s", "z"], ["y"], {})]
    source = graph(nodes, weights, (1, 3, 6, 6))
    with pytest.raises(ModelError, match="quantized") as refused:
        legalise(source, CORAL)
    assert "float model" in str(refused.value.hint)


def test_a_chip_without_a_list_is_refused() -> None:
    with pytest.raises(UsageError, match="no accelerator"):
        asked_target(chip_named("raspberry-pi-4b-4gb"))
