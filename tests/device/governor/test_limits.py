"""What each limit does: watts, battery, supply, memory, deadline, failures, pins, and a board that nobody knows."""

from __future__ import annotations

import itertools

import pytest

from governing import board, counted, drive, excursions, ladder, model_of, sound, watts_of
from shoestring.base.errors import UsageError
from shoestring.device.governor import Limits, Policy, RungPlan, Work
from shoestring.device.sensors.readings import Readings
from shoestring.device.simulated.board import Truth
from shoestring.device.simulated.faults import BoardFault

PI4, PI5 = "raspberry-pi-4b-4gb", "raspberry-pi-5-8gb"


def steady(governor: Policy, seconds: int, readings=None, work=None, state=None, now: float = 0.0):
    """Decisions once a second on the same readings."""
    state = governor.start() if state is None else state
    found = []
    for _ in range(seconds):
        now += 1
        given = Readings(now, celsius=40.0) if readings is None else readings(now)
        state, decision = governor.decide(state, given, Work() if work is None else work(state), now)
        found.append(decision)
    return state, found


def served(state) -> Work:
    """An engine that does what it is asked."""
    busy_s = next((plan.busy_s for plan in ladder() if plan.name == state.course.rung), 0.05)
    return Work(answered=round(state.course.rate), busy_s=busy_s, slow_s=busy_s * 1.3)


def test_the_best_rung_that_does_the_wanted_rate_runs():
    governor = Policy(ladder(), Limits(rate=3.0), None)
    assert steady(governor, 1)[1][0].rung == "dear"
    assert steady(Policy(ladder(), Limits(rate=8.0), None), 1)[1][0].rung == "middle"
    _, (decision,) = steady(Policy(ladder(), Limits(rate=50.0), None), 1)
    assert (decision.rung, decision.rate) == ("cheap", 20.0)


def test_below_the_least_rate_quality_is_given_first():
    """At about a watt the good rung does 1.2/s, worth 1.1, the poor one 2.6/s, worth 0.8."""
    plans = (RungPlan("good", 0.9, True, 0.25, 0.28, 3.4), RungPlan("poor", 0.3, True, 0.12, 0.14, 3.4))
    for least, expected in ((0.0, "good"), (1.0, "good"), (4.0, "poor")):
        governor = Policy(plans, Limits(rate=50, watts=2.9, least_rate=least), model_of(PI4))
        assert steady(governor, 1)[1][0].rung == expected


def test_a_failing_rung_is_left_alone_longer_each_time():
    governor = Policy(ladder(), Limits(rate=50.0), None)
    state, _ = steady(governor, 5, work=served)
    times = []
    now = 5.0
    for _ in range(3):
        state, decision = governor.decide(state, Readings(now), Work(failed=(("cheap", 1),)), now + 1)
        assert decision.rung == "middle" and decision.reason == "failed"
        hold = next(one for one in state.holds if one.rung == "cheap")
        times.append(hold.until_s - now - 1)
        state, found = steady(governor, 3000, work=served, state=state, now=now + 1)
        now += 3001
        assert found[-1].rung == "cheap"
        back = next(one.at_s for one in found if one.rung == "cheap")
        assert back >= hold.until_s
    assert times == [30.0, 60.0, 120.0]


def test_when_every_certified_rung_fails_the_board_rests_unless_degrading_is_allowed():
    gone = Work(failed=(("dear", 1), ("middle", 1), ("cheap", 1)))
    for allowed, expected in ((False, None), (True, "degraded")):
        governor = Policy(ladder(), Limits(rate=50.0, allow_degraded=allowed), None)
        state, _ = steady(governor, 3, work=served)
        assert state.course.rung == "cheap"
        _, decision = governor.decide(state, Readings(4.0), gone, 4.0)
        assert (decision.rung, decision.reason) == (expected, "failed")


def test_a_pinned_rung_stays_and_only_its_rate_falls():
    governor = Policy(ladder(), Limits(rate=30.0, celsius=70.0, pinned="dear"), model_of(PI4))
    seen = drive(governor, board(PI4, 1, 40.0, truth=Truth()), 3600)
    assert {one.decision.rung for one in seen} <= {"dear", None} and excursions(seen, 70.0) == []
    assert seen[-1].decision.rate < 4.0


def test_pins_that_make_no_sense_are_refused():
    for pinned in ("nobody", "degraded"):
        with pytest.raises(UsageError, match=pinned):
            Policy(ladder(), Limits(rate=1.0, pinned=pinned), None)
    assert Policy(ladder(), Limits(rate=1.0, pinned="degraded", allow_degraded=True), None)


