"""The simulated board against the closed form of its physics, and its faults one by one."""

from __future__ import annotations

import math

import pytest

from governing import board, ladder, model_of
from shoestring.base.errors import UsageError
from shoestring.chips.loading import catalogue
from shoestring.device.sensors.readings import Sensors
from shoestring.device.simulated.board import SimulatedBoard, Truth, drawn
from shoestring.device.simulated.faults import BoardFault
from shoestring.domain.heat.plant import cooling_of, plant_of
from shoestring.domain.heat.simulate import simulate

PI4, PI5 = "raspberry-pi-4b-4gb", "raspberry-pi-5-8gb"
CHEAP = ladder()[2]


def test_it_is_a_sensors():
    on: Sensors = board(PI4)
    assert on.look().celsius is not None
    on.close()
    on.close()


@pytest.mark.parametrize("chip", [PI4, PI5])
def test_a_steady_load_follows_the_curve_of_domain_heat(chip):
    """The same constants, the same steps: what `predict` draws is what the board does."""
    on = board(chip, air=35.0, truth=Truth(), noise=0.0, quantum=0.0)
    plan = ladder(None)[2]
    found = catalogue()[chip]
    cooling = cooling_of(found, "bare" if chip == PI4 else "fan")
    curve = simulate(plant_of(found, cooling, 35.0), full_rate=20.0, asked_rate=None, seconds=1200)
    for moment in curve[1:]:
        on.advance(1.0, plan, 100.0)
        assert on.state().celsius == pytest.approx(moment.celsius, abs=1.0)
    assert on.state().celsius == pytest.approx(curve[-1].celsius, abs=0.3)


def test_it_settles_where_watts_times_resistance_say():
    on = board(PI4, air=30.0, truth=Truth(resistance=1.1, idle=0.9, load=1.1))
    for _ in range(2000):
        on.advance(1.0, CHEAP, 5.0)
    watts = 1.6 * 0.9 + 3.4 * 1.1 * 0.25
    assert on.state().watts == pytest.approx(watts)
    assert on.celsius == pytest.approx(30 + watts * 12 * 1.1, abs=0.01)


def test_work_is_what_was_asked_or_what_the_clock_allows():
    on = board(PI4, air=20.0, truth=Truth(busy=1.0))
    done = sum(on.advance(1.0, CHEAP, 7.3).answered for _ in range(100))
    assert done in (729, 730)
    work = on.advance(10.0, CHEAP, 100.0)
    assert work.answered in (199, 200, 201) and work.dropped in (799, 800, 801)
    assert work.busy_s == pytest.approx(0.05) and work.slow_s > work.busy_s
    assert on.advance(5.0).answered == 0


def test_a_hot_board_throttles_and_its_work_falls():
    on = board(PI4, air=45.0, truth=Truth())
    for _ in range(1200):
        work = on.advance(1.0, CHEAP, 20.0)
    assert on.look().throttled and on.look().under_voltage is False and work.answered < 18


def test_boards_of_one_seed_are_the_same_and_of_two_are_not():
    def run(seed):
        on = board(PI4, seed)
        return [(on.advance(1.0, CHEAP, 10.0), on.look().celsius) for _ in range(50)]

    assert run(3) == run(3) != run(4)
    for seed in range(50):
        truth = drawn(seed)
        assert 0.75 <= truth.resistance <= 1.25 and 0.85 <= truth.load <= 1.15


def test_state_can_be_asked_as_often_as_one_likes():
    one, other = board(PI4, 5), board(PI4, 5)
    for _ in range(20):
        one.advance(1.0, CHEAP, 10.0)
        other.advance(1.0, CHEAP, 10.0)
        assert one.state() == one.state()
    assert one.look() == other.look()


def at(second: float, fault: BoardFault, chip: str = PI4, rate: float = 15.0):
    on = board(chip, 0, 25.0, truth=Truth(), faults=(fault,))
    while on.now_s < second:
        on.look()
        on.advance(1.0, ladder(6.9 if chip == PI5 else 3.4)[2], rate)
    return on


