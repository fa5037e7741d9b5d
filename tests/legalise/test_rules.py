"""Every limit of every published list has a node that keeps it and one that breaks it."""

from __future__ import annotations

import numpy as np
import pytest

from rewriting import graph
from shoestring.chips.operators import PARTINGS, operator_set, operator_sets
from shoestring.compress.graph import Graph
from shoestring.legalise.rules import RULES, broken
from shoestring.legalise.site import Site, look_at

IMAGE = (1, 4, 6, 6)
W = {"w": np.ones((4, 4, 3, 3), np.float32)}


def i64(*values: int) -> object:
    return np.array(values, np.int64)


def f32(*shape: int) -> object:
    return np.ones(shape, np.float32)


def conv(**attrs: object) -> Graph:
    return graph([("Conv", ["x", "w"], ["y"], attrs)], W, IMAGE)


def one(
    op: str, shape: tuple[int, ...] = IMAGE, *, ins: list[str] | None = None, weights: object = None, **attrs: object
) -> Graph:
    opset = attrs.pop("opset", 18)
    return graph([(op, ins or ["x"], ["y"], attrs)], weights or {}, shape, opset=opset)


def pool(op: str = "MaxPool", **attrs: object) -> Graph:
    return one(op, kernel_shape=[3, 3], **attrs)


def computed_weights() -> Graph:
    nodes = [("Reshape", ["x", "s"], ["v"], {}), ("Gemm", ["a", "v"], ["y"], {})]
    return graph(nodes, {"s": i64(4, 36), "a": f32(1, 4)}, IMAGE)


def resize(**attrs: object) -> Graph:
    return one("Resize", ins=["x", "", "s"], weights={"s": np.float32([1, 1, 2, 2])}, **attrs)


def slope(*shape: int) -> Graph:
    return one("PRelu", ins=["x", "s"], weights={"s": f32(*shape)})


def pad(value: float, pads: object, mode: str = "constant") -> Graph:
    return one("Pad", ins=["x", "p", "v"], weights={"p": pads, "v": np.float32(value)}, mode=mode)


def codes(zero: object) -> Graph:
    nodes = [("QuantizeLinear", ["x", "s", "z"], ["q"], {}), ("DequantizeLinear", ["q", "s", "z"], ["y"], {})]
    return graph(nodes, {"s": np.float32(0.1), "z": zero}, IMAGE)


def joined(first: list[str], zeros: object, axis: int = 1) -> Graph:
    return one("Concat", ins=[*first, "c"], weights={"c": zeros}, axis=axis)


def sliced(steps: object) -> Graph:
    return one("Slice", ins=["x", "b", "e", "a", "t"], weights={"b": i64(0), "e": i64(6), "a": i64(2), "t": steps})


def sliced_by(axes: str) -> Graph:
    """Along axes that are stored, or worked out from the input."""
    nodes = [
        ("Shape", ["x"], ["n"], {}),
        ("Slice", ["n", "b", "b1"], ["a"], {}),
        ("Slice", ["x", "b", "b1", axes], ["y"], {}),
    ]
    return graph(nodes, {"b": i64(0), "b1": i64(1), "k": i64(0)}, IMAGE)


def reduced(axes: object, shape: tuple[int, ...] = IMAGE) -> Graph:
    return one("ReduceMean", shape, ins=["x", "a"], weights={"a": axes})


def squeezed(axes: object, shape: tuple[int, ...]) -> Graph:
    return one("Squeeze", shape, ins=["x", "a"], weights={"a": axes})


def lstm(direction: str) -> Graph:
    two = 2 if direction == "bidirectional" else 1
    weights = {"w": f32(two, 12, 5), "r": f32(two, 12, 3)}
    return one("LSTM", (7, 1, 5), ins=["x", "w", "r"], weights=weights, hidden_size=3, direction=direction)


def indexed(outputs: list[str]) -> Graph:
    return graph([("MaxPool", ["x"], outputs, {"kernel_shape": [3, 3]})], {}, IMAGE)


