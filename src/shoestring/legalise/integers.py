"""64-bit indices as 32-bit ones where ONNX allows both: accelerators have no wider integers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from shoestring.compress.graph import Array, Graph

INDICES = {"Slice": (1, 2, 3, 4), "Gather": (1,), "GatherElements": (1,), "ScatterElements": (1,)}
"""Operators whose indices may be of either width -> their positions; those of one operator must agree."""

INT32 = np.iinfo(np.int32)
TO_THE_END = INT32.max
"""What a Slice's end is cut to: no axis is longer."""


def narrow_integers(graph: Graph) -> tuple[str, ...]:
    """Store indices in 32 bits, in place; where one of a node's does not fit, all of them stay.

    Returns:
        What was done, in words; empty where nothing was.
    """
    count = 0
    for node in graph.nodes:
        places = [index for index in INDICES.get(node.op_type, ()) if index < len(node.input) and node.input[index]]
        values = [graph.weights.get(node.input[index]) for index in places]
        if not places or any(value is None or value.dtype != np.int64 for value in values):
            continue
        fitting = [
            _narrow(value, cut=node.op_type == "Slice" and index == 2)
            for index, value in zip(places, values, strict=True)
        ]
        if any(value is None for value in fitting):
            continue
        for index, value in zip(places, fitting, strict=True):
            name = f"{node.input[index]}/int32"
            graph.weights[name] = np.asarray(value)
            node.input[index] = name
        count += 1
    graph.reindex()
    return (f"indices of {count} operators in 32 bits",) if count else ()


def _narrow(value: Array | None, *, cut: bool) -> Array | None:
    wide = np.asarray(value)
    if cut:
        wide = np.clip(wide, INT32.min, TO_THE_END)
    return wide.astype(np.int32) if wide.size == 0 or (INT32.min <= wide.min() and wide.max() <= INT32.max) else None
