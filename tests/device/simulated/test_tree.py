"""Real sensors on fake trees: every kind of board reads back what is true of it, and every fault is told."""

from __future__ import annotations

import random
import threading
from typing import TYPE_CHECKING

import pytest

from shoestring.base.errors import UsageError
from shoestring.device.sensors import RealSensors, Sensors
from shoestring.device.simulated.kinds import KINDS
from shoestring.device.simulated.tree import FAULTS, UNREADABLE, FakeTree
from shown_board import State

if TYPE_CHECKING:
    from pathlib import Path

    from shoestring.device.sensors import Readings

SURE = [fault for fault in FAULTS if fault not in ("stuck", "blocks")]
"""Faults that one look shows."""
COUNTED = ("x86", "laptop", "laptop-in-charge")
NEVER_ZERO = ("celsius", "watts", "clock")


class Bench:
    """A tree, the sensors that read it, and one clock for both."""

    def __init__(self, root: Path, kind: str, **more: float) -> None:
        self.now_s = 0.0
        self.tree = FakeTree(root, kind, **more)
        self.tree.show(State())
        self.sensors: Sensors = RealSensors(root, lambda: self.now_s)

    def look(self, state: State, **more: float) -> Readings:
        self.now_s += 1.0
        self.tree.show(state, **more)
        return self.sensors.look()


@pytest.fixture
def bench(tmp_path: Path, kind: str) -> Bench:
    made = Bench(tmp_path, kind)
    yield made
    made.sensors.close()


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_shown_is_read_back(bench: Bench, kind: str) -> None:
    chance = random.Random(kind)
    has = KINDS[kind].sensors
    celsius = 50.0
    for _ in range(20):
        celsius += chance.uniform(-2, 2)
        state = State(
            celsius=round(celsius, 3),
            watts=round(chance.uniform(2, 12) * 200) / 200,
            clock=1.0,
            battery_wh=round(chance.uniform(1, 40), 3),
        )
        pressure, memory = round(chance.uniform(0, 100), 2), chance.randrange(1 << 20) << 10
        got = bench.look(state, load=chance.random(), pressure=pressure, memory_free_bytes=memory)
        assert got.faults == ()
        assert got.celsius == pytest.approx(state.celsius, abs=1e-9)
        assert got.watts == (pytest.approx(state.watts, abs=1e-6) if "watts" in has else None)
        assert (got.clock, got.pressure, got.memory_free_bytes) == (1.0, pressure, memory)
        assert got.battery_wh == (pytest.approx(state.battery_wh, abs=1e-4) if "battery_wh" in has else None)
        assert got.on_battery is (True if "on_battery" in has else None)
        expected = False if "throttled" in has else None
        assert (got.throttled, got.under_voltage) == (expected, expected)


@pytest.mark.parametrize("kind", KINDS)
def test_a_clock_held_down_for_heat_is_read_back(bench: Bench, kind: str) -> None:
    got = bench.look(State(celsius=60.0, clock=0.6, throttled=True))
    assert got.clock == pytest.approx(0.6, abs=1e-6)
    assert got.throttled is (True if "throttled" in KINDS[kind].sensors else None)
    got = bench.look(State(celsius=60.5, clock=1.0))
    assert got.clock == 1.0
    assert got.throttled is (False if "throttled" in KINDS[kind].sensors else None)


@pytest.mark.parametrize("kind", ["raspberry-pi-4", "raspberry-pi-5"])
def test_under_voltage_is_power_and_is_over_when_it_is_over(bench: Bench) -> None:
    got = bench.look(State(clock=0.4, under_voltage=True))
    assert (got.under_voltage, got.throttled) == (True, False)
    assert got.clock == pytest.approx(0.4, abs=1e-6)
    got = bench.look(State())
    assert (got.under_voltage, got.throttled, got.clock) == (False, False, 1.0)


@pytest.mark.parametrize("kind", ["raspberry-pi-5"])
def test_what_has_been_since_boot_is_told_apart(bench: Bench) -> None:
    assert bench.sensors.since_boot() == ()  # type: ignore[attr-defined]
    bench.look(State(clock=0.4, under_voltage=True))
    bench.look(State())
    assert "under-voltage" in bench.sensors.since_boot()  # type: ignore[attr-defined]
    assert bench.look(State()).under_voltage is False


@pytest.mark.parametrize("kind", ["x86"])
def test_the_energy_counter_wraps(tmp_path: Path, kind: str) -> None:
    bench = Bench(tmp_path, kind, energy_range_j=20.0)
    for _ in range(12):
        assert bench.look(State(watts=7.5)).watts == pytest.approx(7.5)
    bench.sensors.close()


def told(bench: Bench, field: str, state: State) -> tuple[object, list[str]]:
    got = bench.look(state)
    return getattr(got, field), [fault.sensor for fault in got.faults]


@pytest.mark.parametrize("kind", KINDS)
def test_every_broken_sensor_is_none_and_a_fault_at_the_next_look_and_no_other(bench: Bench, kind: str) -> None:
    for field in KINDS[kind].sensors:
        for fault in SURE:
            if fault == "0" and field not in NEVER_ZERO:
                continue  # an honest value there
            if kind in COUNTED and (field, fault) == ("watts", "1000000000"):
                continue  # a kilojoule is what a counter may say
            bench.look(State())
            bench.tree.spoil(field, fault)
            value, sensors = told(bench, field, State())
            shared = {"throttled", "under_voltage"} if field in ("throttled", "under_voltage") else {field}
            assert (value, set(sensors)) == (None, shared), (field, fault)
            bench.tree.heal(field)
            for look in range(4):  # a liar is heard for a while
                bench.now_s += 5.0
                value, _ = told(bench, field, State(celsius=55 + look % 2, watts=4.5 + look % 2))
                if value is not None:
                    break
            assert value is not None, (field, fault)


