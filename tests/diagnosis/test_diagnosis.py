"""Whole diagnoses: what is accounted for, what our own tools make, integer operators, damaged models."""

from __future__ import annotations

import numpy as np
import pytest

from diagnosis.patients import (
    activated,
    examined,
    findings,
    float_net,
    gaps,
    look,
    quantized_conv,
    single,
)
from native.qdq_models import Sketch, example_images, quantized
from onnx_graphs import GRAPHS
from shoestring.base import canonical
from shoestring.base.errors import ModelError
from shoestring.diagnosis import DISEASES, diagnose


def test_every_disease_has_its_texts_and_an_id_of_its_own():
    assert len({one.id for one in DISEASES}) == len(DISEASES) == 16
    for one in DISEASES:
        assert one.id == one.id.lower().replace(" ", "-")
        assert one.what.endswith(".") and one.needs and one.source and one.name


def test_a_diagnosis_is_sorted_and_accounts_for_every_disease():
    depthwise = np.random.default_rng(0).normal(0, 0.3, (8, 1, 3, 3))
    depthwise[2:4] = 0
    depthwise[5, 0, 0, 0] = np.nan
    diagnosis = diagnose(examined(float_net(depthwise=depthwise)))
    assert diagnosis.cases[0].id == "not-finite"
    named = {case.id for case in diagnosis.cases} | {gap.id for gap in diagnosis.gaps} | set(diagnosis.healthy)
    assert named == {one.id for one in DISEASES}
    assert not set(diagnosis.healthy) & {case.id for case in diagnosis.cases}


@pytest.mark.parametrize("name", sorted(GRAPHS))
def test_every_graph_can_be_examined(name):
    diagnosis = diagnose(examined(GRAPHS[name]().SerializeToString()))
    if name == "branches":
        assert any(gap.id == "all" and "If" in gap.why for gap in diagnosis.gaps)


@pytest.mark.parametrize("scheme", ["u8s8", "u8s7", "s8s8"])
def test_what_our_own_quantizer_makes_has_no_disease_but_saturation_where_the_scheme_is_for_another_machine(scheme):
    diagnosis = diagnose(examined(quantized(scheme=scheme), target="x86", batches=[{"image": example_images(4)}]))
    found = {case.id for case in diagnosis.cases if case.finding.severity != "note"}
    assert found == (set() if scheme == "u8s7" else {"saturation"})


def integer_conv(codes: np.ndarray, scales: np.ndarray) -> bytes:
    """QLinearConv, which holds its weights, scales and bias itself."""

    def build(s: Sketch) -> str:
        step, zero = s.constant(0.02, "float32"), s.constant(128, "uint8")
        entry = s.add("QuantizeLinear", "x", step, zero)
        weight = (s.constant(codes, "int8"), s.constant(scales, "float32"), s.constant(np.zeros(scales.shape), "int8"))
        bias = s.constant(np.full(len(codes), 50), "int32")
        made = s.add("QLinearConv", entry, step, zero, *weight, step, zero, bias, group=len(codes))
        return s.add("DequantizeLinear", made, step, zero)

    return single(build, 1, len(codes), 8, 8)


def test_weights_inside_integer_operators_are_read():
    codes = np.full((4, 1, 3, 3), 100)
    codes[2] = 3
    sick = examined(integer_conv(codes, np.array(0.5)))
    (layer,) = sick.layers
    assert layer.depthwise and layer.weight.values.max() == 50
    assert layer.bias == pytest.approx(np.full(4, 50 * 0.5 * 0.02))
    assert findings("depthwise-one-scale", sick)[0].evidence[0].figures["poor_channels"] == 1
    assert findings("depthwise-one-scale", examined(integer_conv(codes, np.full(4, 0.5)))) == []
    for disease in ("islands", "clipped-outputs"):
        assert "QLinearConv" in gaps(disease, sick)[0]


def test_scales_that_do_not_fit_their_weight_are_an_error_of_the_model():
    with pytest.raises(ModelError, match="3 scales"):
        examined(quantized_conv(np.full((4, 2, 1, 1), 5), scale=[0.1, 0.1, 0.1]))


def test_images_feed_one_input():
    two = single(lambda s: s.add("Add", "x", s.input("z", "n", 8)), "n", 8)
    examination = examined(two, batches=[{"x": np.ones((2, 8), np.float32), "z": np.ones((2, 8), np.float32)}])
    assert examination.seen is not None and examination.seen.images == 2
    assert examination.seen.spans["x"].magnitude == 1


def test_figures_that_are_no_numbers_are_left_out_of_the_data():
    codes = np.full((4, 2, 1, 1), 50)
    diagnosis = diagnose(examined(quantized_conv(codes, scale=[0.1, np.nan, 0.1, 0.1])))
    (case,) = [case for case in diagnosis.cases if case.id == "dead-channels"]
    assert case.finding.evidence[0].figures == {"channels": 1.0}
    canonical.encode(diagnosis)


def test_cures_do_not_send_to_a_compiler_that_refuses_the_model():
    def build(s: Sketch, more: str) -> str:
        held = s.add("Elu", s.add("Conv", "x", s.normal(4, 3, 3, 3)))
        return s.add(more, s.add("Conv", held, s.normal(4, 4, 1, 1)))

    (one,) = findings("float-activations", examined(activated("Tanh")))
    assert "shoestring compile" in one.cure
    refused = examined(single(lambda s: build(s, "Erf"), 1, 3, 8, 8))
    assert refused.native_refusal is not None
    for disease in ("float-activations", "outside-operators"):
        assert all("shoestring compile" not in one.cure for one in findings(disease, refused))


def test_a_constant_that_only_bounds_values_poisons_nothing():
    bounded = single(lambda s: s.add("Max", "x", s.constant(-1e4, "float32")), "n", 8)
    assert look("padding-constants", examined(bounded)) == []


def test_a_clip_whose_minimum_is_no_single_number_is_no_relu():
    def build(s: Sketch) -> str:
        made = s.add("Conv", "x", s.normal(4, 3, 1, 1))
        return s.add("Clip", made, s.constant([0.0, 0.0], "float32"))

    model = single(build, "n", 3, 8, 8)
    assert "padding-constants" in diagnose(examined(model)).healthy
