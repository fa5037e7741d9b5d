"""Watts: of the board's input rail, or of the processor package, or the sum of a Raspberry Pi 5's rails. And batteries.

Sources: Linux, Documentation/hwmon/{sysfs-interface,ina3221}.rst, Documentation/power/powercap/powercap.rst,
Documentation/ABI/testing/sysfs-class-power; NVIDIA Jetson Linux developer guide, "Power Management" (INA3221 rails).
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from shoestring.device.sensors.source import GarbledError, Source, folders, number_of, text_of, word_of
from shoestring.device.sensors.sysfs import INPUT_RAILS

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

STATUSES = {"Unknown", "Charging", "Discharging", "Not charging", "Full"}
OVERFULL = 1.2
"""Gauges overshoot a little after a charge."""
SHORTEST_S = 0.05
"""Between two looks at an energy counter; it moves about every millisecond, and a shorter look is all rounding."""


def rail_source(root: Path) -> Source | None:
    """The board's input rail: a power sensor of hwmon, or volts times amperes of one, or the older way over iio."""
    for chip in folders(root / "sys/class/hwmon", "hwmon*"):
        for label in (*folders(chip, "power*_label"), *folders(chip, "in*_label")):
            if word_of(label) in INPUT_RAILS:
                sensor = label.name.removesuffix("_label")
                return Source("watts", f"{chip.name}/{sensor} {word_of(label)}", _hwmon_rail(chip, sensor))
    for device in _iio_devices(root):
        for label in folders(device, "rail_name_*"):
            if word_of(label) in INPUT_RAILS:
                number = label.name.removeprefix("rail_name_")
                power = device / f"in_power{number}_input"
                return Source(
                    "watts", f"{device.parent.name}/{power.name} {word_of(label)}", partial(_thousandths, power)
                )
    return None


def package_source(root: Path, clock: Callable[[], float]) -> Source | None:
    """The energy counters of the processor packages; what else the board takes is not in them."""
    zones = [
        zone
        for zone in folders(root / "sys/class/powercap", "*-rapl:*")
        if word_of(zone / "name").startswith("package")
    ]
    if not zones:
        return None
    return Source("watts", "energy of " + ", ".join(zone.name for zone in zones), EnergyCounter(zones, clock).watts)


class EnergyCounter:
    """Mean watts between looks, from counters that wrap. More than one turn between two looks cannot be told.

    Args:
        zones: folders with `energy_uj` and `max_energy_range_uj`.
        clock: s.
    """

    def __init__(self, zones: Sequence[Path], clock: Callable[[], float]) -> None:
        self._zones, self._clock = tuple(zones), clock
        self._before: tuple[float, tuple[float, ...]] | None = None
        self._watts: float | None = None

    def watts(self) -> float | None:
        """Since the last look; None at the first. Raises as `number_of`."""
        joules = tuple(number_of(zone / "energy_uj") / 1e6 for zone in self._zones)
        now = self._clock()
        if self._before is not None:
            seconds = now - self._before[0]
            if seconds < SHORTEST_S:
                return self._watts
            used = sum(map(self._used, self._zones, self._before[1], joules))
            self._watts = used / seconds
        self._before = (now, joules)
        return self._watts

    @staticmethod
    def _used(zone: Path, before: float, after: float) -> float:
        return after - before if after >= before else after - before + number_of(zone / "max_energy_range_uj") / 1e6


def battery_sources(root: Path) -> tuple[Source, ...]:
    """Energy left in the board's own batteries, and whether it lives on them. Those of mice and pens are others."""
    supplies = folders(root / "sys/class/power_supply", "*")
    cells = [
        one for one in supplies if word_of(one / "type") in ("Battery", "UPS") and word_of(one / "scope") != "Device"
    ]
    if not cells:
        return ()
    mains = [one for one in supplies if (one / "online").exists() and one not in cells]
    names = ", ".join(cell.name for cell in cells)
    return (
        Source("battery_wh", f"energy of {names}", lambda: sum(map(_watt_hours, cells))),
        Source("on_battery", f"status of {names}", lambda: float(_discharging(cells, mains))),
    )


def _hwmon_rail(chip: Path, sensor: str) -> Callable[[], float]:
    """Watts from microwatts, or from millivolts times milliamperes of the same number."""
    if sensor.startswith("power"):
        file = chip / f"{sensor}_input"
        file = file if file.exists() else chip / f"{sensor}_average"
        return lambda: number_of(file) / 1e6
    volts, amperes = chip / f"{sensor}_input", chip / f"curr{sensor.removeprefix('in')}_input"
    return lambda: number_of(volts) * number_of(amperes) / 1e6


def _iio_devices(root: Path) -> Sequence[Path]:
    """JetPack 4 calls the folder `iio:device0`, older ones `iio_device`."""
    devices = folders(root / "sys/bus/i2c/devices", "*")
    return [found for device in devices for found in (*folders(device, "iio:device*"), *folders(device, "iio_device"))]


def _thousandths(path: Path) -> float:
    return number_of(path) / 1000


def _watt_hours(cell: Path) -> float:
    """Microwatt-hours; or microampere-hours times volts, the lower of the present and the nominal ones."""
    if (cell / "energy_now").exists() or not (cell / "charge_now").exists():
        return _up_to_full(cell, "energy") / 1e6
    volts = number_of(cell / "voltage_now") / 1e6
    if (cell / "voltage_min_design").exists():  # nominal, despite its name; a full cell's own voltage promises too much
        volts = min(volts, number_of(cell / "voltage_min_design") / 1e6)
    return _up_to_full(cell, "charge") / 1e6 * volts


def _up_to_full(cell: Path, what: str) -> float:
    """What is in it, if that is not far more than it holds. Raises as `number_of`."""
    now = number_of(cell / f"{what}_now")
    full = cell / f"{what}_full"
    if full.exists() and now > OVERFULL * number_of(full):
        raise GarbledError(f"{now:g} of {number_of(full):g}")
    return now


def _discharging(cells: Sequence[Path], mains: Sequence[Path]) -> bool:
    """Whether a battery gives. A supply that is plugged in but too weak leaves the battery discharging, and counts."""
    said = {text_of(cell / "status") for cell in cells}
    if not said <= STATUSES:
        raise GarbledError(" ".join(said))
    if "Discharging" in said:
        return True
    if "Unknown" not in said:
        return False
    return not any(number_of(one / "online") > 0 for one in mains)


__all__ = ["EnergyCounter", "battery_sources", "package_source", "rail_source"]