@pytest.mark.parametrize("kind", KINDS)
def test_a_sensor_that_blocks_is_late_and_comes_back(bench: Bench, kind: str) -> None:
    bench.tree.spoil("celsius", "blocks")
    got = bench.look(State())
    assert (got.celsius, [fault.kind for fault in got.faults]) == (None, ["late"])
    assert got.clock == 1.0
    threads = threading.active_count()
    for _ in range(5):
        assert bench.look(State()).celsius is None
    assert threading.active_count() == threads
    bench.tree.heal("celsius")
    for _ in range(200):
        threading.Event().wait(0.01)
        if bench.look(State(celsius=57.0)).celsius == 57.0:
            return
    pytest.fail("the sensor did not come back")


@pytest.mark.parametrize("kind", ["raspberry-pi-5"])
def test_a_command_that_hangs_is_late(bench: Bench) -> None:
    bench.tree.spoil("watts", "blocks")
    got = bench.look(State())
    assert (got.watts, [(fault.sensor, fault.kind) for fault in got.faults]) == (None, [("watts", "late")])
    assert got.celsius == 55.25


@pytest.mark.parametrize("kind", ["raspberry-pi-4"])
def test_a_stuck_sensor_is_told_when_the_load_changes(bench: Bench) -> None:
    for second in range(70):
        assert bench.look(State(celsius=50.0 + second % 2)).celsius is not None
    bench.tree.spoil("celsius", "stuck")
    for _ in range(10):
        assert bench.look(State(celsius=50.0)).celsius is not None  # at rest it may be honest
    kinds = [bench.look(State(celsius=50.0 + second), load=1.0).faults for second in range(20)]
    assert kinds[-1]
    assert kinds[-1][0].kind == "stuck"


@pytest.mark.parametrize("kind", ["jetson-nano"])
def test_of_two_zones_that_disagree_the_hotter_is_believed(bench: Bench) -> None:
    bench.tree.spoil("celsius", "41000")  # the other zone is 2 K below the truth
    assert bench.look(State(celsius=55.0)).celsius == 53.0


@pytest.mark.parametrize("kind", ["jetson-orin-nano"])
def test_a_zone_of_a_part_that_the_board_lacks_is_no_fault(bench: Bench) -> None:
    assert bench.look(State()).faults == ()


def test_a_board_whose_only_thermal_sensor_is_dead_from_the_start_has_a_fault(tmp_path: Path) -> None:
    tree = FakeTree(tmp_path, "raspberry-pi-4")
    tree.show(State())
    tree.spoil("celsius", "denied")
    sensors = RealSensors(tmp_path, lambda: 1.0)
    assert [(fault.sensor, fault.kind) for fault in sensors.look().faults] == [("celsius", "missing")]
    sensors.close()


def test_a_meter_that_is_not_for_us_from_the_start_is_an_absence(tmp_path: Path) -> None:
    """As RAPL, which root alone may read."""
    tree = FakeTree(tmp_path, "x86")
    tree.show(State())
    tree.spoil("watts", "denied")
    sensors = RealSensors(tmp_path, lambda: 1.0)
    got = sensors.look()
    assert (got.watts, got.faults) == (None, ())
    sensors.close()


def test_an_empty_tree_is_a_board_without_sensors(tmp_path: Path) -> None:
    sensors = RealSensors(tmp_path, lambda: 3.0)
    got = sensors.look()
    assert (got.at_s, got.celsius, got.watts, got.clock, got.faults) == (3.0, None, None, None, ())
    sensors.close()
    sensors.close()


@pytest.mark.parametrize("kind", ["coral-dev-board"])
def test_an_accelerators_work_counts_as_load(tmp_path: Path, kind: str) -> None:
    """The processor is idle all the time; only the engine says that the board works."""
    busy, now_s = [0.0], [0.0]
    tree = FakeTree(tmp_path, kind)
    tree.show(State())
    sensors = RealSensors(tmp_path, lambda: now_s[0], busy=lambda: busy[0])
    kinds: list[str] = []
    for second in range(100):
        busy[0] = 0.0 if second < 80 else 1.0
        now_s[0] += 1.0
        tree.show(State())
        kinds += [fault.kind for fault in sensors.look().faults]
    assert set(kinds) == {"stuck"}
    sensors.close()


def test_wrong_names_are_said(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no kind of board"):
        FakeTree(tmp_path, "toaster")
    with pytest.raises(UsageError, match="no sensor"):
        FakeTree(tmp_path, "raspberry-pi-4").spoil("watts", "gone")


@pytest.mark.parametrize("kind", ["raspberry-pi-4"])
def test_a_clock_that_nobody_may_ask_for_is_not_known_and_no_fault(bench: Bench) -> None:
    """Held down by the firmware, cpufreq's cap says nothing; the file that would tell is root's."""
    current = bench.tree.root / "sys/devices/system/cpu/cpu0/cpufreq/cpuinfo_cur_freq"
    current.unlink()
    current.symlink_to(UNREADABLE)
    assert bench.look(State()).clock == 1.0
    got = bench.look(State(throttled=True))
    assert (got.clock, got.throttled, got.faults) == (None, True, ())