EXAMPLES = {
    "channel-multiple": (reduced(i64(1)), reduced(i64(1), (1, 6, 3, 3))),
    "equal": (conv(dilations=[2, 2]), conv(dilations=[1, 2])),
    "equal-to": (pool(dilations=[1, 1]), pool(dilations=[2, 2])),
    "leading-ones": (squeezed(i64(0), (1, 5, 4)), squeezed(i64(2), (1, 5, 1))),
    "lite-grid": (resize(coordinate_transformation_mode="asymmetric", nearest_mode="floor"), resize()),
    "no-padding-counted": (pool("AveragePool", pads=[1] * 4), pool("AveragePool", pads=[1] * 4, count_include_pad=1)),
    "not-batch": (joined(["x"], f32(*IMAGE)), joined(["x"], f32(*IMAGE), axis=0)),
    "number": (
        one("ConvTranspose", ins=["x", "w"], weights={"w": f32(4, 1, 2, 2)}),
        one("ConvTranspose", ins=["x", "w"], weights={"w": f32(4, 1, 2, 2)}, group=4),
    ),
    "one-of": (resize(mode="linear"), resize(mode="cubic")),
    "one-output": (indexed(["y"]), indexed(["y", "i"])),
    "outer-ones": (one("Relu"), one("Relu", (2, 3, 4, 4))),
    "pads-zeros": (pad(0, i64(0, 0, 1, 1, 0, 0, 1, 1)), pad(0.5, i64(0, 0, 1, 1, 0, 0, 1, 1))),
    "reduced-inside": (reduced(i64(2, 3)), reduced(i64(0, 2))),
    "same-or-valid": (pool(pads=[1, 1, 1, 1]), pool(pads=[0, 0, 1, 1])),
    "slope-per-channel": (slope(4, 1, 1), slope(4, 6, 1)),
    "static": (one("Relu"), one("NonZero")),
    "stored": (conv(), computed_weights()),
    "stored-axes": (sliced_by("k"), sliced_by("a")),
    "types": (codes(np.int8(0)), codes(np.uint8(0))),
    "unit-steps": (sliced(i64(1)), sliced(i64(2))),
    "vector": (one("Softmax", (1, 9)), one("Softmax", (2, 9))),
    "window-rank": (conv(), one("MaxPool", (1, 4, 9), kernel_shape=[3])),
    "zero-point-zero": (codes(np.int8(0)), codes(np.int8(3))),
    "zeros-joined": (joined(["x"], 0 * f32(*IMAGE)), joined(["x"], f32(*IMAGE))),
}
"""Rule -> a graph of which all nodes keep it, and one of which one breaks it."""


def verdicts(rule: str, made: Graph) -> list[bool]:
    limits = [limit for name in operator_sets() for limit in operator_set(name).limits if limit.rule == rule]
    view = look_at(made)
    found = []
    for node in made.nodes:
        own = [limit for limit in limits if node.op_type in limit.operators or "*" in limit.operators]
        # Of equal rules the first that this operator is held to.
        found += [broken(Site(made, view, node), (limit,)) is None for limit in own[:1]]
    return found


def test_rules_and_lists_know_each_other() -> None:
    asked = {limit.rule for name in operator_sets() for limit in operator_set(name).limits}
    assert asked == set(RULES) == set(EXAMPLES)
    assert {operator_set(name).parting for name in operator_sets()} == set(PARTINGS)
    for name in operator_sets():
        for limit in operator_set(name).limits:
            assert limit.words and set(limit.operators) <= {*operator_set(name).takes, "*"}


@pytest.mark.parametrize("rule", sorted(RULES))
def test_a_rule_is_kept_and_broken(rule: str) -> None:
    kept, breaks = EXAMPLES[rule]
    assert verdicts(rule, kept) and all(verdicts(rule, kept))
    assert not all(verdicts(rule, breaks))


@pytest.mark.parametrize(("elements", "kept"), [(16_000, True), (16_001, False)], ids=["the most", "one more"])
def test_softmax_ends_at_sixteen_thousand(elements: int, kept: bool) -> None:
    made = one("Softmax", (1, elements))
    limits = operator_set("edge-tpu").limits_of("Softmax")
    assert (broken(Site(made, look_at(made), made.nodes[0]), limits) is None) == kept


def test_same_padding_is_tensorflows() -> None:
    """A pool of 3 with a stride of 2 over 6: SAME adds one value, at the end; PyTorch's padding of 1 is another."""
    limit = [one for one in operator_set("edge-tpu").limits if one.rule == "same-or-valid"]
    for attrs, kept in (
        ({"strides": [2, 2], "pads": [0, 0, 1, 1]}, True),
        ({"strides": [2, 2], "auto_pad": "SAME_UPPER"}, True),
        ({"strides": [2, 2], "auto_pad": "SAME_LOWER"}, False),
        ({"strides": [2, 2], "pads": [1, 1, 1, 1]}, False),
        ({"strides": [2, 2]}, True),
        ({"strides": [2, 2], "ceil_mode": 1}, False),
    ):
        made = pool(**attrs)
        assert (broken(Site(made, look_at(made), made.nodes[0]), tuple(limit)) is None) == kept, attrs
