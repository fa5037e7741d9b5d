"""Indices in 32 bits: where all of a node's fit, and only there."""

from __future__ import annotations

import numpy as np
import pytest

from rewriting import graph
from shoestring.compress.graph import Graph
from shoestring.legalise.integers import narrow_integers
from shoestring.legalise.same import compare, random_feeds


def sliced(start: int, end: int, step: int = 1) -> Graph:
    weights = {name: np.array([value], np.int64) for name, value in zip("beat", (start, end, 2, step), strict=True)}
    return graph([("Slice", ["x", "b", "e", "a", "t"], ["y"], {})], weights, (1, 2, 6, 6))


@pytest.mark.parametrize(("start", "end", "step"), [(1, 4, 1), (0, 2**63 - 1, 2), (-1, -(2**63), -1)])
def test_slices_to_the_end_stay_slices_to_the_end(start: int, end: int, step: int) -> None:
    source = sliced(start, end, step)
    made = source.copy()
    assert narrow_integers(made) == ("indices of 1 operators in 32 bits",)
    assert {made.weights[name].dtype for name in made.nodes[0].input[1:]} == {np.dtype(np.int32)}
    assert compare(source, made, random_feeds(source, 1)).identical


def test_a_start_beyond_32_bits_keeps_them_all_wide() -> None:
    source = sliced(2**40, 2**63 - 1)
    assert narrow_integers(source) == () and source.weights["e"].dtype == np.int64


def test_gathered_rows() -> None:
    source = graph([("Gather", ["x", "i"], ["y"], {"axis": 1})], {"i": np.array([1, -1], np.int64)}, (1, 3, 4))
    made = source.copy()
    assert narrow_integers(made) and compare(source, made, random_feeds(source, 1)).identical


def test_shapes_stay_wide() -> None:
    source = graph([("Reshape", ["x", "s"], ["y"], {})], {"s": np.array([1, -1], np.int64)}, (1, 3, 4))
    assert narrow_integers(source) == ()
