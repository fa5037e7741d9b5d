"""Rules that hold whatever comes in, by random runs; and broken policies that the same rules catch."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from governing import (
    blind_and_hot,
    board,
    busiest_hour,
    climbs_without_room,
    drive,
    excursions,
    ladder,
    model_of,
    sound,
)
from shoestring.device.governor import Limits, Policy, Work, moves, outlook, policy, thermal
from shoestring.device.sensors.readings import Fault, Readings
from shoestring.device.simulated.board import Truth
from shoestring.device.simulated.faults import BoardFault

PI4, PI5 = "raspberry-pi-4b-4gb", "raspberry-pi-5-8gb"
NUMBERS = st.one_of(
    st.none(), st.floats(-300, 300), st.sampled_from([-89.0, -256.0, 1e6, math.nan, math.inf, -math.inf, 0.0])
)
READINGS = st.builds(
    Readings,
    at_s=st.just(0.0),
    celsius=NUMBERS,
    watts=NUMBERS,
    clock=st.one_of(st.none(), st.floats(0, 1)),
    memory_free_bytes=st.one_of(st.none(), st.integers(0, 1 << 32)),
    throttled=st.one_of(st.none(), st.booleans()),
    under_voltage=st.one_of(st.none(), st.booleans()),
    battery_wh=NUMBERS,
    on_battery=st.one_of(st.none(), st.booleans()),
    faults=st.sampled_from([(), (Fault("celsius", "stuck", "60"),), (Fault("watts", "missing"),)]),
)
WORKS = st.builds(
    Work,
    answered=st.integers(0, 500),
    dropped=st.integers(0, 500),
    busy_s=st.one_of(st.none(), st.floats(1e-5, 10)),
    slow_s=st.one_of(st.none(), st.floats(1e-5, 10)),
    failed=st.sampled_from([(), (("cheap", 1),), (("dear", 2), ("middle", 1)), (("nobody", 1),)]),
)
LIMITS = st.builds(
    Limits,
    rate=st.floats(0.01, 200),
    celsius=st.one_of(st.none(), st.floats(30, 100)),
    watts=st.one_of(st.none(), st.floats(0.5, 12)),
    deadline_s=st.one_of(st.none(), st.floats(0.001, 2)),
    memory_bytes=st.one_of(st.none(), st.integers(1 << 20, 1 << 28)),
    battery_wh=st.one_of(st.none(), st.floats(0.1, 100)),
    hours=st.one_of(st.none(), st.floats(0.01, 100)),
    pinned=st.sampled_from([None, "cheap", "dear"]),
    allow_degraded=st.booleans(),
    least_rate=st.floats(0, 50),
)
CASES = st.fixed_dictionaries(
    {
        "limits": LIMITS,
        "board": st.sampled_from([None, PI4, PI5]),
        "load": st.sampled_from([None, 3.4]),
        "steps": st.lists(st.tuples(READINGS, WORKS, st.floats(0, 500)), min_size=1, max_size=25),
    }
)


@settings(max_examples=150, deadline=None)
@given(CASES)
def test_whatever_comes_in_decisions_are_sound(case):
    """Never an uncertified rung without leave, never another than the pinned one, never more than asked, all finite."""
    governor = Policy(ladder(case["load"]), case["limits"], case["board"] and model_of(case["board"]))
    state, now = governor.start(), 0.0
    certified = {"dear", "middle", "cheap"}
    for readings, work, seconds in case["steps"]:
        now += seconds
        state, decision = governor.decide(state, readings, work, now)
        assert decision.rung in {*certified, None} or case["limits"].allow_degraded
        assert case["limits"].pinned is None or decision.rung in (None, case["limits"].pinned)
        assert 0 <= decision.rate <= case["limits"].rate and (decision.rate > 0) == (decision.rung is not None)
        assert decision.reason in policy.REASONS
        assert all(math.isfinite(value) for value in decision.numbers.values() if isinstance(value, float))


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 1000), st.floats(20, 45), st.sampled_from([PI4, PI5]))
def test_no_climb_without_room(seed, air, chip):
    governor = Policy(ladder(), Limits(rate=20, celsius=80), model_of(chip))
    seen = drive(governor, board(chip, seed, air), 1200)
    assert sound(governor, seen) == [] and climbs_without_room(governor, seen) == []


def swinging(seconds: float) -> float:
    """A day's wave, faster: 8 K either way in three hours."""
    return 33 + 8 * math.sin(2 * math.pi * seconds / 10800)


def hot_run(limit: float = 80.0, seconds: float = 4 * 3600):
    governor = Policy(ladder(), Limits(rate=30, celsius=limit), model_of(PI4))
    return governor, drive(governor, board(PI4, 2, swinging, truth=Truth(resistance=1.2)), seconds)


def test_a_swinging_day_keeps_the_limit_with_few_moves():
    governor, seen = hot_run()
    assert excursions(seen, 80.0) == [] and busiest_hour(seen) <= 6 and climbs_without_room(governor, seen) == []


