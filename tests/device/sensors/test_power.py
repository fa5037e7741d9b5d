"""Watts, energy counters that wrap, and batteries, from made-up trees."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from shoestring.device.sensors.power import EnergyCounter, battery_sources, package_source, rail_source
from shoestring.device.sensors.source import GarbledError

if TYPE_CHECKING:
    from pathlib import Path

CELL = "sys/class/power_supply/BAT0"


def put(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text + "\n")
    return root


def zone(number: int, joules: float, wraps: float = 100.0) -> dict[str, str]:
    folder = f"sys/class/powercap/intel-rapl:{number}"
    return {
        f"{folder}/name": f"package-{number}",
        f"{folder}/energy_uj": str(round(joules * 1e6)),
        f"{folder}/max_energy_range_uj": str(round(wraps * 1e6)),
    }


def test_counters_of_several_packages_wrap_each_for_itself(tmp_path: Path) -> None:
    now = [0.0]
    put(tmp_path, zone(0, 95.0) | zone(1, 10.0))
    source = package_source(tmp_path, lambda: now[0])
    assert source is not None
    assert source.read() is None
    now[0] = 2.0
    put(tmp_path, zone(0, 1.0) | zone(1, 16.0))  # 6 J each
    assert source.read() == pytest.approx(6.0)


def test_looks_that_follow_at_once_give_the_last_mean(tmp_path: Path) -> None:
    now = [0.0]
    put(tmp_path, zone(0, 0.0))
    counter = EnergyCounter([tmp_path / "sys/class/powercap/intel-rapl:0"], lambda: now[0])
    assert counter.watts() is None
    now[0] = 1.0
    put(tmp_path, zone(0, 5.0))
    assert counter.watts() == pytest.approx(5.0)
    now[0] = 1.001
    assert counter.watts() == pytest.approx(5.0)


def test_psys_and_cores_are_no_packages(tmp_path: Path) -> None:
    assert package_source(put(tmp_path, {"sys/class/powercap/intel-rapl:1/name": "psys"}), lambda: 0.0) is None


def test_input_rail_over_iio_of_both_spellings(tmp_path: Path) -> None:
    for name, watts in (("iio:device0", 4.4), ("iio_device", 5.5)):
        root = tmp_path / name
        meter = f"sys/bus/i2c/devices/6-0040/{name}"
        put(root, {f"{meter}/rail_name_0": "POM_5V_GPU", f"{meter}/in_power0_input": "900"})
        assert rail_source(root) is None
        put(root, {f"{meter}/rail_name_2": "POM_5V_IN", f"{meter}/in_power2_input": str(round(watts * 1000))})
        source = rail_source(root)
        assert source is not None
        assert source.read() == watts


def test_battery_in_charge_takes_the_lower_volts(tmp_path: Path) -> None:
    files = {f"{CELL}/type": "Battery", f"{CELL}/charge_now": "4000000", f"{CELL}/voltage_now": "12600000"}
    energy = battery_sources(put(tmp_path, {**files, f"{CELL}/status": "Full"}))[0]
    assert energy.read() == pytest.approx(4.0 * 12.6)
    put(tmp_path, {f"{CELL}/voltage_min_design": "11400000"})
    assert energy.read() == pytest.approx(4.0 * 11.4)
    put(tmp_path, {f"{CELL}/voltage_now": "10000000"})
    assert energy.read() == pytest.approx(4.0 * 10.0)


@pytest.mark.parametrize(
    ("status", "online", "on_battery"),
    [("Discharging", "0", True), ("Discharging", "1", True), ("Charging", "1", False), ("Not charging", "1", False),
     ("Full", "1", False), ("Unknown", "1", False), ("Unknown", "0", True)],
)  # fmt: skip
def test_on_battery(tmp_path: Path, status: str, online: str, on_battery: bool) -> None:
    mains = "sys/class/power_supply/AC"
    files = {f"{CELL}/type": "Battery", f"{CELL}/status": status, f"{mains}/type": "Mains", f"{mains}/online": online}
    assert battery_sources(put(tmp_path, files))[1].read() == on_battery


def test_a_status_that_no_kernel_says_is_garbled(tmp_path: Path) -> None:
    source = battery_sources(put(tmp_path, {f"{CELL}/type": "Battery", f"{CELL}/status": "?"}))[1]
    with pytest.raises(GarbledError):
        source.read()


def test_a_gauge_that_promises_more_than_the_battery_holds_is_garbled(tmp_path: Path) -> None:
    files = {f"{CELL}/type": "Battery", f"{CELL}/energy_full": "50000000", f"{CELL}/energy_now": "55000000"}
    energy = battery_sources(put(tmp_path, files))[0]
    assert energy.read() == 55.0
    put(tmp_path, {f"{CELL}/energy_now": "1000000000"})
    with pytest.raises(GarbledError):
        energy.read()


def test_a_mouse_is_no_battery_of_the_board(tmp_path: Path) -> None:
    assert battery_sources(put(tmp_path, {f"{CELL}/type": "Battery", f"{CELL}/scope": "Device"})) == ()
