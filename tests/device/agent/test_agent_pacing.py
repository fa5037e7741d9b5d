"""A fleet never comes all at once."""

from __future__ import annotations

import hashlib
import math
from collections import Counter

import pytest

from proof_scale import SCALE
from shoestring.base.errors import UsageError
from shoestring.device.agent.pacing import MAX_RETRY_AFTER_S, Pace, pace_of

DEVICES = [hashlib.sha256(f"device {i}".encode()).hexdigest() for i in range(2000 * min(SCALE, 50))]
EVERY_S = 900.0


def busiest(times: list[float], within_s: float) -> float:
    """Largest share of all that falls into one slice of time."""
    slices = Counter(int(time_s / within_s) for time_s in times)
    return max(slices.values()) / len(times)


def test_a_fleet_that_is_switched_on_together_spreads_over_the_whole_period():
    times = [pace_of(device, EVERY_S).first_s() for device in DEVICES]
    assert min(times) >= 0
    assert max(times) < EVERY_S
    assert abs(sum(times) / len(times) - EVERY_S / 2) < 4 * EVERY_S / math.sqrt(12 * len(times))
    assert busiest(times, EVERY_S / 30) < 2 / 30


def test_a_fleet_stays_spread_after_many_looks():
    ends = []
    for device in DEVICES[:500]:
        pace = pace_of(device, EVERY_S)
        ends.append((pace.first_s() + sum(pace.next_s(0) for _ in range(50))) % EVERY_S)
    assert busiest(ends, EVERY_S / 10) < 0.2


def test_a_fleet_whose_server_was_away_a_day_comes_back_spread():
    """Shares of the fleet that ask within one slice of 30 s after the server is back."""
    times = []
    for device in DEVICES[:500]:
        pace = pace_of(device, EVERY_S)
        now_s, failures = pace.first_s(), 0
        while now_s < 86_400.0:
            failures += 1
            now_s += pace.next_s(failures)
        times.append(now_s - 86_400.0)
    assert max(times) < 4 * EVERY_S
    assert busiest(times, 30.0) < 0.1


def test_waits_after_failures_double_up_to_a_limit_and_start_at_nothing():
    def limit_s(failures: int) -> float:
        return Pace(EVERY_S, lambda: 1.0).next_s(failures)

    assert [limit_s(n) for n in range(1, 9)] == [30, 60, 120, 240, 480, 960, 1920, 3600]
    assert limit_s(10**9) == 3600
    assert Pace(EVERY_S, lambda: 0.0).next_s(5) == 0.25


def test_a_server_may_ask_for_patience_within_bounds():
    waits = [pace_of(device, EVERY_S).next_s(3, 600.0) for device in DEVICES[:500]]
    assert all(600.0 <= wait_s < 600.0 + EVERY_S for wait_s in waits)
    assert busiest([wait_s - 600 for wait_s in waits], EVERY_S / 10) < 0.2
    calm = Pace(EVERY_S, lambda: 0.5)
    assert calm.next_s(1, 10**9) == MAX_RETRY_AFTER_S + EVERY_S / 2
    assert calm.next_s(1, -5.0) == EVERY_S / 2
    assert calm.next_s(1, math.nan) == calm.next_s(1)


def test_saboteur_a_fleet_without_jitter_is_a_herd():
    times = [Pace(EVERY_S, lambda: 0.5).first_s() for _ in DEVICES]
    assert busiest(times, EVERY_S / 30) == 1.0


def test_a_device_keeps_its_place_after_a_restart():
    assert pace_of(DEVICES[0], EVERY_S).first_s() == pace_of(DEVICES[0], EVERY_S).first_s()
    assert pace_of(DEVICES[0], EVERY_S).first_s() != pace_of(DEVICES[1], EVERY_S).first_s()


@pytest.mark.parametrize("every_s", [0.0, -1.0, 0.5, 1e9, math.nan, math.inf])
def test_periods_that_make_no_sense(every_s):
    with pytest.raises(UsageError, match="is outside"):
        pace_of(DEVICES[0], every_s)