@pytest.mark.parametrize(
    "limits",
    [{"rate": 0.0}, {"rate": float("nan")}, {"rate": 1.0, "celsius": 500.0}, {"rate": 1.0, "watts": -1.0},
     {"rate": 1.0, "deadline_s": 0.0}, {"rate": 1.0, "least_rate": -1.0}, {"rate": 1.0, "hours": 0.0}],
)  # fmt: skip
def test_limits_out_of_range_are_refused(limits):
    with pytest.raises(UsageError):
        Policy(ladder(), Limits(**limits), None)


def test_too_little_free_memory_leads_to_a_smaller_rung():
    governor = Policy(ladder(), Limits(rate=3.0), None)
    state, _ = steady(governor, 20, work=served)
    low = lambda now: Readings(now, memory_free_bytes=10 << 20)  # noqa: E731
    state, found = steady(governor, 30, low, served, state, 20.0)
    assert [found[0].rung, found[0].reason] == ["middle", "memory"]
    assert found[-1].rung == "cheap"
    state, found = steady(governor, 600, lambda now: Readings(now, memory_free_bytes=1 << 30), served, state, 50.0)
    assert found[-1].rung == "dear"


def test_rungs_above_the_memory_limit_never_run():
    governor = Policy(ladder(), Limits(rate=3.0, memory_bytes=50 << 20), None)
    assert {one.rung for one in steady(governor, 200, work=served)[1]} == {"cheap"}


def test_a_deadline_is_kept_by_the_slowest_that_may_happen():
    assert steady(Policy(ladder(), Limits(rate=1.0, deadline_s=0.27), None), 1)[1][0].rung == "middle"
    governor = Policy(ladder(), Limits(rate=1.0, deadline_s=0.03), None)
    decision = steady(governor, 1)[1][0]
    assert decision.rung == "cheap" and decision.numbers["deadline_kept"] is False


def test_answers_that_come_too_late_lead_to_a_faster_rung():
    governor = Policy(ladder(), Limits(rate=3.0, deadline_s=0.3), None)
    state, found = steady(governor, 10, work=lambda state: Work(3, busy_s=0.25, slow_s=0.29))
    assert found[-1].rung == "dear"
    late = lambda state: Work(3, busy_s=0.25, slow_s=0.4)  # noqa: E731
    state, found = steady(governor, 3, work=late, state=state, now=10.0)
    assert [one.rung for one in found] == ["dear", "dear", "middle"] and found[-1].reason == "deadline"


def test_an_engine_that_is_slower_than_planned_gets_less_or_is_left():
    """Another program takes half the processor: the dear rung can no longer do what is wanted, the middle one can."""
    governor = Policy(ladder(), Limits(rate=3.9), None)
    state, found = steady(governor, 10, work=lambda state: Work(4, busy_s=0.25))
    assert found[-1].rung == "dear"
    _, found = steady(governor, 60, work=lambda state: Work(2, busy_s=0.5), state=state, now=10.0)
    assert found[-1].rung == "middle" and "busy" in {one.reason for one in found}


def cooling(seconds: float) -> float:
    return max(20.0, 45.0 - seconds / 120)


def test_a_climb_that_brings_nothing_is_given_up_and_waits_longer_each_time():
    """An engine that does seven a second, whatever its plan says; the air cools, and there is room for more."""
    governor = Policy(ladder(), Limits(rate=20.0, celsius=75.0), model_of(PI4))
    seen = drive(
        governor, board(PI4, 0, cooling, truth=Truth()), 6 * 3600, supply=7.0
    )  # fmt: skip
    given_up = [one for one in seen if one.decision.reason == "no effect"]
    assert [one.after.course.climb_backoff_s for one in given_up[:3]] == [120.0, 240.0, 480.0]
    for one, later in itertools.pairwise(given_up):
        until = one.after.course.climb_from_s
        assert later.after.course.trial is None and later.decision.at_s >= until
        between = [at for at in counted(seen) if one.decision.at_s < at < until]
        assert between == []
    assert len(counted(seen)) <= 6 * 6


