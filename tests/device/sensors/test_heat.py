"""Which thermal sensors are read."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shoestring.device.sensors.heat import heat_sources

if TYPE_CHECKING:
    from pathlib import Path


def zones(root: Path, **celsius: float) -> Path:
    for number, (name, value) in enumerate(celsius.items()):
        folder = root / f"sys/class/thermal/thermal_zone{number}"
        folder.mkdir(parents=True)
        (folder / "type").write_text(name.replace("_", "-") + "\n")
        (folder / "temp").write_text(f"{value * 1000:.0f}\n")
    return root


def chip(root: Path, number: int, name: str, **labels: float) -> Path:
    folder = root / f"sys/class/hwmon/hwmon{number}"
    folder.mkdir(parents=True)
    (folder / "name").write_text(name + "\n")
    for sensor, (label, value) in enumerate(labels.items(), 1):
        (folder / f"temp{sensor}_label").write_text(label.replace("_", " ") + "\n")
        (folder / f"temp{sensor}_input").write_text(f"{value * 1000:.0f}\n")
    return root


def values(root: Path) -> list[float | None]:
    return sorted(source.read() for source in heat_sources(root))


def test_the_gpu_of_a_board_is_its_processor_too_and_the_constant_zone_is_not(tmp_path: Path) -> None:
    root = zones(tmp_path, AO_therm=40.0, CPU_therm=45.0, GPU_therm=47.0, PMIC_Die=100.0, thermal_fan_est=46.0)
    assert values(root) == [45.0, 47.0]


def test_the_constant_zone_is_not_read_even_where_it_is_alone(tmp_path: Path) -> None:
    assert values(zones(tmp_path, PMIC_Die=100.0)) == []


def test_any_zone_is_better_than_none(tmp_path: Path) -> None:
    assert values(zones(tmp_path, acpitz=30.5)) == [30.5]


def test_a_zones_second_face_is_left_out(tmp_path: Path) -> None:
    assert values(chip(zones(tmp_path, cpu_thermal=50.0), 0, "cpu_thermal", none=50.0)) == [50.0]


def test_a_package_speaks_for_its_cores(tmp_path: Path) -> None:
    assert values(chip(tmp_path, 0, "coretemp", Package_id_0=60.0, Core_0=58.0, Core_1=60.0)) == [60.0]
    assert values(chip(tmp_path, 1, "k10temp", Tctl=70.0)) == [60.0, 70.0]


def test_a_tpu_counts_beside_the_processor_whatever_the_zones_are_called(tmp_path: Path) -> None:
    tpu = tmp_path / "sys/class/apex/apex_0"
    tpu.mkdir(parents=True)
    (tpu / "temp").write_text("71500\n")
    assert values(zones(tmp_path, odd_name=50.0)) == [50.0, 71.5]
