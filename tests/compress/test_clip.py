"""Ranges are narrowed where outliers would coarsen the steps of everything else, and nowhere else."""

from __future__ import annotations

import numpy as np
import pytest

from nets import images, residual_graph
from shoestring.compress.bias import first_examples
from shoestring.compress.clip import best_range, clipped_ranges, signed_tensors
from shoestring.compress.observe import Range, value_ranges
from shoestring.compress.quantize import needed_ranges

X = images(32)
LIMITS = (0, 255)


def feed():
    return ({"image": X[i : i + 8]} for i in range(0, len(X), 8))


def test_an_even_tensor_keeps_its_range() -> None:
    values = np.linspace(-3, 5, 10_001)
    assert best_range(values, Range(-3.0, 5.0), LIMITS) == Range(-3.0, 5.0)


def test_a_range_that_outliers_set_is_narrowed() -> None:
    values = np.random.default_rng(0).laplace(0, 1, 100_000)
    found = best_range(values, Range(-20.0, 20.0), LIMITS)
    # By hand: 6 exp(-c) is clipped and (c / 255)^3 / 4 rounded in the third moment; their sum is least near c = 12.
    assert 10.0 <= found.high <= 15.0
    assert found.low == pytest.approx(-found.high)


def test_only_signed_inner_tensors_are_touched() -> None:
    graph = residual_graph()
    ranges = value_ranges(graph, feed, needed_ranges(graph))
    assert signed_tensors(graph, ranges) == ["project", "shrink", "sum", "mean/pooled", "mean"]
    found = clipped_ranges(graph, ranges, first_examples(feed, 16), LIMITS, 1)
    assert found.keys() == ranges.keys()
    for name, span in ranges.items():
        if name not in signed_tensors(graph, ranges):
            assert found[name] == span
        assert span.low <= found[name].low <= found[name].high <= span.high


def test_the_same_examples_give_the_same_ranges() -> None:
    graph = residual_graph()
    ranges = value_ranges(graph, feed, needed_ranges(graph))
    one, two = (clipped_ranges(graph, ranges, first_examples(feed, 16), LIMITS, 1) for _ in range(2))
    assert one == two
