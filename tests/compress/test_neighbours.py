"""Who hands values to whom, and what a profile calls each layer."""

from __future__ import annotations

from nets import SIDE, residual_graph
from shoestring.compress.layers import is_weighted
from shoestring.compress.neighbours import Passage, last_layers, passages, profile_names


def test_passages_go_through_what_has_no_weights() -> None:
    found = set(passages(residual_graph()))
    area = SIDE * SIDE
    assert found == {
        Passage("n_stem", "n_depthwise", 8 * area),
        Passage("n_depthwise", "n_project", 8 * area),
        Passage("n_project", "n_expand", 8 * area),
        Passage("n_expand", "n_shrink", 16 * area),
        Passage("n_project", "n_logits", 8),  # through the sum, the mean and the flattening
        Passage("n_shrink", "n_logits", 8),
    }


def test_a_layer_is_known_by_its_node_and_by_what_it_writes() -> None:
    names = profile_names(residual_graph())
    assert names["n_stem"] == ("n_stem", "stem", "n_stem_act", "stem_act")
    assert names["n_project"] == ("n_project", "project")


def test_the_last_layers_are_those_that_outputs_are_read_from() -> None:
    graph = residual_graph()
    readers = {one.before for one in passages(graph)}
    last = last_layers(graph)
    assert last
    assert not readers & set(last)
    weighted = [node.name for node in graph.nodes if is_weighted(graph, node)]
    assert set(weighted) == readers | set(last)