def test_saboteur_without_dwell_moves_too_often(monkeypatch):
    monkeypatch.setattr(moves, "TRIM_S", 0.0)
    monkeypatch.setattr(moves, "CLIMB_S", 0.0)
    monkeypatch.setattr(moves, "RESUME_S", 0.0)
    monkeypatch.setattr(moves, "MOST_MOVES", 10**6)
    monkeypatch.setattr(moves, "TRIM_GAIN", 1.0)
    monkeypatch.setattr(moves, "CLIMB_GAIN", 1.0)
    monkeypatch.setattr(moves, "DEEPER", dict.fromkeys(range(7), 0.2))
    _, seen = hot_run(seconds=2 * 3600)
    assert busiest_hour(seen) > 6


def test_saboteur_that_looks_at_the_thermometer_only_climbs_without_room(monkeypatch):
    """A threshold in place of a forecast: everything is allowed until the limit is there."""

    def threshold(model, moments, heat, watts, limit):
        allowed = math.inf if heat.celsius < limit - 1 else 0.0
        return outlook.Ceiling(min(allowed, 1e3), min(allowed, 1e3), heat.celsius, 0.0, False)

    honest = outlook.ceiling
    governor = Policy(ladder(), Limits(rate=30, celsius=80), model_of(PI4))
    monkeypatch.setattr("shoestring.device.governor.caps.ceiling", threshold)
    seen = drive(governor, board(PI4, 2, swinging, truth=Truth(resistance=1.2)), 3600)
    assert outlook.ceiling is honest
    assert climbs_without_room(governor, seen) != []


LOST = (BoardFault("lies", 900, 1000, -89), BoardFault("missing", 1200, 1300), BoardFault("lies", 1500, 1600, 1e6))


def lost_run():
    governor = Policy(ladder(), Limits(rate=30, celsius=80), model_of(PI4))
    return governor, drive(governor, board(PI4, 1, 25.0, faults=LOST), 1800)


def test_without_a_thermometer_it_is_hot_at_the_next_decision():
    governor, seen = lost_run()
    lost = [one for one in seen if one.readings.celsius is None]
    assert len(lost) == 300 and blind_and_hot(governor, seen) == []
    assert all(one.decision.rung == "cheap" and one.decision.rate < 3 for one in lost)
    assert lost[0].decision.reason == "assume hot"


def test_saboteur_that_goes_on_with_the_last_temperature_is_caught(monkeypatch):
    last = [25.0]

    def trusting(readings):
        if readings.celsius is not None:
            last[0] = readings.celsius
        return last[0]

    monkeypatch.setattr(policy, "_believed", trusting)
    governor, seen = lost_run()
    assert blind_and_hot(governor, seen) != []


def fan_run():
    governor = Policy(ladder(6.9), Limits(rate=30, celsius=80), model_of(PI5))
    return drive(governor, board(PI5, 3, 40.0, truth=Truth(), faults=(BoardFault("fan", 1800, 5400),)), 7200)


def test_a_fan_that_stops_is_seen_in_seconds_and_seen_again():
    seen = fan_run()
    stopped = [one.decision.at_s for one in seen if one.after.heat.stopped]
    assert 1800 < stopped[0] <= 1810 and 5400 < stopped[-1] <= 5700
    assert excursions(seen, 80.0) == []


def test_saboteur_that_never_doubts_the_fan_goes_over(monkeypatch):
    monkeypatch.setattr(thermal, "DOUBT_ENOUGH", math.inf)
    monkeypatch.setattr(outlook, "BLIND_S", 1e-9)
    assert excursions(fan_run(), 80.0) != []


@pytest.mark.parametrize("chip", [PI4, PI5, "jetson-nano-4gb", "coral-dev-board"])
@pytest.mark.parametrize("seed", [1, 2])
def test_every_board_keeps_its_limit_through_a_fault(chip, seed):
    model = model_of(chip)
    fault = BoardFault("fan", 3600, 5400) if model.fan else BoardFault("air", 3600, 5400, 1.4)
    limit = 55.0 if chip == "jetson-nano-4gb" else 78.0
    governor = Policy(ladder(model.load_watts - model.idle_watts), Limits(rate=30, celsius=limit), model)
    seen = drive(governor, board(chip, seed, lambda s: 28 + 4 * math.sin(s / 900), faults=(fault,)), 3 * 3600)
    assert excursions(seen, limit) == [] and sound(governor, seen) == []


KINDS = [("lies", -89.0), ("lies", -256.0), ("lies", 1e6), ("stuck", 0.0), ("late", 0.0)]


@pytest.mark.parametrize("chip", [PI4, PI5, "jetson-nano-4gb", "coral-dev-board"])
@pytest.mark.parametrize(("kind", "value"), KINDS)
def test_the_safe_load_runs_at_the_decision_after_a_sensor_fails(chip, kind, value):
    """Forty boards and airs for each board and fault: 800 cases."""
    model = model_of(chip)
    for seed in range(40):
        fault = BoardFault(kind, 20.0, 30.0, value)
        governor = Policy(ladder(model.load_watts - model.idle_watts), Limits(rate=30, celsius=80), model)
        seen = drive(governor, board(chip, seed, 5.0 + seed, faults=(fault,)), 25)
        assert seen[20].readings.celsius is None and blind_and_hot(governor, seen) == []
        assert seen[20].decision.rung in ("cheap", None) and seen[20].decision.numbers["binding"] == "assume hot"
