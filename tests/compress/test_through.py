"""Ranges around functions: what a function forgets is cut off, and what it keeps is not."""

from __future__ import annotations

import numpy as np
import onnx
import pytest

from native.qdq_models import Sketch
from shoestring.compress.clip import best_range, clipped_ranges
from shoestring.compress.graph import Graph
from shoestring.compress.observe import Range, value_ranges
from shoestring.compress.qdq import affine
from shoestring.compress.quantize import needed_ranges
from shoestring.compress.through import best_ends, function_around

LIMITS = (0, 255)


def graph_of(operator: str, **settings: float) -> tuple[Graph, str, str]:
    """Conv, the function, Conv; with the names of the tensors before and behind the function."""
    s = Sketch(1, 3, 8, 8)
    before = s.add("Conv", "x", s.normal(4, 3, 3, 3))
    if operator == "SiLU":
        behind = s.add("Mul", before, s.add("Sigmoid", before))
    else:
        behind = s.add(operator, before, **settings)
    last = s.add("Conv", behind, s.normal(4, 4, 1, 1))
    return Graph(onnx.ModelProto.FromString(s.bytes(last))), before, behind


def error_behind(function, values: np.ndarray, span: Range) -> float:
    held = affine(span, LIMITS)
    integers = np.clip(np.rint(values / held.scale) + held.zero_point, *LIMITS)
    return float(np.mean((function((integers - held.zero_point) * held.scale) - function(values)) ** 2))


@pytest.mark.parametrize("operator", ["LeakyRelu", "HardSwish", "Sigmoid", "HardSigmoid", "SiLU"])
def test_the_error_behind_the_function_falls(operator: str) -> None:
    graph, before, behind = graph_of(operator)
    function = function_around(graph, before)
    assert function is not None
    values = np.random.default_rng(1).normal(-4, 4, 20_000)
    span = Range(float(values.min()), float(values.max()))
    found = best_ends(values, span, LIMITS, function)
    assert error_behind(function, values, found) < 0.8 * error_behind(function, values, span)
    blind = best_range(values, span, LIMITS)
    assert error_behind(function, values, found) <= error_behind(function, values, blind)
    assert function_around(graph, behind) is not None or operator in ("Sigmoid", "HardSigmoid")


def test_a_hard_swish_forgets_what_lies_below_minus_three() -> None:
    graph, before, _ = graph_of("HardSwish")
    values = np.random.default_rng(2).uniform(-30, 6, 20_000)
    function = function_around(graph, before)
    found = best_ends(values, Range(-30.0, 6.0), LIMITS, function)
    assert -4.5 <= found.low <= -2.5
    assert found.high > 5


def test_of_equally_good_ranges_the_widest_is_taken() -> None:
    found = best_ends(np.zeros(100), Range(-1.0, 1.0), LIMITS, lambda x: x)
    assert found == Range(-1.0, 1.0)


def test_a_tensor_that_others_read_as_well_is_not_judged_by_one_function() -> None:
    s = Sketch(1, 3, 8, 8)
    before = s.add("Conv", "x", s.normal(4, 3, 3, 3))
    both = s.add("Add", s.add("LeakyRelu", before), before)
    graph = Graph(onnx.ModelProto.FromString(s.bytes(both)))
    assert function_around(graph, before) is None
    visible = Graph(onnx.ModelProto.FromString(s.bytes(before, both)))
    assert function_around(visible, before) is None


def test_calibration_uses_it() -> None:
    graph, before, behind = graph_of("LeakyRelu", alpha=0.1)
    x = np.random.default_rng(3).normal(0, 1, (8, 1, 3, 8, 8)).astype(np.float32)
    seen = value_ranges(graph, lambda: ({"x": one} for one in x), needed_ranges(graph))
    found = clipped_ranges(graph, seen, [{"x": one} for one in x], LIMITS, 1)
    low, high = found[before].low / seen[before].low, found[before].high / seen[before].high
    assert low < high, "errors below zero are divided by ten, so that more is cut off there"
    assert found[behind].low / seen[behind].low <= 1
    assert found["x"] == seen["x"], "a range that no node makes is left alone"
