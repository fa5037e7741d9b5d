"""Every disease: a model that has it, its healthy twin, and figures that are counted by hand."""

from __future__ import annotations

import numpy as np
import pytest

from diagnosis.patients import (
    activated,
    examined,
    findings,
    float_net,
    gaps,
    healthy,
    images,
    look,
    quantized_conv,
    remarks,
    single,
)
from native.qdq_models import Sketch
from shoestring.diagnosis import DISEASES
from shoestring.diagnosis.diseases.outlier_weights import spoilt_rows
from shoestring.diagnosis.diseases.saturation import saturating_share

PHOTOS = images(8, 3, 16, 16)


@pytest.mark.parametrize("disease", [one.id for one in DISEASES])
def test_a_healthy_network_has_no_disease(disease):
    examination = examined(healthy(), batches=PHOTOS)
    found = [one for one in findings(disease, examination) if one.severity != "note"]
    assert found == []


def padded_pool(value: float, *, quantize: float | None = None) -> bytes:
    """A max pool of stride 1 behind a Pad with `value`, and a Conv that reads it."""

    def build(s: Sketch) -> str:
        pads = s.constant([0, 0, 0, 0, 0, 0, 1, 1], "int64")
        padded = s.add("Pad", "x", pads, s.constant(value, "float32"))
        if quantize is not None:
            padded = s.pair(padded, quantize, 200)
        return s.add("Conv", s.add("MaxPool", padded, kernel_shape=[2, 2]), s.normal(4, 3, 3, 3))

    return single(build, "n", 3, 16, 16)


def test_a_padding_constant_is_named_with_the_steps_that_it_leaves():
    (one,) = findings("padding-constants", examined(padded_pool(-1e4), batches=PHOTOS))
    (evidence,) = one.evidence
    reach = max(np.abs(PHOTOS[0]["x"]).max(), 0)
    assert evidence.figures["constant_magnitude"] == 1e4
    assert evidence.figures["values_magnitude"] == pytest.approx(reach)
    assert evidence.figures["levels_left"] == pytest.approx(510 * reach / (1e4 + reach))
    assert "-10000" in evidence.seen and "MaxPool" in one.cure


def test_a_small_padding_constant_is_found_with_images_and_listed_as_not_examined_without():
    assert findings("padding-constants", examined(padded_pool(-100.0), batches=PHOTOS))
    without = examined(padded_pool(-100.0))
    assert findings("padding-constants", without) == []
    assert gaps("padding-constants", without) == [
        "padding constants below 1000 cannot be set against the values: no images were given (--data)"
    ]


def test_padding_with_zero_and_pads_of_the_pool_itself_are_healthy():
    assert look("padding-constants", examined(padded_pool(0.0), batches=PHOTOS)) == []
    own = single(lambda s: s.add("MaxPool", "x", kernel_shape=[2, 2], pads=[0, 0, 1, 1]), "n", 3, 16, 16)
    assert look("padding-constants", examined(own)) == []


def test_a_quantizer_that_clips_the_constant_is_healthy_and_one_that_covers_it_is_not():
    assert findings("padding-constants", examined(padded_pool(-1e4, quantize=0.03))) == []
    (one,) = findings("padding-constants", examined(padded_pool(-1e4, quantize=40.0)))
    assert one.severity == "harms" and one.evidence[0].figures["scale"] == pytest.approx(40)


def clipped_head(high: float | None, *, scale: float | None = None) -> bytes:
    """Gemm on (n, 8), with a Clip at `high` or a quantizer with `scale` before the output."""

    def build(s: Sketch) -> str:
        made = s.add("Gemm", "x", s.constant(np.eye(8), "float32"))
        if high is not None:
            made = s.add("Clip", made, s.constant(-high, "float32"), s.constant(high, "float32"))
        return made if scale is None else s.pair(made, scale, 128)

    return single(build, "n", 8)


HEADS = [{"x": np.linspace(-2, 2, 800, dtype=np.float32).reshape(100, 8)}]


def test_a_clip_before_the_output_is_measured():
    (one,) = findings("clipped-outputs", examined(clipped_head(1.0), batches=HEADS))
    beyond = np.mean(np.abs(HEADS[0]["x"]) > 1 + 0.5 * 2 / 255)
    assert one.severity == "harms"
    assert one.evidence[0].figures["share_beyond"] == pytest.approx(beyond, abs=0.01)
    assert findings("clipped-outputs", examined(clipped_head(3.0), batches=HEADS)) == []
    assert findings("clipped-outputs", examined(clipped_head(1.0)))[0].severity == "may harm"


