"""When a rung that failed is tried again, and when it is left alone."""

from __future__ import annotations

import math

from hypothesis import given
from hypothesis import strategies as st

from shoestring.device.supervise.failures import History, Policy, after_failure, next_try_s, resting, usable

POLICY = Policy()


def failed(*times_s: float, policy: Policy = POLICY) -> History:
    history = History()
    for at_s in times_s:
        history = after_failure(history, at_s, policy)
    return history


def test_the_first_restart_costs_no_wait_and_each_further_one_doubles_it():
    assert next_try_s(History(), POLICY) == -math.inf
    patient = Policy(times=100)
    waits = [next_try_s(failed(*range(count), policy=patient), patient) - (count - 1) for count in range(1, 12)]
    assert waits == [0.0, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 60.0, 60.0, 60.0]


def test_what_is_long_ago_is_forgotten():
    assert next_try_s(failed(0.0, 301.0), POLICY) == 301.0
    assert next_try_s(failed(0.0, 299.0), POLICY) == 299.5


def test_three_failures_within_five_minutes_send_a_rung_to_rest_for_ten():
    assert not resting(failed(0.0, 200.0), 200.0)
    assert not resting(failed(0.0, 200.0, 350.0), 350.0)
    history = failed(0.0, 200.0, 290.0)
    assert resting(history, 290.0) and resting(history, 889.9) and not resting(history, 890.0)
    assert not usable(history, 300.0) and usable(history, 890.0)


def test_each_further_rest_is_twice_as_long_until_an_hour_without_one():
    history = failed(0.0, 1.0, 2.0)
    history = after_failure(after_failure(after_failure(history, 700.0, POLICY), 701.0, POLICY), 702.0, POLICY)
    assert history.rests_until_s == 702.0 + 1200.0
    for hours, rest_s in ((0.9, 2400.0), (1.1, 600.0)):
        start_s = history.rests_until_s + hours * 3600
        for at_s in (start_s, start_s + 1, start_s + 2):
            history = after_failure(history, at_s, POLICY)
        assert history.rests_until_s == start_s + 2 + rest_s


def test_a_rest_is_not_drawn_out_by_failures_within_it():
    """Where every rung rests, one of them runs all the same."""
    history = failed(0.0, 1.0, 2.0)
    assert after_failure(history, 3.0, POLICY).rests_until_s == history.rests_until_s


@given(st.lists(st.floats(0.0, 5000.0), min_size=1, max_size=40), st.integers(1, 5))
def test_the_rules_hold_whatever_happens(gaps_s, times):
    policy = Policy(times=times)
    history, now, recent = History(), 0.0, []
    for gap_s in gaps_s:
        now += gap_s
        was_resting = resting(history, now)
        history = after_failure(history, now, policy)
        recent = [one for one in recent if now - one <= policy.within_s] + [now]
        assert history.failed_s == tuple(recent)
        assert now <= next_try_s(history, policy) <= now + policy.most_wait_s
        assert resting(history, now) == (was_resting or len(recent) >= times)
        assert history.rests_until_s is None or history.rests_until_s <= now + policy.most_rest_s
