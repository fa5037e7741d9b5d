"""What can be known of a tensor's sign without running the model."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from shoestring.legalise.site import Site

FLOORS = frozenset({"Relu", "Sigmoid", "Softmax", "HardSigmoid", "Abs", "Exp", "Softplus"})
KEEPS = frozenset(
    {"MaxPool", "AveragePool", "GlobalAveragePool", "GlobalMaxPool", "Reshape", "Flatten", "Transpose", "Slice"}
    | {"Squeeze", "Unsqueeze", "Identity", "Split", "DepthToSpace", "SpaceToDepth"}
)
"""Whose first input decides the sign of every output."""

JOINS = frozenset({"Concat", "Add", "Mul"})
"""Never negative where no input is."""

MAX_STEPS = 32


def never_negative(site: Site, name: str, steps: int = MAX_STEPS) -> bool:
    """Whether the operators that make a tensor leave no value below zero."""
    weight = site.graph.weights.get(name)
    if weight is not None:
        return bool(np.all(weight >= 0))
    node = site.graph.producers.get(name)
    if node is None or steps == 0:
        return False
    if node.op_type == "Clip":
        low = site.graph.weights.get(node.input[1]) if len(node.input) > 1 else None
        return low is not None and bool(low >= 0)
    if node.op_type in JOINS:
        return all(never_negative(site, one, steps - 1) for one in node.input)
    return node.op_type in FLOORS or (node.op_type in KEEPS and never_negative(site, node.input[0], steps - 1))
