"""From a bundle's ladder to the governor's plans."""

from __future__ import annotations

from dataclasses import replace

import pytest

from factory import make_bundle_parts
from shoestring.chips.loading import chip_named
from shoestring.device.live.plans import plans_of, quality
from shoestring.domain.ladder import Ladder


@pytest.fixture(scope="module")
def ladder() -> Ladder:
    return make_bundle_parts().manifest.ladder


def test_every_rung_is_a_certified_plan_from_cheap_to_dear(ladder: Ladder) -> None:
    plans = plans_of(ladder, None)
    assert {plan.name for plan in plans} == {rung.name for rung in ladder.rungs}
    assert all(plan.certified and plan.load_watts is None for plan in plans)
    assert [plan.busy_s for plan in plans] == sorted(plan.busy_s for plan in plans)
    for plan in plans:
        rung = ladder.rung(plan.name)
        timing = rung.candidate.cost.at(rung.threads)
        assert plan.busy_s == pytest.approx(timing.median_ms / 1000)
        assert plan.busy_high_s >= plan.busy_s
        assert plan.memory_bytes == rung.candidate.cost.peak_rss_bytes


def test_quality_is_the_lower_end_and_never_below_the_certificate(ladder: Ladder) -> None:
    rung = next(rung for rung in ladder.rungs if rung.certificate is not None)
    score, certificate = rung.candidate.score, rung.certificate
    assert certificate is not None
    tight = replace(score, drop_low=-0.01, drop_high=certificate.max_drop / 2)
    assert quality(tight, certificate) == pytest.approx(score.original - certificate.max_drop / 2)
    wide = replace(score, drop_low=-0.01, drop_high=certificate.max_drop * 5)
    assert quality(wide, certificate) == pytest.approx(score.original - certificate.max_drop)
    assert quality(wide, None) == pytest.approx(score.original - certificate.max_drop * 5)
    better = replace(score, drop_low=-0.03, drop_high=-0.01)
    assert quality(better, certificate) == score.original, "no rung is worth more than the original"


def test_watts_are_those_of_the_busy_cores(ladder: Ladder) -> None:
    chip = chip_named("raspberry-pi-4b-4gb")
    assert chip.power is not None
    whole = chip.power.load.value - chip.power.idle.value
    for plan in plans_of(ladder, chip):
        assert plan.load_watts == pytest.approx(whole * ladder.rung(plan.name).threads / 4)


def test_what_was_never_measured_is_no_plan(ladder: Ladder) -> None:
    fewer = replace(ladder, rungs=ladder.rungs[:1])
    assert [plan.name for plan in plans_of(fewer, None)] == [ladder.rungs[0].name]
