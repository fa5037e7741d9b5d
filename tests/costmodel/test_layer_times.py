"""Profiles of both models name every layer, also after the runtime's own fusions."""

from __future__ import annotations

from nets import images, make_workshop, residual_graph
from shoestring.compress.neighbours import profile_names
from shoestring.compress.quantize import to_qdq
from shoestring.compress.scheme import scheme_named
from shoestring.costmodel.layer_times import layer_times


def test_every_layer_has_two_times() -> None:
    x = images(16)
    workshop = make_workshop(residual_graph(), x)
    graph = workshop.original
    quantized = to_qdq(graph, workshop.ranges, scheme_named("u8s8"), frozenset())
    names = profile_names(graph)
    found = layer_times(graph.to_bytes(), quantized.to_bytes(), names, {"image": x[:1]}, "image/quantize")
    assert found.unknown == ()
    assert found.int8_ms.keys() == found.float_ms.keys() == names.keys()
    assert all(time > 0 for time in (*found.int8_ms.values(), *found.float_ms.values()))
    assert found.convert_ms_per_element > 0


def test_a_layer_no_profile_names_is_said() -> None:
    x = images(8)
    graph = residual_graph()
    names = profile_names(graph) | {"ghost": ("nothing",)}
    found = layer_times(graph.to_bytes(), graph.to_bytes(), names, {"image": x[:1]}, "none")
    assert found.unknown == ("ghost",)
    assert found.convert_ms_per_element == 0
