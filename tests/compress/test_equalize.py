"""Equalization keeps the function and makes small channels finer."""

from __future__ import annotations

import numpy as np

from nets import Net, images, make_workshop, residual_graph, run
from shoestring.base.outputs import sqnr_db
from shoestring.compress.equalize import TOP, channel_factors, channel_sizes, equalize_all, sites
from shoestring.compress.equalize_streams import STRONGEST, stream_factors, streams
from shoestring.compress.graph import Graph
from shoestring.compress.observe import value_ranges
from shoestring.compress.quantize import needed_ranges, to_qdq
from shoestring.compress.scheme import scheme_named

X = images(48)


def feed():
    return ({"image": X[i : i + 8]} for i in range(0, len(X), 8))


def uneven_graph(seed: int = 0) -> Graph:
    """Channels a hundredfold apart before a depthwise layer, and in a residual stream that only convolutions read."""
    net = Net(seed)
    x = net.relu6(net.conv("image", "stem", 3, 8), "stem_act")
    x = net.relu6(net.conv(x, "depthwise", 8, 8, groups=8), "depthwise_act")
    x = net.conv(x, "project", 8, 8, kernel=1)
    y = net.conv(net.relu6(net.conv(x, "expand", 8, 16, kernel=1), "expand_act"), "shrink", 16, 8, kernel=1)
    x = net.node("Add", [x, y], "sum")
    x = net.relu6(net.conv(x, "head", 8, 16, kernel=1), "head_act")
    x = net.node("Flatten", [net.node("GlobalAveragePool", [x], "pool")], "flat")
    net.gemm(x, "logits", 16, 5)
    spread = np.geomspace(0.01, 1, 8).astype(np.float32)
    for producer, readers in (("stem", ["depthwise"]), ("project", ["expand", "head"]), ("shrink", [])):
        net.weights[f"{producer}_w"] *= spread[:, None, None, None]
        net.weights[f"{producer}_b"] *= spread
        for reader in readers:
            shape = (-1, 1, 1, 1) if reader == "depthwise" else (1, -1, 1, 1)
            net.weights[f"{reader}_w"] /= spread.reshape(shape)
    return Graph(net.model(["N", 3, 16, 16], ["N", 5]))


def test_the_function_is_kept_and_its_8_bit_form_gets_nearer() -> None:
    graph = uneven_graph()
    fresh = images(32, seed=5)
    wanted = run(graph.to_bytes(), fresh)
    plain = to_qdq(graph, value_ranges(graph, feed, needed_ranges(graph)), scheme_named("u8s8"), frozenset())
    workshop = make_workshop(graph, X)
    assert sqnr_db(wanted, run(workshop.original.to_bytes(), fresh)) > 100
    even = to_qdq(workshop.original, workshop.ranges, scheme_named("u8s8"), frozenset())
    before, after = (sqnr_db(wanted, run(q.to_bytes(), fresh)) for q in (plain, even))
    assert after > before + 6


def test_each_kind_is_found_where_it_is() -> None:
    graph = uneven_graph()
    assert [site.tensor for site in sites(graph)] == ["stem_act"]
    (stream,) = streams(graph)
    assert set(stream.tensors) == {"project", "shrink", "sum"}
    assert {node.name for node in stream.producers} == {"n_project", "n_shrink"}
    assert {node.name for node in stream.readers} == {"n_expand", "n_head"}


def test_channels_become_alike() -> None:
    graph = uneven_graph()
    sizes = channel_sizes(graph, feed, 1)
    assert sizes["stem_act"].max() / sizes["stem_act"].min() > 20
    equalize_all(graph, sizes)
    after = channel_sizes(graph, feed, 1)
    assert after["stem_act"].min() >= 0.99 * TOP * after["stem_act"].max()
    assert np.isclose(after["stem_act"].max(), sizes["stem_act"].max(), rtol=1e-5), "the tensor's range stays"

    def apart(seen: dict[str, np.ndarray]) -> float:
        largest = np.max([seen[name] for name in ("project", "shrink", "sum")], axis=0)
        return float(largest.max() / largest.min())

    assert np.isclose(apart(after), np.sqrt(apart(sizes)), rtol=1e-3)


def test_a_stream_that_something_else_reads_stays_as_it_is() -> None:
    assert streams(residual_graph()) == [], "its sum feeds a mean, which cannot scale back"


def test_shared_weights_stay_as_they_are() -> None:
    net = Net()
    x = net.relu6(net.conv("image", "stem", 3, 3), "stem_act")
    x = net.relu6(net.conv(x, "depthwise", 3, 3, groups=3), "act")
    x = net.node("Conv", [x, "depthwise_w", "depthwise_b"], "logits", pads=[1] * 4, group=3)
    graph = Graph(net.model(["N", 3, 16, 16], ["N", 3, "H", "W"]))
    assert sites(graph) == []


def test_dead_channels_and_silence_are_left_alone() -> None:
    assert np.array_equal(channel_factors(np.zeros(3)), np.ones(3))
    assert np.array_equal(stream_factors(np.zeros(3)), np.ones(3))
    assert channel_factors(np.array([6.0, 0.0, 0.06]))[1] == 1
    assert np.allclose(stream_factors(np.array([1.0, 0.0, 0.25, 1e-5])), [1, 1, 2, STRONGEST])
