"""Forecasts over all ways to run a model on a chip, and advice over all chips."""

from __future__ import annotations

from dataclasses import replace

import pytest

from chip_of import chip, figure
from shoestring.base.errors import UsageError
from shoestring.chips.loading import shipped_catalogue
from shoestring.chips.published import published_networks, published_rows
from shoestring.costmodel.money import Assumptions
from shoestring.domain.estimate import Estimate, NoClaim
from shoestring.domain.features import Features, Uncovered
from shoestring.domain.forecast import Job
from shoestring.planning import Wish, advise, predict
from shoestring.planning.forecasting import Knowledge, rate_of
from shoestring.planning.ways import ways

KNOWN = Knowledge(published_rows(), published_networks(), Assumptions())
MOBILENET = replace(published_networks()["mobilenet_v2", "224x224x3"], name="my_net", peak_activation_elems=2_400_000)
PI = shipped_catalogue()["raspberry-pi-4b-4gb"]


def test_the_best_way_is_the_fastest_that_fits() -> None:
    found = predict(MOBILENET, PI, KNOWN)
    assert found.best is not None and isinstance(found.best.latency, Estimate)
    rates = [one.rate.value for one in found.forecasts if isinstance(one.rate, Estimate)]
    assert rates == sorted(rates, reverse=True) and rates[0] == 1000 / found.best.latency.value
    assert found.best.fits == "yes"
    for one in found.forecasts:
        if isinstance(one.latency, Estimate):
            assert one.latency.low < one.latency.value < one.latency.high
            assert one.latency.rests_on and one.latency.protocol and one.latency.confidence == 0.9


def test_published_latencies_lie_in_the_intervals_of_their_settings() -> None:
    """The networks of ncnn's list on a Pi 4 under another name, so that only their counts speak."""
    inside = []
    for row in published_rows():
        counts = published_networks().get((row.model, row.input))
        if (row.chip, row.runtime, row.precision, row.threads) == ("rpi4b", "ncnn", "fp32", 4) and counts is not None:
            found = (
                predict(replace(counts, name="unnamed"), PI, KNOWN, wish=Wish("ncnn", "fp32", 4)).forecasts[0].latency
            )
            assert isinstance(found, Estimate) and row.latency_ms is not None
            inside.append(found.low <= row.latency_ms <= found.high)
    assert len(inside) > 15 and sum(inside) >= 0.7 * len(inside)


def test_what_is_too_large_for_the_chip_is_never_the_best() -> None:
    small = replace(PI, usable=figure(1e6, "bytes"))
    found = predict(MOBILENET, small, KNOWN)
    assert found.best is None and all(one.fits == "no" for one in found.forecasts if isinstance(one.memory, Estimate))


def test_a_wish_narrows_and_an_impossible_one_names_what_is_known() -> None:
    found = predict(MOBILENET, PI, KNOWN, wish=Wish(runtime="ncnn", precision="int8"))
    assert {one.combination.precision for one in found.forecasts} == {"int8"}
    with pytest.raises(UsageError, match=r"no way .* runtime tensorrt") as caught:
        predict(MOBILENET, PI, KNOWN, wish=Wish(runtime="tensorrt"))
    assert "ncnn fp32" in (caught.value.hint or "")
    with pytest.raises(UsageError, match=r"9 threads are outside 1\.\.4"):
        predict(MOBILENET, PI, KNOWN, wish=Wish(threads=9))


def test_an_operator_that_no_feature_covers_is_named_and_widens() -> None:
    odd = replace(MOBILENET, uncovered=(Uncovered("NonMaxSuppression", 2, 500_000),))
    plain, wide = (predict(one, PI, KNOWN, wish=Wish("ncnn", "fp32", 4)) for one in (MOBILENET, odd))
    assert any("NonMaxSuppression" in words for words in wide.warnings)
    first, second = plain.forecasts[0].latency, wide.forecasts[0].latency
    assert isinstance(first, Estimate) and isinstance(second, Estimate)
    assert second.high / second.low > first.high / first.low
    assert any("NonMaxSuppression" in words for words in second.widened)