def test_a_quantized_output_is_set_against_the_values():
    narrow, wide = clipped_head(None, scale=0.004), clipped_head(None, scale=0.016)
    (one,) = findings("clipped-outputs", examined(narrow, batches=HEADS))
    assert one.evidence[0].figures["limit_high"] == pytest.approx(127 * 0.004)
    assert one.evidence[0].figures["seen_high"] == pytest.approx(2.0, abs=0.01)
    assert look("clipped-outputs", examined(wide, batches=HEADS)) == []
    assert gaps("clipped-outputs", examined(wide)) != []


def big_pairs(first: int, second: int) -> np.ndarray:
    """(4, 4, 1, 1): in each channel one pair (first, second) and one of small weights."""
    return np.tile(np.array([first, second, 1, 2]), (4, 1)).reshape(4, 4, 1, 1)


@pytest.mark.parametrize(("pair", "share"), [((64, 65), 0.5), ((64, 64), 0.0), ((127, -127), 0.0), ((-64, -65), 0.5)])
def test_saturating_pairs_are_counted_at_the_edge_of_16_bits(pair, share):
    (layer,) = examined(quantized_conv(big_pairs(*pair))).layers
    assert saturating_share(layer) == share


def test_pairs_are_neighbours_among_input_channels_not_along_the_kernel():
    codes = np.zeros((1, 2, 1, 2), int)
    codes[0, 0] = 100  # side by side in the kernel, but two channels apart
    (layer,) = examined(quantized_conv(codes)).layers
    assert saturating_share(layer) == 0
    (layer,) = examined(quantized_conv(codes.transpose(0, 3, 2, 1))).layers
    assert saturating_share(layer) == 0.5


def test_saturation_depends_on_the_target():
    model = quantized_conv(big_pairs(100, 100))
    assert findings("saturation", examined(model, target="x86"))[0].severity == "harms"
    assert findings("saturation", examined(model, target="sse4_1"))
    for target in ("x86-64-avx512vnni", "x86-64-avxvnni", "arm", "avx2,avx_vnni"):
        assert findings("saturation", examined(model, target=target)) == []
        assert "50 % of all weight pairs" in remarks("saturation", examined(model, target=target))[0]
    assert look("saturation", examined(quantized_conv(big_pairs(60, 60)))) == []


def test_of_a_float_model_the_scheme_is_said():
    assert "7-bit weights" in remarks("saturation", examined(healthy(), target="x86"))[0]
    assert "8-bit weights and int8" in remarks("saturation", examined(healthy(), target="arm"))[0]


def test_depthwise_layers_do_not_saturate():
    codes = np.full((4, 1, 3, 3), 127)
    assert look("saturation", examined(quantized_conv(codes, groups=4))) == []


def uneven(factor: float) -> tuple[np.ndarray, np.ndarray]:
    """Depthwise and pointwise weights: channel 0 is `factor` times smaller, and multiplied up again."""
    rng = np.random.default_rng(3)
    depthwise, mix = rng.uniform(0.2, 0.5, (8, 1, 3, 3)), rng.uniform(0.2, 0.5, (8, 8, 1, 1))
    depthwise[0] /= factor
    mix[:, 0] *= factor
    return depthwise, mix


def test_uneven_channels_are_found_in_weights_and_on_images():
    depthwise, mix = uneven(3_000.0)
    examination = examined(scaled_bias(depthwise, mix), batches=PHOTOS)
    weights, activations = findings("uneven-channels", examination)
    assert weights.severity == "may harm" and weights.evidence[0].figures["lost_channels"] == 1
    assert activations.severity == "harms" and activations.evidence[0].figures["channels_that_matter"] == 1
    assert activations.evidence[0].figures["ratio"] > 1_000
    assert len(findings("uneven-channels", examined(scaled_bias(depthwise, mix)))) == 1
    assert "no images" in gaps("uneven-channels", examined(scaled_bias(depthwise, mix)))[0]


def scaled_bias(depthwise: np.ndarray, mix: np.ndarray) -> bytes:
    """A depthwise layer without bias between ReLUs, and a pointwise one."""

    def build(s: Sketch) -> str:
        first = s.add("Relu", s.add("Conv", "x", s.normal(8, 3, 3, 3), pads=[1] * 4))
        held = s.add("Conv", first, s.constant(depthwise, "float32"), pads=[1] * 4, group=8)
        return s.add("Conv", s.add("Relu", held), s.constant(mix, "float32"))

    return single(build, "n", 3, 16, 16)


def test_channels_that_nobody_multiplies_up_are_no_disease():
    depthwise, mix = uneven(3_000.0)
    mix[:, 0] /= 3_000.0
    assert findings("uneven-channels", examined(scaled_bias(depthwise, mix), batches=PHOTOS)) == []