@pytest.mark.parametrize("value", [-89.0, -256.0, 1e6])
def test_an_impossible_temperature_is_no_temperature(value):
    readings = at(15, BoardFault("lies", 10, 20, value)).look()
    assert readings.celsius is None and readings.faults[0].kind == "impossible"
    assert f"{value:g}" == readings.faults[0].said
    assert at(15, BoardFault("lies", 10, 20, value)).state().sensor_celsius == value
    assert at(25, BoardFault("lies", 10, 20, value)).look().celsius is not None


def test_a_possible_lie_is_believed():
    readings = at(15, BoardFault("lies", 10, 20, 42.0)).look()
    assert readings.celsius == 42.0 and readings.faults == ()


@pytest.mark.parametrize("kind", ["missing", "late"])
def test_a_sensor_that_says_nothing(kind):
    readings = at(15, BoardFault(kind, 10, 20)).look()
    assert readings.celsius is None and readings.faults[0].kind == kind


def test_a_stuck_sensor_says_the_same_until_it_is_judged():
    fault = BoardFault("stuck", 10, 100, 30.0)
    before = at(10, fault)
    last = at(9, fault).look().celsius
    assert before.look().celsius == last == at(30, fault).look().celsius
    judged = at(45, fault).look()
    assert judged.celsius is None and judged.faults[0].kind == "stuck"


def test_a_fan_that_stops_heats_the_board():
    running, stopped = (at(900, BoardFault("fan", start, 5000), PI5) for start in (4000, 600))
    assert stopped.state().fan == 0 < running.state().fan
    assert stopped.celsius > running.celsius + 10


def test_covered_vents_heat_the_slow_part_only():
    open_, covered = (at(1500, BoardFault("air", start, 5000, 1.5), rate=5.0) for start in (4000, 300))
    rise = open_.celsius - 25.0
    assert covered.celsius - 25.0 == pytest.approx(rise * (0.65 * 1.5 + 0.35), abs=0.2)


def test_a_weak_supply_sags_under_load_only():
    on = at(20, BoardFault("supply", 10, 1e9, 3.0))
    assert on.look().under_voltage and on.look().clock < 1 and on.look().throttled is False
    for _ in range(60):
        on.advance(1.0, CHEAP, 2.0)
    assert on.look().under_voltage is False and on.look().clock == 1.0


def test_a_battery_gives_what_the_board_takes_and_then_nothing():
    on = board(PI4, air=25.0, truth=Truth(), battery_wh=1.0)
    for _ in range(600):
        on.advance(1.0)
    assert on.look().battery_wh == pytest.approx(1.0 - 1.6 * 600 / 3600)
    for _ in range(3000):
        on.advance(1.0, CHEAP, 10.0)
    assert on.look().battery_wh == 0.0 and on.state().watts == 0.0
    assert on.advance(10.0, CHEAP, 10.0).answered == 0


def test_a_meter_tells_the_mean_since_the_last_look():
    on = board(PI4, air=25.0, truth=Truth(), metered=True)
    on.look()
    on.advance(10.0, CHEAP, 20.0)
    on.advance(10.0)
    assert on.look().watts == pytest.approx(1.6 + 3.4 / 2, rel=0.01)
    assert board(PI4).look().watts is None


def test_what_cannot_be_simulated_is_refused():
    with pytest.raises(UsageError, match="no thermal constants"):
        SimulatedBoard(catalogue()["google-tpu-v5e"], lambda s: 25.0)
    with pytest.raises(UsageError, match="no fault"):
        BoardFault("rust", 0, 1)
    with pytest.raises(UsageError, match="never is"):
        BoardFault("fan", 5, 5)


def test_models_are_those_of_the_chip_files():
    model = model_of(PI5)
    assert (model.resistance, model.at(0), model.at(4)) == (9.5, 9.5, 2.8)
    assert math.isclose(model.hottest_air_celsius, 50.0) and model.throttle_celsius == 80.0
