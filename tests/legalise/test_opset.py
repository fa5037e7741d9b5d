"""Down to operator set 13: the same answers, and a refusal by name of what has no older form."""

from __future__ import annotations

import numpy as np
import onnx
import pytest

import networks
from encoders import encoder, tokens
from rewriting import filled, graph
from shoestring.base.errors import ModelError
from shoestring.compress.graph import Graph
from shoestring.legalise.opset import lower_opset
from shoestring.legalise.same import check_same, compare, random_feeds

I64 = {"p": np.array([1, 1, 1, 1], np.int64), "a": np.array([2, 3], np.int64), "e": np.array([], np.int64)}


def halves(axis: int) -> list:
    """Two parts in the other order."""
    split = ("Split", ["x"], ["b", "c"], {"num_outputs": 2, "axis": axis})
    return [split, ("Concat", ["c", "b"], ["y"], {"axis": axis})]


CASES = {
    "mean": [("ReduceMean", ["x", "a"], ["y"], {"keepdims": 0})],
    "mean of all": [("ReduceMean", ["x"], ["y"], {})],
    "largest": [("ReduceMax", ["x", "a"], ["y"], {})],
    "sum": [("ReduceSum", ["x", "a"], ["y"], {})],
    "pad two axes": [("Pad", ["x", "p", "", "a"], ["y"], {})],
    "split": halves(-1),
    "uneven split": halves(1),
    "resize": [("Resize", ["x", "", "r"], ["y"], {"axes": [2, 3], "mode": "linear"})],
    "resize to sizes": [("Resize", ["x", "", "", "z"], ["y"], {"axes": [3, 2], "mode": "nearest"})],
    "average": [("AveragePool", ["x"], ["y"], {"kernel_shape": [2, 2], "dilations": [1, 1]})],
    "cast": [("Cast", ["x"], ["i"], {"to": 7}), ("Cast", ["i"], ["y"], {"to": 1, "saturate": 1})],
    "reshape": [("Reshape", ["x", "p4"], ["y"], {"allowzero": 0})],
}
ROUNDING = 2e-7
"""ONNX Runtime has one kernel for pools with dilations and another for those without."""

WEIGHTS = {
    **I64,
    "r": np.float32([2, 1.5]),
    "z": np.array([7, 9], np.int64),
    "p4": np.array([0, -1], np.int64),
}


def build(nodes: list, opset: int) -> Graph:
    used = {name for _, ins, _, _ in nodes for name in ins}
    return graph(nodes, {name: value for name, value in WEIGHTS.items() if name in used}, (1, 5, 4, 6), opset=opset)


@pytest.mark.parametrize("opset", [18, 20])
@pytest.mark.parametrize("case", CASES)
def test_an_operator_in_its_older_form(case: str, opset: int) -> None:
    if opset == 18 and case in ("average", "cast"):
        opset = 19
    source = build(CASES[case], opset)
    made = source.copy()
    assert lower_opset(made, 13) == f"operator set lowered from {opset} to 13"
    assert made.opset == 13 and made.proto.ir_version == 7
    onnx.checker.check_model(onnx.ModelProto.FromString(made.to_bytes()), full_check=True)
    found = compare(source, made, random_feeds(source, 2))
    assert found.identical or (case == "average" and found.largest < ROUNDING)


@pytest.mark.parametrize(
    ("nodes", "words"),
    [
        ([("LayerNormalization", ["x", "w"], ["y"], {})], "no LayerNormalization"),
        ([("AveragePool", ["x"], ["y"], {"kernel_shape": [2, 2], "dilations": [2, 2]})], r"no dilations=\[2, 2\]"),
        ([("Resize", ["x", "", "r4"], ["y"], {"antialias": 1, "mode": "linear"})], "no antialias=1"),
        ([("Reshape", ["x", "p4"], ["y"], {"allowzero": 1})], "no allowzero=1"),
        ([("Pad", ["x", "p8"], ["y"], {"mode": "wrap"})], "no mode='wrap'"),
        ([("ReduceMean", ["x", "e"], ["y"], {"noop_with_empty_axes": 1})], "reduces nothing"),
    ],
)
def test_what_has_no_older_form_is_refused_by_name(nodes: list, words: str) -> None:
    more = {"w": np.ones(6, np.float32), "r4": np.float32([1, 1, 0.5, 0.5]), "p8": np.array([0, 0, 1, 1] * 2, np.int64)}
    more |= {"p4": np.array([1, 120], np.int64), "e": I64["e"]}
    used = {name for _, ins, _, _ in nodes for name in ins}
    source = graph(nodes, {name: more[name] for name in used if name in more}, (1, 5, 4, 6), opset=20)
    with pytest.raises(ModelError, match=words):
        lower_opset(source, 13)


@pytest.mark.parametrize("name", ["mobilenet_v2", "shufflenet_v2", "efficientnet_b0"])
def test_whole_networks(name: str) -> None:
    source = filled(getattr(networks, name)())
    made = source.copy()
    lower_opset(made, 13)
    check_same(source, made, random_feeds(source, 1))


def test_an_encoder_in_its_spelled_out_form() -> None:
    source = Graph(encoder("decomposed"))
    made = source.copy()
    lower_opset(made, 13)
    feed = {source.inputs[0]: tokens(1)}
    check_same(source, made, [feed])


def test_a_wrong_older_form_is_caught() -> None:
    """The saboteur: axes left behind as an input would be an error; axes of another number another mean."""
    source = build(CASES["mean"], 18)
    made = source.copy()
    lower_opset(made, 13)
    (node,) = made.nodes
    axes = next(item for item in node.attribute if item.name == "axes")
    axes.ints[:] = [1, 2]
    with pytest.raises(ModelError, match=r"has shape|differs by"):
        check_same(source, made, random_feeds(source, 1))
