"""Each ground answers when it is the firmest one, and nothing is guessed in silence."""

from __future__ import annotations

from dataclasses import replace

import pytest

from shoestring.chips.published import published_networks, published_rows
from shoestring.costmodel.latency.predict import predict_latency
from shoestring.domain.chip import Chip, Cluster, Figure
from shoestring.domain.estimate import Estimate, NoClaim
from shoestring.domain.features import Features, Uncovered
from shoestring.domain.measured import Row

NET = replace(published_networks()["resnet18", "224x224x3"], name="mine")


def _chip(name: str, *, rows: tuple[str, ...] = (), core: str = "Cortex-A72", ghz: float = 1.5) -> Chip:
    clock = Figure(ghz, "GHz", "a test", "2026-01-01", "unverified")
    return Chip(
        name=name, title=name, kind="board", soc="x", rows=rows, host=(), isa=(), isa_source=None,
        clusters=(Cluster(core, 4, clock),), memory=None, usable=None, bandwidth=None, peaks=(), precisions=(),
        accelerators=(), runtimes=(), power=None, coolings=(), throttle=(), ambient_low=None, ambient_high=None,
        price=None, hourly=None, notes=(),
    )  # fmt: skip


PI4 = _chip("raspberry-pi-4b-4gb", rows=("rpi4b",))


def _said(features: Features, chip: Chip, **more: object) -> Estimate:
    answer = predict_latency(features, chip, **more)  # type: ignore[arg-type]
    assert isinstance(answer, Estimate), answer
    assert answer.low < answer.value < answer.high
    return answer


def _mine(chip: str, model: str, ms: float, **more: object) -> Row:
    row = next(row for row in published_rows() if row.chip == "rpi4b" and row.runtime == "ncnn")
    plain = replace(row, chip=chip, model=model, input="224x224x3", precision="fp32", threads=4, latency_ms=ms)
    changed = replace(plain, flags="", conditions="", source="own", ghz=None)
    return replace(changed, **more)  # type: ignore[arg-type]


def test_a_measured_network_is_answered_by_its_rows() -> None:
    said = _said(published_networks()["mobilenet_v2", "224x224x3"], PI4, threads=4)
    rows = [
        row.latency_ms
        for row in published_rows()
        if (row.chip, row.model, row.runtime, row.threads, row.device) == ("rpi4b", "mobilenet_v2", "ncnn", 4, "cpu")
    ]
    assert said.ground == "measured"
    assert min(filter(None, rows)) * 0.999 <= said.value <= max(filter(None, rows)) * 1.001


def test_a_network_of_the_table_uses_what_it_did_on_other_chips() -> None:
    known = {row.model for row in published_rows() if (row.chip, row.runtime, row.threads) == ("rpi4b", "ncnn", 4)}
    (model, size) = next(key for key in published_networks() if key[0] not in known and "_int8" not in key[0])
    said = _said(published_networks()[model, size], PI4, threads=4)
    assert said.ground == "transfer"
    assert "chips" in said.rests_on[0]


def test_an_unknown_network_on_a_chip_of_the_table_is_calibrated() -> None:
    """A twin of a measured network comes out near it."""
    twin = replace(published_networks()["mobilenet_v2", "224x224x3"], name="mine")
    said = _said(twin, PI4, threads=4)
    truth = _said(published_networks()["mobilenet_v2", "224x224x3"], PI4, threads=4)
    assert said.ground == "calibrated"
    assert said.value == pytest.approx(truth.value, rel=0.35)


def test_specifications_follow_the_clock_and_are_wider() -> None:
    slow, fast = _chip("a", ghz=1.0), _chip("b", ghz=2.0)
    first, second = _said(NET, slow), _said(NET, fast)
    assert first.ground == second.ground == "specifications"
    assert first.value == pytest.approx(2 * second.value)
    assert first.high / first.low > _said(NET, PI4).high / _said(NET, PI4).low


def test_own_rows_anchor_and_move_only_that_chip() -> None:
    chip = _chip("mine", ghz=1.5)
    before = _said(NET, chip, threads=4)
    twin = published_networks()["mobilenet_v2", "224x224x3"]
    there = _said(replace(twin, name="x"), chip, threads=4)
    rows = (*published_rows(), _mine("mine", "mobilenet_v2", 2 * there.value))
    after = _said(NET, chip, threads=4, rows=rows)
    assert after.ground == "anchored"
    assert after.value > 1.15 * before.value
    assert _said(NET, PI4, threads=4, rows=rows).value == pytest.approx(_said(NET, PI4, threads=4).value)