def islands_net(*, every: bool) -> bytes:
    """Conv -> Add in 8 bits -> Elu; with `every` the Conv is 8 bits too, else the Add is a lone island."""

    def build(s: Sketch) -> str:
        if every:
            made = s.pair(s.add("Conv", s.pair("x"), s.weight8(8, 3, 3, 3)), 0.04)
        else:
            made = s.pair(s.add("Conv", "x", s.normal(8, 3, 3, 3)), 0.04)
        added = s.pair(s.add("Add", made, made), 0.08)
        return s.add("Elu", added)

    return single(build, 1, 3, 10, 10)


def test_a_lone_island_is_counted_with_its_conversions():
    (one,) = findings("islands", examined(islands_net(every=False)))
    assert one.severity == "harms"
    assert one.evidence[0].figures == {
        "operators": 1.0,
        "macs": 0.0,
        "conversions": 2.0,
        "converted_elements": 2 * 8 * 8 * 8,
    }
    assert findings("islands", examined(islands_net(every=True))) == []
    assert look("islands", examined(healthy())) == []


def test_islands_of_unknown_shape_are_not_examined():
    def build(s: Sketch) -> str:
        return s.add("Elu", s.pair(s.add("Add", s.pair("x"), s.pair("x"))))

    assert "shapes are not known" in gaps("islands", examined(single(build, "n", "m")))[0]


def test_operators_outside_a_set_are_named():
    strange = single(lambda s: s.add("Erf", s.add("Conv", "x", s.normal(4, 3, 1, 1))), "n", 3, 8, 8)
    found = findings("outside-operators", examined(strange))
    assert [one.evidence[0].where for one in found] == ["Erf"] * 3
    assert {one.severity for one in found} == {"note"}
    asked = findings("outside-operators", examined(strange, target="edge-tpu"))
    assert [one.severity for one in asked] == ["note", "note", "harms"]
    assert look("outside-operators", examined(healthy())) == []


def test_what_the_compiler_refuses_for_another_reason_is_told_in_its_words():
    examination = examined(single(lambda s: s.add("Relu", "x"), 4, 3, 8, 8))
    assert "a batch of 4" in str(examination.native_refusal)
    assert findings("outside-operators", examination)[0].evidence[0].seen == examination.native_refusal


def test_dead_channels_are_counted_and_broken_scales_harm():
    depthwise = np.random.default_rng(0).normal(0, 0.3, (8, 1, 3, 3))
    depthwise[2:4] = 0
    (one,) = findings("dead-channels", examined(float_net(depthwise=depthwise)))
    assert one.severity == "note" and one.evidence[0].figures["channels"] == 2
    codes = np.full((4, 2, 1, 1), 50)
    (broken,) = findings("dead-channels", examined(quantized_conv(codes, scale=[0.1, 0.0, 0.1, 0.1])))
    assert broken.severity == "harms" and broken.evidence[0].figures["channels"] == 1
    assert look("dead-channels", examined(quantized_conv(codes, scale=[0.1] * 4))) == []


def test_an_outlier_that_rounds_its_channel_to_zero_is_found():
    rng = np.random.default_rng(1)
    rows = rng.normal(0, 0.01, (4, 64))
    rows[2, 5] = 10.0
    assert spoilt_rows(rows).tolist() == [False, False, True, False]
    pruned = np.where(rng.uniform(size=rows.shape) < 0.9, 0.0, rows)
    pruned[2, 5] = 0.0
    assert not spoilt_rows(pruned).any()
    weights = rows.reshape(4, 64, 1, 1)
    sick = single(lambda s: s.add("Conv", "x", s.constant(weights, "float32")), "n", 64, 8, 8)
    (one,) = findings("outlier-weights", examined(sick))
    assert one.evidence[0].figures["channels"] == 1 and "channel 2" in one.evidence[0].seen


def test_one_scale_on_a_depthwise_layer_is_found_with_its_poor_channels():
    codes = np.full((4, 1, 3, 3), 100)
    codes[1:3] = 5
    (one,) = findings("depthwise-one-scale", examined(quantized_conv(codes, groups=4)))
    assert one.severity == "harms" and one.evidence[0].figures["poor_channels"] == 2
    assert (
        findings("depthwise-one-scale", examined(quantized_conv(np.full((4, 1, 3, 3), 100), groups=4)))[0].severity
        == "may harm"
    )
    assert look("depthwise-one-scale", examined(quantized_conv(codes, groups=4, scale=[0.1, 0.01, 0.01, 0.1]))) == []
    assert look("depthwise-one-scale", examined(quantized_conv(np.full((4, 2, 1, 1), 5)))) == []


