"""Which operators of a quantized graph are on codes, and outputs that get codes of their own."""

from __future__ import annotations

import numpy as np
import pytest

import nets
from shoestring.chips.loading import chip_named
from shoestring.compress.graph import Graph, make_node
from shoestring.compress.quantize import to_qdq
from shoestring.compress.scheme import scheme_named
from shoestring.legalise import asked_target, plan
from shoestring.legalise.codes import IN_FLOATS, close_outputs, is_quantized, on_codes
from shoestring.legalise.same import compare

CORAL = asked_target(chip_named("coral-dev-board"))


def quantized(scheme: str = "s8s8", floats: frozenset[str] = frozenset()) -> Graph:
    workshop = nets.make_workshop(nets.residual_graph(), nets.images(16))
    return to_qdq(workshop.original, workshop.ranges, scheme_named(scheme), floats)


def feeds(count: int = 4) -> list[dict[str, np.ndarray]]:
    return [{"image": image[None]} for image in nets.images(count, seed=3)]


def test_the_last_layer_is_left_in_floats_and_the_forecast_says_so() -> None:
    graph = quantized()
    assert is_quantized(graph) and not is_quantized(nets.residual_graph())
    found = plan(graph, CORAL)
    assert [(one.operator, one.why) for one in found.outside] == [("Gemm", IN_FLOATS)]


@pytest.mark.parametrize(("scheme", "kind"), [("s8s8", "int8"), ("u8s8", "uint8")])
def test_closed_outputs_are_on_codes_of_the_graphs_own_type(scheme: str, kind: str) -> None:
    graph = quantized(scheme)
    before = graph.copy()
    assert close_outputs(graph, lambda: iter(feeds())) == ("logits",)
    assert graph.weights["logits/zero"].dtype == np.dtype(kind)
    assert not plan(graph, CORAL).outside
    # The outputs move by half a step of their codes at most, and are the same outputs by name.
    found = compare(before, graph, feeds())
    assert 0 < found.largest <= 0.51 / 127
    assert close_outputs(graph, lambda: iter(feeds())) == (), "closed once"


def test_a_layer_left_in_floats_cuts_the_graph() -> None:
    graph = quantized(floats=frozenset({"n_project"}))
    close_outputs(graph, lambda: iter(feeds()))
    found = plan(graph, CORAL)
    assert found.first_outside is not None and found.first_outside.name == "n_project"
    assert [one.name for one in found.mapped] == ["n_stem", "n_depthwise"]


def test_an_activation_between_layer_and_codes_is_the_layers_own() -> None:
    graph = quantized()
    stem = next(node for node in graph.nodes if node.name == "n_stem")
    assert on_codes(graph, stem)
    # The saboteur: somebody else reads the floats in between.
    graph.nodes.append(make_node("Neg", [stem.output[0]], ["spy"], "spy"))
    graph.reindex()
    assert not on_codes(graph, stem)


def test_a_float_graph_has_nothing_to_close() -> None:
    graph = nets.residual_graph()
    assert close_outputs(graph, lambda: iter(feeds())) == ()