def test_where_little_comes_in_no_more_is_given_until_more_comes():
    """Two pictures a second for an hour, then as many as one likes: no climb before, and one soon after."""
    governor = Policy(ladder(), Limits(rate=20.0, celsius=75.0), model_of(PI4))
    on = board(PI4, 0, cooling, truth=Truth())
    seen = drive(governor, on, 3600, supply=2.0)
    assert len(counted(seen)) <= 2 and "no effect" not in {one.decision.reason for one in seen}
    plans = {plan.name: plan for plan in governor.plans}
    state, work, before = seen[-1].after, seen[-1].work, seen[-1].decision.rate
    for _ in range(150):
        state, decision = governor.decide(state, on.look(), work, on.now_s)
        work = on.advance(1.0, plans[decision.rung or "cheap"], decision.rate)
    assert decision.rate > 1.5 * before


def test_watts_are_kept_as_a_mean_of_a_minute_with_a_meter_and_nearly_without():
    for metered, slack in ((True, 1.0), (False, 1.16)):
        governor = Policy(ladder(), Limits(rate=30.0, watts=3.5), model_of(PI4))
        on = board(PI4, 0, 20.0, truth=Truth(idle=1.14, load=1.14), metered=metered)
        seen = drive(governor, on, 600)
        watts = [1.6 * 1.14 + 1.14 * watts_of(governor, one.decision, one.after) for one in seen]
        means = [sum(watts[i : i + 60]) / 60 for i in range(300, len(watts) - 60)]
        assert max(means) <= 3.5 * slack and max(means) > 2.9


def test_watts_of_a_board_that_nobody_knows_and_nobody_meters_are_kept_low():
    governor = Policy(ladder(), Limits(rate=20.0, watts=3.0), None)
    _, found = steady(governor, 600, work=served)
    assert all(one.rate <= 5.0 for one in found) and found[-1].numbers["binding"] == "watts"


@pytest.mark.parametrize("metered", [True, False])
def test_a_battery_lasts_as_long_as_was_asked(metered):
    on = board(PI4, 0, 20.0, truth=Truth(load=1.1), battery_wh=20.0, metered=metered)
    governor = Policy(ladder(), Limits(rate=30.0, battery_wh=20.0, hours=8.0), model_of(PI4))
    seen = drive(governor, on, 8 * 3600)
    left = on.state().battery_wh
    assert left is not None and 0 < left < 1.5
    assert len(counted(seen)) < 20 and seen[3600].decision.numbers["binding"] == "battery"


def test_saboteur_without_the_battery_limit_empties_it():
    on = board(PI4, 0, 20.0, truth=Truth(), battery_wh=20.0)
    drive(Policy(ladder(), Limits(rate=30.0), model_of(PI4)), on, 8 * 3600)
    assert on.state().battery_wh == 0.0


def test_a_weak_supply_gets_less_load_and_is_tried_again_later_each_time():
    weak = BoardFault("supply", 300, 1e9, 3.5)
    on = board(PI4, 0, 20.0, truth=Truth(), faults=(weak,))
    governor = Policy(ladder(), Limits(rate=30.0, celsius=80.0), model_of(PI4))
    seen = drive(governor, on, 4 * 3600)
    sagged = [one.decision.at_s for one in seen if one.readings.under_voltage]
    assert sagged and len(sagged) < 60
    first = next(one for one in seen if one.readings.under_voltage)
    assert first.decision.reason == "under-voltage"
    again = [at for at, before in zip(sagged[1:], sagged, strict=False) if at - before > 60]
    assert len(again) <= 8 and sound(governor, seen) == []


def test_a_board_without_a_model_is_governed_by_the_slope_and_says_so():
    governor = Policy(ladder(), Limits(rate=30.0, celsius=75.0), None)
    seen = drive(governor, board(PI4, 3, 35.0, truth=Truth()), 3 * 3600)
    assert excursions(seen, 75.0) == [] and seen[100].decision.numbers["thermal_model"] is False
    late = [one.decision.rate for one in seen[3600:]]
    assert min(late) > 0 and sum(late) / len(late) > 4.0


def test_a_board_without_a_model_and_without_a_thermometer_gets_a_quarter():
    governor = Policy(ladder(), Limits(rate=30.0, celsius=75.0), None)
    _, found = steady(governor, 300, lambda now: Readings(now), served)
    assert {(one.rung, one.rate) for one in found} == {("cheap", 5.0)}


def test_a_thermometer_that_is_cool_while_the_kernel_throttles_is_not_believed():
    governor = Policy(ladder(), Limits(rate=30.0, celsius=80.0), model_of(PI4))
    state, _ = steady(governor, 5, work=served)
    _, decision = governor.decide(state, Readings(6.0, celsius=40.0, throttled=True, clock=0.6), served(state), 6.0)
    assert decision.reason == "assume hot" and decision.rate < 3
