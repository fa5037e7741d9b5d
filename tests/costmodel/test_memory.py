"""Predicted memory: the arithmetic by hand, the verdicts, and the real thing measured."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from shoestring.analysis import features_of
from shoestring.chips.published import published_networks
from shoestring.costmodel.memory import ELSEWHERE, constants, fits, predict_flash, predict_memory, process_memory
from shoestring.costmodel.rss import peak_rss_bytes
from shoestring.domain.chip import STATUSES, Chip, Figure
from shoestring.domain.estimate import Estimate, NoClaim
from shoestring.domain.features import Features, Uncovered
from shoestring.importers import import_model

RESNET = replace(published_networks()["resnet18", "224x224x3"], peak_activation_elems=1_003_520)
DEMO = Path(__file__).resolve().parents[2] / "examples" / "cifar10_main.onnx"


def board(usable: float | None, kind: str = "board") -> Chip:
    figure = None if usable is None else Figure(usable, "bytes", "a test", "2026-01-01", "measured")
    nothing = dict.fromkeys(
        ("isa_source", "memory", "bandwidth", "power", "ambient_low", "ambient_high", "price", "hourly")
    )
    lists = ("rows", "host", "isa", "clusters", "peaks", "precisions", "accelerators", "runtimes", "coolings")
    return Chip(
        name="b", title="B", kind=kind, soc="s", usable=figure, throttle=(), notes=(),
        **dict.fromkeys(lists, ()), **nothing,
    )  # fmt: skip


def claimed(features: Features = RESNET, runtime: str = "onnxruntime", precision: str = "int8") -> Estimate:
    found = predict_memory(features, board(None), runtime=runtime, precision=precision)
    assert isinstance(found, Estimate)
    return found


def test_every_constant_has_its_source() -> None:
    for one in constants():
        assert one.source
        assert one.date.startswith("2026-")
        assert one.status in STATUSES
        assert 0 < one.spread < 1


def test_the_sum_by_hand() -> None:
    line = next(one for one in constants() if (one.runtime, one.precision) == ("onnxruntime", "fp32"))
    found = claimed(precision="fp32")
    parts = line.base_bytes + line.per_weight * 4 * RESNET.params + line.per_activation * 4 * 1_003_520
    assert found.value == pytest.approx(parts)
    assert found.high / found.value - 1 == pytest.approx((line.spread**2 + ELSEWHERE**2) ** 0.5)
    assert found.low < found.value < found.high


def test_eight_bits_take_less_and_a_program_less_still() -> None:
    assert claimed(precision="int8").value < claimed(precision="fp32").value
    assert claimed(runtime="native").high < claimed().low


def test_no_claim_where_nothing_was_measured() -> None:
    unknown = predict_memory(RESNET, board(None), runtime="tensorrt", precision="fp16")
    assert isinstance(unknown, NoClaim)
    assert "tensorrt in fp16" in unknown.why
    table = published_networks()["resnet18", "224x224x3"]
    assert isinstance(predict_memory(table, board(None), runtime="native", precision="int8"), NoClaim)


def test_an_operator_without_a_term_widens() -> None:
    found = claimed(replace(RESNET, uncovered=(Uncovered("NonMaxSuppression", 2, 100),)))
    assert found.high > claimed().high
    assert found.value == claimed().value
    assert "NonMaxSuppression (2)" in found.widened[0]


def test_fits_only_when_the_whole_interval_does() -> None:
    found = claimed()
    assert fits(found, board(found.high + 1)) == "yes"
    assert fits(found, board(found.value)) == "unsure"
    assert fits(found, board(found.low - 1)) == "no"
    assert fits(found, board(None)) == "unsure"
    assert fits(NoClaim("nothing"), board(1e12)) == "unsure"


def test_a_microcontroller_is_judged_by_its_ram() -> None:
    chip = board(1_000_000, "microcontroller")
    found = predict_memory(RESNET, chip, runtime="native", precision="int8")
    assert isinstance(found, Estimate)
    assert found.value == pytest.approx(16_800 + 0.85 * 1_003_520)
    assert fits(found, chip) == "unsure"
    assert predict_flash(RESNET, "int8").value > RESNET.params


def test_mobilenet_on_an_stm32h7_as_its_maker_measured() -> None:
    """MobileNetV1 0.25 at 224 pixels: 289.34 KiB of RAM and 282.74 KiB of flash, of which 214.69 are weights."""
    quarter = replace(RESNET, params=int(214.69 * 1024), peak_activation_elems=8 * 112 * 112 + 16 * 112 * 112)
    ram = process_memory(quarter, runtime="stm32cube-ai", precision="int8", process="mcu")
    assert isinstance(ram, Estimate)
    assert ram.low < 289.34 * 1024 < ram.high
    flash = predict_flash(quarter, "int8")
    assert flash.low < 282.74 * 1024 < flash.high


def test_the_demo_measured_here_lies_in_its_interval(tmp_path: Path) -> None:
    model = import_model(DEMO, tmp_path / "demo.onnx")
    found = claimed(features_of(model), precision="fp32")
    measured = peak_rss_bytes(model.path, "onnxruntime", 1)
    assert found.low < measured < found.high
    # The check can fail: a network of a tenth of the weights is claimed to take less than was measured.
    small = replace(features_of(model), params=model.path.stat().st_size // 400, peak_activation_elems=0)
    assert not claimed(small, precision="int8").low < measured < claimed(small, precision="int8").high
