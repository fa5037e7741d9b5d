"""Sensors read from made-up trees of /sys: what is there is read, what is not is None."""

from __future__ import annotations

from pathlib import Path

from shoestring.device.sensors import Reading
from shoestring.device.sensors import sysfs as sensors


def put(root: Path, **files: str) -> None:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def tree(root: Path, files: dict[str, str]) -> Path:
    put(root, **files)
    return root


def test_nothing_is_none(tmp_path: Path) -> None:
    assert sensors.read(tmp_path) == Reading(None, None, None, None)
    assert sensors.highest_ghz(0, tmp_path) is None


def test_the_processor_is_preferred_and_broken_sensors_are_left_out(tmp_path: Path) -> None:
    zones = "sys/class/thermal/thermal_zone"
    root = tree(
        tmp_path,
        {
            f"{zones}0/type": "gpu-thermal\n",
            f"{zones}0/temp": "71000\n",
            f"{zones}1/type": "cpu-thermal\n",
            f"{zones}1/temp": "48312\n",
            f"{zones}2/type": "cpu-broken\n",
            f"{zones}2/temp": "-274000\n",
            f"{zones}3/type": "cpu-text\n",
            f"{zones}3/temp": "n/a\n",
        },
    )
    assert sensors.temperature(root) == 48.312


def test_a_zone_of_another_name_is_better_than_none(tmp_path: Path) -> None:
    zone = "sys/class/thermal/thermal_zone0"
    assert sensors.temperature(tree(tmp_path, {f"{zone}/type": "acpitz", f"{zone}/temp": "30500"})) == 30.5


def test_hwmon_temperatures_have_labels(tmp_path: Path) -> None:
    chip = "sys/class/hwmon/hwmon0"
    files = {f"{chip}/name": "k10temp", f"{chip}/temp1_input": "55125", f"{chip}/temp1_label": "Tctl"}
    assert sensors.temperature(tree(tmp_path, files)) == 55.125


def test_input_rail_of_a_jetson(tmp_path: Path) -> None:
    chip = "sys/class/hwmon/hwmon1"
    files = {
        f"{chip}/in1_label": "VDD_IN",
        f"{chip}/in1_input": "5000",
        f"{chip}/curr1_input": "820",
        f"{chip}/in2_label": "VDD_CPU_GPU_CV",
        f"{chip}/in2_input": "5000",
        f"{chip}/curr2_input": "300",
    }
    assert sensors.board_watts(tree(tmp_path, files)) == 4.1


def test_a_rail_of_a_part_is_not_the_board(tmp_path: Path) -> None:
    chip = "sys/class/hwmon/hwmon1"
    files = {f"{chip}/power1_label": "VDD_CPU", f"{chip}/power1_input": "3000000"}
    assert sensors.board_watts(tree(tmp_path, files)) is None


def test_package_energy_wraps(tmp_path: Path) -> None:
    zone = "sys/class/powercap/intel-rapl:0"
    files = {f"{zone}/name": "package-0", f"{zone}/energy_uj": "9000000", f"{zone}/max_energy_range_uj": "10000000"}
    before = sensors.read(tree(tmp_path, files))
    put(tmp_path, **{f"{zone}/energy_uj": "3000000"})
    after = sensors.read(tmp_path)
    assert sensors.package_watts(before, after, 2.0) == 2.0
    assert sensors.package_watts(Reading(None, None, None, None), after, 2.0) is None


def test_two_packages_make_no_claim(tmp_path: Path) -> None:
    files = {}
    for number in (0, 1):
        zone = f"sys/class/powercap/intel-rapl:{number}"
        files |= {f"{zone}/name": f"package-{number}", f"{zone}/energy_uj": "1", f"{zone}/max_energy_range_uj": "9"}
    assert sensors.package_energy(tree(tmp_path, files)) == (None, None)


def test_clock_limit(tmp_path: Path) -> None:
    file = "sys/devices/system/cpu/cpu3/cpufreq/scaling_max_freq"
    assert sensors.highest_ghz(3, tree(tmp_path, {file: "1800000\n"})) == 1.8