def test_a_batch_norm_that_the_import_cannot_fold_is_named():
    def build(s: Sketch, first: str) -> str:
        rest = [s.constant(np.ones(3), "float32") for _ in range(4)]
        return s.add("BatchNormalization", first, *rest)

    before = single(lambda s: s.add("Conv", build(s, s.add("Relu", "x")), s.normal(4, 3, 3, 3)), "n", 3, 8, 8)
    (one,) = findings("batch-norm-left", examined(before))
    assert "behind Relu" in one.evidence[0].seen
    behind = single(lambda s: build(s, s.add("Conv", "x", s.normal(3, 3, 3, 3))), "n", 3, 8, 8)
    assert look("batch-norm-left", examined(behind)) == []


def test_activations_that_stay_in_float_are_counted():
    for operator in ("Elu", "Tanh", "Softplus"):
        (one,) = findings("float-activations", examined(activated(operator)))
        assert one.evidence[0].figures["elements"] == 4 * 8 * 8
    for operator in ("Relu", "LeakyRelu", "Sigmoid", "HardSwish"):
        assert look("float-activations", examined(activated(operator))) == [], "our quantizer takes it"


def test_an_activation_between_codes_is_no_float_activation():
    def build(s: Sketch, between: bool) -> str:
        made = s.pair(s.add("Conv", s.pair("x"), s.weight8(4, 3, 3, 3)))
        held = s.add("LeakyRelu", made)
        return s.add("Conv", s.pair(held), s.weight8(4, 4, 1, 1)) if between else s.add("Neg", held)

    assert look("float-activations", examined(single(lambda s: build(s, True), 1, 3, 8, 8))) == []
    assert findings("float-activations", examined(single(lambda s: build(s, False), 1, 3, 8, 8)))


def test_a_softmax_before_the_output_is_a_note_and_harms_in_8_bits():
    def build(s: Sketch, quantize: bool) -> str:
        made = s.add("Softmax", s.add("Gemm", "x", s.normal(8, 4)))
        return s.pair(made, 1 / 255, 0) if quantize else made

    assert [
        one.severity for one in findings("softmax-inside", examined(single(lambda s: build(s, False), "n", 8)))
    ] == ["note"]
    found = findings("softmax-inside", examined(single(lambda s: build(s, True), "n", 8)))
    assert [one.severity for one in found] == ["may harm"]
    inner = single(lambda s: s.add("Gemm", s.add("Softmax", "x"), s.normal(8, 4)), "n", 8)
    assert look("softmax-inside", examined(inner)) == []


def test_open_shapes_and_large_batches_are_found():
    open_side = single(lambda s: s.add("Relu", "x"), "n", "tokens", 8)
    assert findings("open-shapes", examined(open_side))[0].evidence[0].figures == {"free_dimensions": 1.0}
    batch = single(lambda s: s.add("Relu", "x"), 4, 3, 8, 8)
    assert findings("open-shapes", examined(batch))[0].evidence[0].figures == {"batch": 4.0}
    for first in ("n", 1):
        assert look("open-shapes", examined(single(lambda s: s.add("Relu", "x"), first, 3, 8, 8))) == []


def test_numbers_beyond_half_precision_are_found_in_weights_and_activations():
    mask = single(lambda s: s.add("Add", "x", s.constant(-1e9, "float32")), "n", 8)
    assert findings("fp16-overflow", examined(mask))[0].evidence[0].figures["magnitude"] == pytest.approx(1e9)
    large = single(
        lambda s: s.add("Mul", s.add("Mul", "x", s.constant(1e4, "float32")), s.constant(1e3, "float32")), "n", 8
    )
    assert findings("fp16-overflow", examined(large)) == []
    assert "no images" in gaps("fp16-overflow", examined(large))[0]
    (one,) = findings("fp16-overflow", examined(large, batches=HEADS))
    assert one.evidence[0].figures["magnitude"] == pytest.approx(2e7)


def test_nan_in_weights_and_infinity_in_activations_are_found():
    weights = np.ones((8, 4))
    weights[3, 1] = np.nan
    sick = single(lambda s: s.add("Gemm", "x", s.constant(weights, "float32")), "n", 8)
    assert findings("not-finite", examined(sick))[0].evidence[0].figures == {"values": 1.0}
    log = single(lambda s: s.add("Log", s.add("Abs", "x")), "n", 8)
    assert findings("not-finite", examined(log)) == []
    (one,) = findings("not-finite", examined(log, batches=[{"x": np.zeros((2, 8), np.float32)}]))
    assert one.severity == "harms" and one.evidence[0].figures == {"channels": 8.0}