def test_ones_own_measurement_comes_first() -> None:
    theirs = published_rows()[0]
    own = replace(
        theirs,
        chip="rpi4b",
        model="my_net",
        input="224x224x3",
        runtime="onnxruntime",
        device="cpu",
        precision="fp32",
        threads=4,
        latency_ms=55.0,
        ghz=None,
        conditions="",
        flags="",
    )
    known = replace(KNOWN, rows=(*published_rows(), own))
    found = predict(MOBILENET, PI, known, wish=Wish("onnxruntime", "fp32", 4)).forecasts[0].latency
    assert isinstance(found, Estimate)
    assert found.ground == "measured" and found.value == pytest.approx(55.0)
    other = replace(MOBILENET, conv1x1_macs=2 * MOBILENET.conv1x1_macs)
    moved = predict(other, PI, replace(known, networks={**KNOWN.networks, ("my_net", "224x224x3"): MOBILENET}))
    assert all(one.latency.ground != "measured" for one in moved.forecasts if isinstance(one.latency, Estimate))


def test_a_runtime_without_rows_is_wider_than_ncnn() -> None:
    found = predict(MOBILENET, PI, KNOWN, wish=Wish(precision="fp32", threads=4))
    widths = {
        one.combination.runtime: one.latency.high / one.latency.low
        for one in found.forecasts
        if isinstance(one.latency, Estimate)
    }
    assert widths["onnxruntime"] > 1.3 * widths["ncnn"]


def test_a_chip_of_which_nothing_is_known_has_no_claim() -> None:
    bare = chip(clusters=(replace(chip().clusters[0], core="Unheard-Of"),))
    found = predict(MOBILENET, bare, KNOWN)
    assert found.best is None
    assert all(isinstance(one.latency, NoClaim) and len(one.latency.why) > 20 for one in found.forecasts)


def test_the_rate_of_a_latency_turns_its_interval_round() -> None:
    turned = rate_of(Estimate(20.0, 10.0, 40.0, "ms", "calibrated", ("x",), "y"))
    assert (turned.value, turned.low, turned.high, turned.unit) == (50.0, 25.0, 100.0, "1/s")


def test_every_chip_of_the_catalogue_has_a_way() -> None:
    for one in shipped_catalogue().values():
        assert ways(one, published_rows()), one.name


JOB = Job(fps=10.0, max_price_usd=100.0, ambient_celsius=35.0, minutes=5.0)


def advice(job: Job = JOB, features: Features = MOBILENET):  # type: ignore[no-untyped-def]
    return advise(features, shipped_catalogue().values(), job, KNOWN)[0]


def test_every_board_is_weighed_and_each_refusal_has_its_reason() -> None:
    found = advice()
    assert len(found.boards) == len(shipped_catalogue())
    order = {"yes": 0, "maybe": 1, "no": 2}
    assert [order[one.verdict] for one in found.boards] == sorted(order[one.verdict] for one in found.boards)
    for one in found.boards:
        assert (one.verdict == "yes") == (not one.reasons)
        if one.verdict == "yes":
            assert one.price_usd is not None and one.price_usd <= 100 and one.price_date
    sure = [one.price_usd for one in found.boards if one.verdict == "yes"]
    assert sure == sorted(sure) and sure


def test_limits_refuse_with_the_value_and_the_limit() -> None:
    by = {one.chip: one for one in advice().boards}
    assert any("at most 100 wanted" in words for words in by["kria-kv260"].reasons)
    slow = {one.chip: one for one in advice(replace(JOB, fps=2000.0)).boards}
    assert any("2000 wanted" in words for words in slow["raspberry-pi-zero-2w"].reasons)
    hot = {one.chip: one for one in advice(replace(JOB, ambient_celsius=84.0)).boards}
    assert any("ambient 84 C" in words for words in hot["raspberry-pi-4b-4gb"].reasons)
    frugal = {one.chip: one for one in advice(replace(JOB, max_watts=0.1)).boards}
    assert any("at most 0.1 wanted" in words for words in frugal["raspberry-pi-4b-4gb"].reasons)


def test_a_network_too_large_for_a_microcontroller_is_refused_for_it() -> None:
    by = {one.chip: one for one in advice().boards}
    assert by["stm32-nucleo-h7a3"].verdict == "no"


@pytest.mark.parametrize("wrong", [{"fps": 0.0}, {"max_price_usd": -5.0}, {"max_watts": float("nan")}])
def test_a_job_that_makes_no_sense_is_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(UsageError):
        advice(replace(JOB, **wrong))  # type: ignore[arg-type]
