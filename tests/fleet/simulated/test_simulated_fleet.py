"""A bad bundle among simulated devices, by the production rules."""

from __future__ import annotations

import pytest

from shoestring.fleet.simulated import fleet as fleets
from shoestring.fleet.simulated.fleet import Fleet, Plan
from shoestring.fleet.simulated.world import DAY_S, START_S, WrongClock

SMALL = {"devices": 700, "waves": (10, 40, 100)}


@pytest.mark.parametrize("seed", [1, 2])
def test_only_the_first_wave_meets_the_bad_bundle_and_all_end_with_the_mended_one(seed):
    fleet = Fleet(Plan(seed, **SMALL))
    outcome = fleet.run()
    assert outcome.halts >= 1
    assert outcome.outside == 0
    assert 0 < outcome.failed <= outcome.took_bad <= 110
    assert outcome.dark == outcome.older == 0
    assert outcome.converged_s is not None
    assert {device.active for device in fleet.devices} == {fleet.mended.sha256}
    assert {sha256 for device in fleet.devices for sha256 in device.refused} == {fleet.bad.sha256}
    assert outcome.kept == outcome.reports


def test_the_saboteur_that_promotes_without_looking_lets_it_out(monkeypatch):
    monkeypatch.setattr(fleets, "LONGEST_S", 6 * DAY_S)
    outcome = Fleet(Plan(1, halted=False, **SMALL)).run()
    assert outcome.outside > 100
    assert outcome.converged_s is None


def test_a_small_wave_proves_nothing_and_waits(monkeypatch):
    monkeypatch.setattr(fleets, "LONGEST_S", 5 * DAY_S)
    outcome = Fleet(Plan(1, devices=300, fails=0.0, waves=(1, 100))).run()
    assert (outcome.outside, outcome.halts > 10, outcome.revoked_s) == (0, True, None)


@pytest.mark.parametrize("kind", ["1970", "ahead", "behind", "steps"])
def test_wrong_clocks_hold_nobody_back_for_good(kind):
    fleet = Fleet(Plan(3, wrong_clocks=0.0, partition=0.0, **SMALL))
    for device in fleet.devices[::5]:
        device.clock = WrongClock(kind, START_S + 4 * DAY_S, 3650 * DAY_S)
    outcome = fleet.run()
    assert outcome.converged_s is not None
    assert outcome.dark == outcome.older == outcome.outside == 0
    assert outcome.kept == outcome.reports


def test_the_same_seed_is_the_same_fleet():
    one, other = (Fleet(Plan(5, **SMALL)).run() for _ in range(2))
    assert one == other
