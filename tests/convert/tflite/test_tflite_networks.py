"""The families of networks that cheap chips run: both sides answer the same, in floats and in 8 bits."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest

pytest.importorskip("ai_edge_litert")

import zoo
from convert.tflite.written import operators, quantized
from native.qdq_models import imported
from native.qdq_models import quantized as example
from shoestring.convert.tflite import convert
from shoestring.runtimes import registry
from shoestring.runtimes.litert import LiteRtRuntime

FLOAT_TOLERANCE = 1e-4
"""Of the spread of an output."""

SUM_TOLERANCE = 1e-6
"""Of an output that is a sum of floats: the last layer of a classifier. Everything before it is equal to the bit."""

TIE_TOLERANCE = 0.1
"""Of networks with sums of two maps: both sides add in another order, which moves one code in 80,000 by one, and a deep
network of narrow random layers carries it to its outputs."""


@cache
def int8(name: str) -> bytes:
    return quantized(zoo.NETS[name](), zoo.example_input(name, 8, seed=2))


def both(model: bytes, feeds, **options):
    """Answers of ONNX Runtime with all its optimisations, and of LiteRT."""
    with (
        registry.get("onnxruntime").load(model, 1) as one,
        LiteRtRuntime().load(convert(model, **options).data, 1) as other,
    ):
        assert other.inputs == one.inputs
        assert [spec.name for spec in other.outputs] == [spec.name for spec in one.outputs]
        return one.run(feeds), other.run(feeds)


def apart(one, other) -> float:
    """The largest difference as a part of the output's spread."""
    assert one.keys() == other.keys()
    worst = 0.0
    for name, wanted in one.items():
        assert (other[name].shape, other[name].dtype) == (wanted.shape, wanted.dtype)
        assert np.ptp(wanted) > 0, "an answer of one value tells nothing"
        worst = max(worst, float(np.abs(other[name] - wanted).max() / np.ptp(wanted)))
    return worst


@pytest.mark.parametrize("name", zoo.NETS)
def test_floats(name):
    assert apart(*both(zoo.NETS[name](), zoo.example_input(name, 2), precision="fp32")) <= FLOAT_TOLERANCE


@pytest.mark.parametrize("name", zoo.NETS)
def test_codes_are_those_of_onnx_runtime(name):
    sums = any(kind.startswith("ADD ") for kind in operators(convert(int8(name)).data))
    tolerance = TIE_TOLERANCE if sums else SUM_TOLERANCE
    assert apart(*both(int8(name), zoo.example_input(name, 2), precision="int8")) <= tolerance


@pytest.mark.parametrize("float_layers", [0, 3])
def test_the_example(float_layers):
    """Layers left in float stand between codes; the bits of floats can move a code there."""
    model = example("cifar10_small", "u8s7", float_layers)
    name, side = "image", 64
    with registry.get("onnxruntime").load(model, 1) as session:
        name, side = session.inputs[0].name, session.inputs[0].shape[-1]
    pictures = np.random.default_rng(5).normal(0, 1, (3, 3, side, side)).astype(np.float32)
    found = convert(model)
    with LiteRtRuntime().load(found.data, 1) as session:
        answers = session.run({name: pictures})
    from native.qdq_models import on_ort  # each node by itself: ONNX Runtime's own rewrites differ from it here

    single = [on_ort(model, {name: pictures[i : i + 1]}) for i in range(3)]
    wanted = {key: np.concatenate([one[key] for one in single]) for key in answers}
    assert apart(wanted, answers) <= (0.02 if float_layers else SUM_TOLERANCE)
    assert any(kind.endswith("CONV_2D FLOAT32") for kind in operators(found.data)) == bool(float_layers)


@pytest.mark.parametrize("name", ["mobilenet_v2", "yolov3_tiny", "transformer"])
def test_half_precision_weights(name):
    model, feeds = zoo.NETS[name](), zoo.example_input(name, 2)
    assert 0 < apart(*both(model, feeds, precision="fp16")) <= 0.03
    assert len(convert(model, "fp16").data) < 0.75 * len(convert(model).data)


@pytest.mark.parametrize("name", ["mobilenet_v3_small", "yolov3_tiny", "yolov3_silu", "squeezenet", "ssd_sigmoid"])
def test_integers_alone_stay_near(name):
    """Kernels of 8 bits for functions round by themselves: answers are near; functions between codes are integer."""
    model, feeds = int8(name), zoo.example_input(name, 2)
    assert apart(*both(model, feeds, integer=True)) <= 0.15
    usual, whole = (operators(convert(model, integer=integer).data) for integer in (False, True))
    functions = ("LEAKY_RELU", "HARD_SWISH", "LOGISTIC")
    assert sum(whole[f"{kind} FLOAT32"] for kind in functions) <= sum(usual[f"{kind} FLOAT32"] for kind in functions)
    if name == "yolov3_tiny":
        assert {kind for kind in whole if kind.endswith("FLOAT32")} == {"DEQUANTIZE FLOAT32"}
        assert whole["LEAKY_RELU INT8"] >= usual["LEAKY_RELU FLOAT32"] > 5


def test_threads_do_not_change_an_answer():
    model, feeds = convert(int8("mobilenet_v2")).data, zoo.example_input("mobilenet_v2", 2)
    with LiteRtRuntime().load(model, 1) as one, LiteRtRuntime().load(model, 2) as two:
        for name, value in one.run(feeds).items():
            np.testing.assert_array_equal(two.run(feeds)[name], value)


def test_no_image_is_turned_inside_a_network():
    """Channels lie last from the first layer to the last, whatever order the graph speaks of."""
    for name in ("mobilenet_v2", "resnet50", "yolov3", "efficientnet_lite0"):
        assert not [kind for kind in operators(convert(int8(name)).data) if kind.startswith("TRANSPOSE")], name


def test_a_wrong_scale_is_seen(monkeypatch):
    """The comparison is not blind: scales of weights that are one part in a hundred off."""
    from shoestring.convert.tflite import weighted

    true = weighted.weight_scales
    monkeypatch.setattr(weighted, "weight_scales", lambda emitter, op: true(emitter, op) * np.float32(1.01))
    assert apart(*both(int8("squeezenet"), zoo.example_input("squeezenet", 2))) > SUM_TOLERANCE


def test_the_importers_form_is_taken():
    found = convert(imported("cifar10_small"), "fp32")
    assert found.notes == ()
