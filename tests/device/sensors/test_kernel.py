"""Clock, pressure, memory and load as the kernel tells them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from shoestring.device.sensors.kernel import BusyShare, available_bytes, capped_share, some_avg10
from shoestring.device.sensors.source import GarbledError

if TYPE_CHECKING:
    from pathlib import Path


def core(root: Path, number: int, cap: str, full: str = "1500000") -> Path:
    folder = root / f"cpu{number}"
    folder.mkdir()
    (folder / "scaling_max_freq").write_text(cap + "\n")
    (folder / "cpuinfo_max_freq").write_text(full + "\n")
    return folder


def test_the_most_capped_core_counts(tmp_path: Path) -> None:
    assert capped_share([core(tmp_path, 0, "1500000"), core(tmp_path, 1, "600000")]) == 0.4


def test_a_cap_above_the_hardware_does_not_hide_behind_the_others(tmp_path: Path) -> None:
    with pytest.raises(GarbledError):
        capped_share([core(tmp_path, 0, "1000000000"), core(tmp_path, 1, "600000")])


def test_pressure_is_of_some_task_over_ten_seconds() -> None:
    said = "some avg10=12.34 avg60=1.00 avg300=0.50 total=99\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=0"
    assert some_avg10(said) == 12.34
    with pytest.raises(GarbledError):
        some_avg10("full avg10=3.00 avg60=1.00 avg300=0.50 total=99")


def test_memory_that_is_available_is_not_memory_that_is_free() -> None:
    said = "MemTotal:        8000 kB\nMemFree:          100 kB\nMemAvailable:    3000 kB"
    assert available_bytes(said) == 3000 * 1024
    for wrong in ("MemTotal: 8000 kB\nMemFree: 100 kB", "MemTotal: 8000 kB\nMemAvailable: 9000 kB"):
        with pytest.raises(GarbledError):
            available_bytes(wrong)


def test_load_is_what_was_not_idle_since_the_last_look(tmp_path: Path) -> None:
    stat = tmp_path / "stat"
    busy = BusyShare(stat)
    stat.write_text("cpu  100 0 100 700 100 0 0 0 0 0\ncpu0 1 2 3 4\n")
    assert busy.share() is None
    stat.write_text("cpu  150 0 125 750 100 0 0 0 50 0\ncpu0 1 2 3 4\n")  # guest time is user time already
    assert busy.share() == pytest.approx(0.6)
    assert busy.share() == pytest.approx(0.6)  # nothing went by
    stat.write_text("intr 1 2 3\n")
    with pytest.raises(GarbledError):
        busy.share()
