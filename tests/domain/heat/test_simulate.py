"""The physics of a board under load: closed forms, balance, throttling, fans."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shoestring.domain.heat import simulate as room
from shoestring.domain.heat.poles import Poles
from shoestring.domain.heat.simulate import CLOCK_POWER, Plant, fan_level, next_clock, simulate

POLES = Poles(150.0, 6.0, 0.35)
COOL = Plant(POLES, 5.0, (), (), 2.0, 6.0, 25.0)
HOT = replace(COOL, resistance=12.0, throttle=((80.0, 0.4),), ambient_celsius=35.0)


@given(st.floats(1, 500), st.floats(0.5, 50), st.floats(0, 1), st.floats(0, 100), st.floats(0.1, 100))
def test_one_long_step_equals_many_short_ones(slow: float, fast: float, share: float, kelvin: float, dt: float) -> None:
    poles = Poles(slow, fast, share)
    state = (3.0, 1.0)
    for _ in range(10):
        state = poles.step(state, kelvin, dt)
    assert state == pytest.approx(poles.step((3.0, 1.0), kelvin, 10 * dt), rel=1e-9, abs=1e-9)


def test_the_curve_is_the_closed_form_of_a_step() -> None:
    curve = simulate(COOL, full_rate=10, asked_rate=None, seconds=600)
    for moment in curve[::60]:
        rise = 4.0 * 5.0
        gone = 0.65 * math.exp(-moment.seconds / 150) + 0.35 * math.exp(-moment.seconds / 6)
        assert moment.celsius == pytest.approx(25 + 2 * 5 + rise * (1 - gone), abs=1e-9)


@given(st.floats(0.1, 1), st.floats(-10, 45))
def test_it_settles_where_watts_times_resistance_says(duty: float, ambient: float) -> None:
    plant = replace(COOL, ambient_celsius=ambient)
    last = simulate(plant, full_rate=10, asked_rate=10 * duty, seconds=3000)[-1]
    assert last.watts == pytest.approx(2 + 4 * duty)
    assert last.celsius == pytest.approx(ambient + 5 * (2 + 4 * duty), abs=0.01)
    assert last.rate == pytest.approx(10 * duty)


def test_a_throttled_board_sheds_exactly_the_heat_of_its_limit() -> None:
    last = simulate(HOT, full_rate=10, asked_rate=None, seconds=3600)[-1]
    watts = (80 - 35) / 12
    assert last.celsius == pytest.approx(80, abs=0.5)
    assert last.watts == pytest.approx(watts, rel=0.02)
    assert last.clock == pytest.approx(((watts - 2) / 4) ** (1 / CLOCK_POWER), rel=0.03)
    assert last.rate == pytest.approx(10 * last.clock)


def test_a_governor_that_never_lowers_the_clock_would_be_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "next_clock", lambda *_: 1.0)
    with pytest.raises(AssertionError):
        test_a_throttled_board_sheds_exactly_the_heat_of_its_limit()


def test_a_soft_step_caps_the_clock_before_the_hard_one() -> None:
    plant = replace(HOT, resistance=9.0, throttle=((60.0, 0.86), (85.0, 0.4)), ambient_celsius=30.0)
    curve = simulate(plant, full_rate=10, asked_rate=None, seconds=3600)
    assert curve[-1].clock == pytest.approx(0.86)
    assert 60 < curve[-1].celsius < 85


@given(st.floats(0, 60), st.floats(0, 60))
def test_warmer_air_never_makes_a_board_faster(first: float, second: float) -> None:
    cold, warm = sorted((first, second))
    done = [
        sum(m.rate for m in simulate(replace(HOT, ambient_celsius=a), full_rate=10, asked_rate=None, seconds=900))
        for a in (cold, warm)
    ]
    assert done[1] <= done[0] * 1.001


def test_the_fan_goes_on_at_its_step_and_off_below_it() -> None:
    fan = ((50.0, 6.0), (60.0, 4.0))
    assert fan_level(fan, 49.9, 0) == 0
    assert fan_level(fan, 50.0, 0) == 1
    assert fan_level(fan, 61.0, 0) == 2
    assert fan_level(fan, 56.0, 2) == 2
    assert fan_level(fan, 54.9, 2) == 1
    assert fan_level(fan, 44.9, 2) == 0


def test_a_fan_keeps_the_temperature_near_its_step() -> None:
    plant = replace(COOL, resistance=12.0, fan=((60.0, 4.0),), ambient_celsius=25.0)
    end = [m.celsius for m in simulate(plant, full_rate=10, asked_rate=None, seconds=3600)[-600:]]
    assert min(end) > 50 and max(end) < 62


def test_the_clock_comes_back_when_the_chip_is_cool() -> None:
    clock = 0.5
    for _ in range(100):
        clock = next_clock(((80.0, 0.4),), 60.0, clock)
    assert clock == 1.0
