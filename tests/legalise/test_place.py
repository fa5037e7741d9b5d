"""Where operators run: held to what public logs of the Edge TPU's compiler say of the same networks."""

from __future__ import annotations

import numpy as np
import pytest

import networks
from nets import Net
from rewriting import filled, graph
from shoestring.chips.loading import chip_named
from shoestring.compress.graph import Graph
from shoestring.legalise import asked_target, legalise, plan
from shoestring.legalise.caching import MIB, caching
from shoestring.legalise.place import FOLLOWS, PROCESSOR

CORAL = asked_target(chip_named("coral-dev-board"))
NANO = asked_target(chip_named("jetson-nano-4gb"))
KRIA = asked_target(chip_named("kria-kv260"))

CHANNELS = (16, 32, 64, 128, 256, 512)


def yolov3_tiny(width: int = 8) -> Graph:
    """The layers of yolov3-tiny.cfg (github:pjreddie/darknet), with a `width`-th of its channels, at 96 pixels."""
    net, x, before, routed = Net(1), "image", 3, ("", 0)
    for i, wanted in enumerate(CHANNELS):
        x = net.node("LeakyRelu", [net.conv(x, f"c{i}", before, wanted // width)], f"l{i}", alpha=0.1)
        before = wanted // width
        routed = (x, before) if i == 4 else routed
        last = {"strides": [1, 1], "pads": [0, 0, 1, 1]} if i == 5 else {"strides": [2, 2]}
        x = net.node("MaxPool", [x], f"p{i}", kernel_shape=[2, 2], **last)
    x = net.node("LeakyRelu", [net.conv(x, "c6", before, 1024 // width)], "l6", alpha=0.1)
    neck = net.node("LeakyRelu", [net.conv(x, "c7", 1024 // width, 256 // width, 1)], "l7", alpha=0.1)
    y = net.node("LeakyRelu", [net.conv(neck, "c8", 256 // width, 512 // width)], "l8", alpha=0.1)
    net.conv(y, "large", 512 // width, 255, 1)
    y = net.node("LeakyRelu", [net.conv(neck, "c10", 256 // width, 128 // width, 1)], "l10", alpha=0.1)
    scales = net.constant("scales", np.float32([1, 1, 2, 2]))
    grid = {"mode": "nearest", "coordinate_transformation_mode": "half_pixel", "nearest_mode": "round_prefer_floor"}
    y = net.node("Resize", [y, "", scales], "up", **grid)
    y = net.node("Concat", [y, routed[0]], "joined", axis=1)
    y = net.node("LeakyRelu", [net.conv(y, "c12", 128 // width + routed[1], 256 // width)], "l12", alpha=0.1)
    net.conv(y, "small", 256 // width, 255, 1)
    made = net.model([1, 3, 96, 96], [1, 255, 6, 6], "small")
    made.graph.output.extend([type(made.graph.output[0])(name="large")])
    return Graph(made)


def counts(found, why: str) -> dict[str, int]:
    """Operators by name, of those with this reason."""
    seen: dict[str, int] = {}
    for one in found.operators:
        if one.why == why:
            seen[one.operator] = seen.get(one.operator, 0) + 1
    return seen


def test_yolov3_tiny_is_cut_where_the_compilers_log_cuts_it() -> None:
    """A public log of compiler 15.0.340273435 for YOLOv3-tiny: CONV_2D 1 mapped and 12 "more than one subgraph",
    LEAKY_RELU 11 "not supported", MAX_POOL_2D 6 and CONCATENATION 1 "more than one subgraph", RESIZE_NEAREST_NEIGHBOR 1
    "operation version not supported"; 4 QUANTIZE beside, which are no operators here."""
    found = plan(yolov3_tiny(), CORAL)
    assert len(found.operators) == 36 - 4
    assert counts(found, "") == {"Conv": 1}
    assert counts(found, "the Coral Edge TPU has no LeakyRelu") == {"LeakyRelu": 11}
    assert counts(found, FOLLOWS) == {"Conv": 12, "MaxPool": 6, "Concat": 1}
    (resize,) = [one for one in found.operators if one.operator == "Resize"]
    assert "grid" in resize.why and resize.cures[0] == "nearest-as-asymmetric"
    assert found.first_outside is not None and found.first_outside.name == "n_l0"
    assert found.mapped_macs < 0.2 * found.macs


def test_yolov3_tiny_is_mapped_whole_once_rewritten() -> None:
    legal = legalise(yolov3_tiny(), CORAL)
    after = plan(legal.graph, CORAL)
    assert not after.outside and len(after.mapped) == len(after.operators) == 32 + 11
    assert after.mapped_macs == after.macs and not after.crossings


@pytest.mark.parametrize("name", ["mobilenet", "mobilenet_v2", "resnet18", "efficientnet_b0"])
def test_networks_that_coral_publishes_compiled_are_mapped_whole(name: str) -> None:
    """https://coral.ai/models/image-classification/ has them; its logs map all but the types at the ends."""
    found = plan(filled(getattr(networks, name)()), CORAL)
    assert found.mapped == found.operators and not found.refused


def test_shuffles_reach_the_edge_tpu_as_convolutions() -> None:
    source = filled(networks.shufflenet_v2())
    before, legal = plan(source, CORAL), legalise(source, CORAL)
    after = plan(legal.graph, CORAL)
    assert len(before.mapped) < 20 and after.mapped == after.operators
    assert {one.rewrite for one in legal.done} == {"shuffle-as-conv"}


def test_a_branch_that_needs_nothing_lost_stays() -> None:
    weights = {"w": np.ones((4, 3, 1, 1), np.float32)}
    nodes = [("Erf", ["x"], ["e"], {}), ("Conv", ["x", "w"], ["c"], {}), ("Conv", ["e", "w"], ["d"], {})]
    found = plan(graph([*nodes, ("Add", ["c", "d"], ["y"], {})], weights, (1, 3, 4, 4)), CORAL)
    assert [one.place for one in found.operators] == [PROCESSOR, CORAL.engine, PROCESSOR, PROCESSOR]
    assert found.crossings == ("c",) and found.crossing_bytes == 4 * 16


def test_dpu_cuts_as_often_as_it_must() -> None:
    weights = {"w": np.ones((3, 3, 1, 1), np.float32)}
    nodes = [("Conv", ["x", "w"], ["a"], {}), ("Erf", ["a"], ["b"], {}), ("Conv", ["b", "w"], ["y"], {})]
    found = plan(graph(nodes, weights, (1, 3, 4, 4)), KRIA)
    assert [one.place for one in found.operators] == [KRIA.engine, PROCESSOR, KRIA.engine]
    assert found.crossings == ("a", "b")


def test_maxwell_takes_no_codes_and_tensorrt_refuses_whole_models() -> None:
    weights = {"s": np.float32(0.1), "z": np.int8(0)}
    nodes = [("QuantizeLinear", ["x", "s", "z"], ["q"], {}), ("DequantizeLinear", ["q", "s", "z"], ["y"], {})]
    found = plan(graph(nodes, weights, (1, 3, 6, 6), opset=13), NANO)
    assert found.refused and "no int8 units" in found.outside[0].why
    floats = plan(graph([("Relu", ["x"], ["y"], {})], {}, (1, 3, 6, 6), opset=13), NANO)
    assert not floats.refused and len(floats.mapped) == 1


PUBLISHED = {
    "FaceNet, compiler 15.0 (public log)": (7.04, 15.06),
    "a MobileNetV2 detector, compiler 16.0 (public log)": (7.14, 6.63),
    "YOLOv5s at 224, compiler 15.0 (public log)": (6.08, 1.70),
    "a CNN, github.com/google-coral/edgetpu/issues/518": (7.16, 2.95),
    "half of EfficientDet-Lite3, github.com/google-coral/edgetpu/issues/671": (6.02, 0.0),
}
"""Model -> MiB of weights on the chip and streamed, as edgetpu_compiler said."""


@pytest.mark.parametrize("model", PUBLISHED)
def test_published_caching_lies_between_the_ends(model: str) -> None:
    kept, sent = (round(value * MIB) for value in PUBLISHED[model])
    found = caching(CORAL, [(kept + sent) // 100] * 100, 200_000)
    assert found is not None
    assert found.on_chip_low_bytes <= kept <= found.on_chip_high_bytes + 100
    assert found.streamed_low_bytes - 100 <= sent <= found.streamed_high_bytes + 100


def test_a_layer_that_fits_nowhere_is_streamed_whole_at_worst() -> None:
    """A fully connected layer of 8192 x 8192: 0 B cached, 64 MiB streamed (public notes on compiler 16.0)."""
    found = caching(CORAL, [8192 * 8192], 16_384)
    assert found is not None and found.on_chip_low_bytes == 0 and found.streamed_high_bytes == 64 * MIB
    assert found.link_high_ms == pytest.approx(64 * MIB / 0.46e9 * 1e3)
    assert caching(NANO, [1000], 10) is None, "no memory of its own is published"


def test_small_models_stream_nothing_and_wide_activations_push_weights_out() -> None:
    small, wide = caching(CORAL, [100_000] * 10, 10_000), caching(CORAL, [100_000] * 40, 4_000_000)
    assert small is not None and small.streamed_high_bytes == 0
    assert wide is not None and wide.streamed_low_bytes == 0 < wide.streamed_high_bytes