def test_a_network_measured_elsewhere_is_transferred() -> None:
    """Slower than it should be on a Pi 3B+ by a half, so slower on the Pi 4 too."""
    alone = _said(NET, PI4, threads=4)
    pi3 = _said(NET, _chip("p", rows=("rpi3b+",)), threads=4)
    rows = (*published_rows(), _mine("rpi3b+", "mine", 1.5 * pi3.value))
    said = _said(NET, PI4, threads=4, rows=rows, networks={("mine", "224x224x3"): NET})
    assert said.ground == "transfer"
    assert said.value > 1.1 * alone.value


def test_another_runtime_is_claimed_only_where_it_was_measured() -> None:
    assert isinstance(predict_latency(NET, PI4, runtime="onnxruntime"), NoClaim)
    rows = list(published_rows())
    for name in ("mobilenet_v2", "squeezenet", "mnasnet", "googlenet", "resnet50", "shufflenet_v2"):
        for (model, size), counts in published_networks().items():
            if model == name:
                ms = 1.7 * _said(counts, PI4, threads=4).value
                rows.append(replace(_mine("rpi4b", name, ms, runtime="onnxruntime"), input=size))
    said = _said(NET, PI4, runtime="onnxruntime", threads=4, rows=rows)
    assert said.ground == "calibrated"
    assert said.value == pytest.approx(1.7 * _said(NET, PI4, threads=4).value, rel=0.3)


def test_an_operator_without_a_term_widens_and_is_named() -> None:
    strange = replace(NET, uncovered=(Uncovered("GridSample", 3, NET.act_elems // 5),))
    plain, wide = _said(NET, PI4), _said(strange, PI4)
    assert wide.high / wide.low > plain.high / plain.low
    assert "GridSample" in wide.widened[0]
    assert plain.widened == ()


@pytest.mark.parametrize(
    ("chip", "more", "word"),
    [
        (_chip("x", core="Unheard-of"), {}, "cores is not known"),
        (PI4, {"precision": "int4"}, "int4"),
        (PI4, {"precision": "fp16"}, "fp32"),
        (PI4, {"device": "npu"}, "npu"),
    ],
)
def test_no_claim_says_what_is_missing(chip: Chip, more: dict[str, str], word: str) -> None:
    answer = predict_latency(NET, chip, **more)  # type: ignore[arg-type]
    assert isinstance(answer, NoClaim)
    assert word in answer.why


def test_a_network_measured_by_oneself_there_is_answered_by_ones_own_rows() -> None:
    """Own rows come before other people's, with an interval of their own."""
    known = published_networks()["mobilenet_v2", "224x224x3"]
    theirs = _said(known, PI4, threads=4)
    rows = (*published_rows(), _mine("rpi4b", "mobilenet_v2", 2 * theirs.value))
    mine = _said(known, PI4, threads=4, rows=rows)
    assert mine.ground == "measured"
    assert mine.value == pytest.approx(2 * theirs.value)
    assert mine.high / mine.low < theirs.high / theirs.low


def test_a_core_nobody_knows_is_stood_in_for_once_its_own_rows_are_there() -> None:
    strange = replace(_chip("box", rows=("box",), core="Mystery 9", ghz=3.0), isa=("avx2", "fma", "sse4_1"))
    assert isinstance(predict_latency(NET, strange, threads=1), NoClaim)
    names = ("mobilenet", "mobilenet_v2", "googlenet", "resnet50", "shufflenet_v2", "vgg16", "mnasnet")
    twin = replace(_chip("twin"), rows=("celeron_n5105",))
    rows = [
        _mine("box", row.model, 0.5 * (row.latency_ms or 0), threads=1)
        for row in published_rows()
        if (row.chip, row.input, row.threads, row.precision) == ("celeron_n5105", "224x224x3", 1, "fp32")
        and row.model in names
    ]
    assert len(rows) >= 5
    found = _said(NET, strange, threads=1, rows=[*published_rows(), *rows])
    like = _said(NET, twin, threads=1)
    assert 0.3 * like.value < found.value < 0.75 * like.value
    assert "not in our table: taken for Gracemont" in found.widened[-1]
