"""What a board says of its heat, power and clock. A sensor that is not there is None, never a number.

Sources: Linux, Documentation/ABI/testing/sysfs-class-thermal, Documentation/hwmon/sysfs-interface.rst,
Documentation/power/powercap/powercap.rst, Documentation/admin-guide/pm/cpufreq.rst.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

COLDEST, HOTTEST = -40.0, 150.0
"""Degrees Celsius: outside them a sensor is broken or not connected."""
PROCESSOR = ("cpu", "soc", "x86_pkg_temp", "package", "tctl", "tdie", "coretemp", "core")
"""Words in the names of zones and sensors that sit in the processor."""
INPUT_RAILS = ("VDD_IN", "POM_5V_IN", "IN", "VIN")
"""Labels of power sensors that see the whole board (NVIDIA Jetson Linux developer guide, INA3221 rails)."""


@dataclass(frozen=True)
class Reading:
    """One look at the sensors.

    Args:
        celsius: hottest processor sensor, or where none is named after it the hottest of all.
        board_watts: of the board's input rail.
        package_joules: counter of the processor package; only differences mean something.
        package_wraps_at: joules at which that counter starts again.
    """

    celsius: float | None
    board_watts: float | None
    package_joules: float | None
    package_wraps_at: float | None


def read(root: Path = Path("/")) -> Reading:
    """Look at every sensor under `root`."""
    joules, wraps = package_energy(root)
    return Reading(temperature(root), board_watts(root), joules, wraps)


def temperature(root: Path = Path("/")) -> float | None:
    """Degrees Celsius of the processor."""
    found = []
    for zone in _folders(root / "sys/class/thermal", "thermal_zone*"):
        found.append((_text(zone / "type") or "", _number(zone / "temp")))
    for chip in _folders(root / "sys/class/hwmon", "hwmon*"):
        name = _text(chip / "name") or ""
        for file in sorted(chip.glob("temp*_input")):
            label = _text(file.with_name(file.name.replace("_input", "_label"))) or ""
            found.append((f"{name} {label}", _number(file)))
    good = [(name.lower(), value / 1000) for name, value in found if value is not None]
    good = [(name, value) for name, value in good if COLDEST < value < HOTTEST]
    named = [value for name, value in good if any(word in name for word in PROCESSOR)]
    return max(named or [value for _, value in good], default=None)


def board_watts(root: Path = Path("/")) -> float | None:
    """Watts of the whole board, where a sensor on its input rail says so."""
    for chip in _folders(root / "sys/class/hwmon", "hwmon*"):
        for file in sorted((*chip.glob("power*_label"), *chip.glob("in*_label"))):
            if _text(file) in INPUT_RAILS:
                watts = _rail(chip, file.name.removesuffix("_label"))
                if watts is not None and watts > 0:
                    return watts
    return None


def package_energy(root: Path = Path("/")) -> tuple[float | None, float | None]:
    """Joules that the processor packages have taken, and where the counter wraps."""
    joules, wraps = [], []
    for zone in _folders(root / "sys/class/powercap", "*-rapl:*"):
        value, most = _number(zone / "energy_uj"), _number(zone / "max_energy_range_uj")
        if (_text(zone / "name") or "").startswith("package") and value is not None and most is not None:
            joules.append(value / 1e6)
            wraps.append(most / 1e6)
    if len(joules) != 1:  # counters of several packages wrap at different times
        return None, None
    return joules[0], wraps[0]


def package_watts(before: Reading, after: Reading, seconds: float) -> float | None:
    """Mean watts of the package between two readings less than one turn of the counter apart."""
    if before.package_joules is None or after.package_joules is None or after.package_wraps_at is None:
        return None
    used = after.package_joules - before.package_joules
    watts = (used + after.package_wraps_at if used < 0 else used) / seconds
    return watts if watts > 0 else None


def highest_ghz(core: int, root: Path = Path("/")) -> float | None:
    """The highest clock that the kernel allows a core, GHz."""
    khz = _number(root / f"sys/devices/system/cpu/cpu{core}/cpufreq/scaling_max_freq")
    return khz / 1e6 if khz is not None and khz > 0 else None


def _rail(chip: Path, sensor: str) -> float | None:
    """Microwatts of a power sensor; of a voltage sensor inN its millivolts times the milliamperes of currN."""
    if sensor.startswith("power"):
        value = _number(chip / f"{sensor}_input")
        value = _number(chip / f"{sensor}_average") if value is None else value
        return None if value is None else value / 1e6
    volts, amperes = _number(chip / f"{sensor}_input"), _number(chip / f"curr{sensor.removeprefix('in')}_input")
    return None if volts is None or amperes is None else volts * amperes / 1e6


def _folders(parent: Path, pattern: str) -> list[Path]:
    return sorted(parent.glob(pattern)) if parent.is_dir() else []


def _number(path: Path) -> float | None:
    text = _text(path)
    try:
        return None if text is None else float(int(text))
    except ValueError:
        return None


def _text(path: Path) -> str | None:
    """What a sensor says; None where it is not there, or (as RAPL does) not readable by everybody."""
    try:
        return path.read_text(errors="replace").strip("\0\n ")
    except OSError:
        return None


__all__ = ["Reading", "board_watts", "highest_ghz", "package_energy", "package_watts", "read", "temperature"]
