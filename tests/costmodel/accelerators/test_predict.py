"""Claims about engines beside the processor: from rows, from a peak, or none."""

from __future__ import annotations

from dataclasses import replace

import pytest

from chip_of import chip, figure
from shoestring.chips.loading import catalogue
from shoestring.chips.published import published_networks, published_rows
from shoestring.costmodel.accelerators import accelerator_combinations, predict_accelerator
from shoestring.costmodel.accelerators.edge_tpu import HOSTS, edge_tpu_sample
from shoestring.costmodel.accelerators.points import network, points
from shoestring.domain.chip import Peak
from shoestring.domain.estimate import Estimate, NoClaim
from shoestring.domain.features import Features, Uncovered

NETWORKS = published_networks()
MOBILENET = NETWORKS["mobilenet_v2", "224x224x3"]
RESNET = NETWORKS["resnet50", "224x224x3"]


def edge(features: Features, name: str = "coral-dev-board") -> Estimate:
    found = predict_accelerator(features, catalogue()[name], device="edgetpu", runtime="litert", precision="int8")
    assert isinstance(found, Estimate)
    return found


def test_every_engine_of_the_catalogue_has_a_claim_or_says_why_not() -> None:
    engines = 0
    for one in catalogue().values():
        for way in accelerator_combinations(one):
            engines += 1
            found = predict_accelerator(MOBILENET, one, device=way.device, runtime=way.runtime, precision=way.precision)
            if isinstance(found, Estimate):
                assert 0 < found.low < found.value < found.high
                assert found.rests_on and found.protocol
            else:
                assert len(found.why) > 20
    assert engines > 20


def test_the_edge_tpu_falls_off_its_cliff() -> None:
    stays = edge(replace(MOBILENET, params=6_000_000))
    over = edge(replace(MOBILENET, params=12_000_000))
    assert over.value > 2 * stays.value
    assert edge(replace(MOBILENET, params=18_000_000)).value - over.value == pytest.approx(
        edge(replace(MOBILENET, params=24_000_000)).value - edge(replace(MOBILENET, params=18_000_000)).value
    )


def test_a_published_latency_of_the_edge_tpu_lies_in_its_interval() -> None:
    found = edge(replace(MOBILENET, conv1x1_macs=280_000_000, params=3_500_000))
    assert found.low < 2.6 < found.high


def test_the_usb_stick_on_a_pi_is_slower_than_the_board() -> None:
    assert edge(RESNET, "coral-usb-accelerator").value > edge(RESNET).value


def test_spellings_of_one_network_are_left_out_together() -> None:
    models = edge_tpu_sample(published_rows(), "PCIe", MOBILENET).models
    assert "googlenetv1" not in models and models.count("inception v1") > 3
    assert network("MobileNet v1 1.0") == network("mobilenet_v1_1.0_224_quant") == "mobilenet v1"


def test_a_slip_of_a_unit_in_the_table_is_not_believed() -> None:
    rows = [row for row in published_rows() if row.model == "ResNet-50v15" and row.device == "edgetpu"]
    assert rows and all(row.macs_m == 5e9 for row in rows)
    assert {point.macs for point in points(rows, streaming=False)} == {4.1e9}


def test_hailo_gives_a_rate_and_no_latency() -> None:
    way = accelerator_combinations(catalogue()["hailo-8l"])[0]
    found = predict_accelerator(
        RESNET, catalogue()["hailo-8l"], device=way.device, runtime=way.runtime, precision=way.precision
    )
    assert isinstance(found, Estimate)
    assert found.unit == "1/s" and "no latency" in found.protocol


def test_an_engine_that_nobody_measured_rests_on_its_peak() -> None:
    peak = Peak("npu", "int8", figure(4000, "Gop/s"))
    found = predict_accelerator(MOBILENET, chip(peaks=(peak,)), device="npu", runtime="vendor", precision="int8")
    assert isinstance(found, Estimate)
    assert found.ground == "specifications" and found.high / found.low > 9
    twice = replace(peak, rate=figure(8000, "Gop/s"))
    half = predict_accelerator(MOBILENET, chip(peaks=(twice,)), device="npu", runtime="vendor", precision="int8")
    assert isinstance(half, Estimate) and half.value == pytest.approx(found.value / 2)


def test_without_rows_and_peaks_nothing_is_claimed() -> None:
    found = predict_accelerator(MOBILENET, chip(), device="npu", runtime="vendor", precision="int8")
    assert isinstance(found, NoClaim) and "0 rows" in found.why


def test_an_operator_without_a_count_widens_the_interval_and_is_named() -> None:
    odd = replace(MOBILENET, uncovered=(Uncovered("NonMaxSuppression", 1, 1000),))
    plain, wide = edge(MOBILENET), edge(odd)
    assert wide.value == plain.value and wide.high > 1.2 * plain.high
    assert any("NonMaxSuppression" in words for words in wide.widened)


def test_a_network_beyond_every_row_widens_the_interval() -> None:
    huge = replace(RESNET, conv1x1_macs=10**12, params=10**9)
    assert any("larger than every network" in words for words in edge(huge).widened)


def test_every_host_of_the_edge_tpu_has_rows() -> None:
    assert {row.chip for row in published_rows() if row.device == "edgetpu"} >= set(HOSTS)
