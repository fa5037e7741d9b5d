"""Ways to spoil what a rewrite made, so that tests can show that a wrong rewrite is caught."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from onnx import helper

from shoestring.compress.graph import Graph


def scaled(suffix: str, factor: float = 1.25) -> Callable[[Graph], None]:
    """Spoils a constant."""

    def spoil(made: Graph) -> None:
        (name,) = [one for one in made.weights if one.endswith(f"/{suffix}")]
        made.weights[name] = (made.weights[name] * np.float32(factor)).astype(made.weights[name].dtype)

    return spoil


def moved(suffix: str) -> Callable[[Graph], None]:
    """Spoils a constant that is zero, or whose order matters."""

    def spoil(made: Graph) -> None:
        (name,) = [one for one in made.weights if one.endswith(f"/{suffix}")]
        old = made.weights[name]
        made.weights[name] = np.roll(old, 1, axis=0) if old.ndim else old + np.float32(0.25)

    return spoil


def operator(before: str, after: str) -> Callable[[Graph], None]:
    """Spoils an operator."""

    def spoil(made: Graph) -> None:
        for node in made.nodes:
            if node.op_type == before:
                node.op_type = after

    return spoil


def setting(op: str, name: str, value: Any) -> Callable[[Graph], None]:
    """Spoils an attribute."""

    def spoil(made: Graph) -> None:
        for node in made.nodes:
            if node.op_type == op:
                kept = [item for item in node.attribute if item.name != name]
                del node.attribute[:]
                node.attribute.extend([*kept, helper.make_attribute(name, value)])

    return spoil


def shift_pads(made: Graph, op: str) -> None:
    (node,) = [one for one in made.nodes if one.op_type == op]
    (pads,) = [item for item in node.attribute if item.name == "pads"]
    values = list(pads.ints)
    setting(op, "pads", [values[0], values[1] + 1, values[2], values[3] - 1])(made)


def raise_padding(made: Graph) -> None:
    made.weights["wrong"] = np.float32(9)
    for node in made.nodes:
        if node.op_type == "Pad":
            node.input.append("wrong")


def other_mode(made: Graph) -> None:
    (node,) = [one for one in made.nodes if one.op_type == "DepthToSpace"]
    mode = next(item.s for item in node.attribute if item.name == "mode")
    setting("DepthToSpace", "mode", "DCR" if mode == b"CRD" else "CRD")(made)
    # With one channel both modes are the same: the block is read backwards instead.
    made.nodes.insert(0, helper.make_node("Neg", ["x"], ["turned"], name="spoil"))
    node.input[0] = "turned"
    made.reindex()


def turned(made: Graph) -> None:
    made.nodes = [node for node in made.nodes if node.op_type != "Transpose"]
    for node in made.nodes:
        if node.input[0].endswith("/turned"):
            node.input[0] = node.input[0].replace("/turned", "/parted")
    made.reindex()


def swap(made: Graph) -> None:
    (node,) = [one for one in made.nodes if one.op_type == "Concat"]
    node.input[:] = list(node.input)[::-1]


def late(made: Graph) -> None:
    made.nodes.insert(0, helper.make_node("Transpose", ["x"], ["mirrored"], name="spoil", perm=[0, 1, 2, 3]))
    made.nodes.insert(1, helper.make_node("Neg", ["mirrored"], ["negative"], name="spoil2"))
    for node in made.nodes[2:]:
        node.input[:] = ["negative" if name == "x" else name for name in node.input]
    made.reindex()
