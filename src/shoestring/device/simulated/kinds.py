"""How boards show their sensors: the files that a kind of board has, filled with what is true of it.

Names and units are those of real boards; sources stand in `docs/sensors.md`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable

CORES = 4
ZONE, HWMON = "sys/class/thermal/thermal_zone", "sys/class/hwmon/hwmon"
POLICY = "sys/devices/system/cpu/cpu{core}/cpufreq/"
THROTTLED_FILE = "sys/devices/platform/soc/soc:firmware/get_throttled"
ANSWERS = "answers/"
"""Folder of what the fake `vcgencmd` says to its first word."""
COMMAND = "usr/bin/vcgencmd"
OFFLINE = "\0offline"
"""Stands for a file that is listed and cannot be read."""

RAILS = (("3V3_SYS", 3.31, 0.15), ("1V8_SYS", 1.80, 0.10), ("1V1_SYS", 1.11, 0.10), ("0V8_SW", 0.80, 0.15))
"""Some rails of a Raspberry Pi 5: name, volts, share of the watts. VDD_CORE takes the rest."""
CORE_VOLTS = 0.87


class Shown(Protocol):
    """What is true of a board, as far as sensors show it; `BoardState` is one."""

    @property
    def celsius(self) -> float: ...
    @property
    def watts(self) -> float: ...
    @property
    def clock(self) -> float: ...
    @property
    def under_voltage(self) -> bool: ...
    @property
    def throttled(self) -> bool: ...
    @property
    def battery_wh(self) -> float | None: ...


@dataclass(frozen=True)
class Counters:
    """What a board keeps beside its state.

    Args:
        energy_uj: of the package, wrapped.
        energy_range_uj: where it wraps.
        bits_since_boot: upper flags of a Raspberry Pi's firmware.
        on_battery: whether the mains are off.
    """

    energy_uj: int
    energy_range_uj: int
    bits_since_boot: int
    on_battery: bool


@dataclass(frozen=True)
class BoardKind:
    """A kind of board.

    Args:
        files: its sensors' files with their text.
        sensors: the file that each field of `Readings` comes from, as far as it has one.
        full_khz: the hardware's highest clock.
        firmware_caps: whether a firmware lowers the clock behind cpufreq's back.
        command_tells_clock: whether only its command tells the clock that runs.
    """

    files: Callable[[Shown, Counters], dict[str, str]]
    sensors: dict[str, str]
    full_khz: int
    firmware_caps: bool = False
    command_tells_clock: bool = False


def bits_now(state: Shown) -> int:
    """Lower flags of a Raspberry Pi's firmware."""
    held = state.throttled or (state.under_voltage and state.clock < 1)
    return int(state.under_voltage) | (2 | 4 if held else 0) | (8 if state.throttled else 0)


def zones(*found: tuple[str, float | str]) -> dict[str, str]:
    """Thermal zones: type, and degrees Celsius or a text."""
    files = {}
    for number, (name, value) in enumerate(found):
        files[f"{ZONE}{number}/type"] = name
        files[f"{ZONE}{number}/temp"] = value if isinstance(value, str) else milli(value)
    return files


def milli(value: float) -> str:
    """In thousandths."""
    return str(round(value * 1000))


def _pi_4(state: Shown, counters: Counters) -> dict[str, str]:
    return {
        "proc/device-tree/model": "Raspberry Pi 4 Model B Rev 1.4\0",
        **zones(("cpu-thermal", state.celsius)),
        f"{HWMON}0/name": "cpu_thermal",  # the same sensor's second face
        f"{HWMON}0/temp1_input": milli(state.celsius),
        f"{HWMON}1/name": "rpi_volt",
        f"{HWMON}1/in0_lcrit_alarm": str(int(state.under_voltage)),
        THROTTLED_FILE: f"{bits_now(state) | counters.bits_since_boot:x}",
    }


def _pi_5(state: Shown, counters: Counters) -> dict[str, str]:
    rails = [(name, volts, state.watts * share / volts) for name, volts, share in RAILS]
    rest = 1 - sum(share for _, _, share in RAILS)
    rails.append(("VDD_CORE", CORE_VOLTS, state.watts * rest / CORE_VOLTS))
    adc = [f"{name}_A current({number})={amperes:.8f}A" for number, (name, _, amperes) in enumerate(rails)]
    adc += [f"{name}_V volt({number + 8})={volts:.8f}V" for number, (name, volts, _) in enumerate(rails)]
    adc += ["EXT5V_V volt(24)=5.09066000V", "BATT_V volt(25)=0.00000000V"]
    return {
        "proc/device-tree/model": "Raspberry Pi 5 Model B Rev 1.0\0",
        **zones(("cpu-thermal", state.celsius)),
        f"{HWMON}0/name": "cpu_thermal",
        f"{HWMON}0/temp1_input": milli(state.celsius),
        f"{HWMON}1/name": "rp1_adc",  # of the other chip on the board
        f"{HWMON}1/temp1_input": "61234",
        f"{ANSWERS}get_throttled": f"throttled=0x{bits_now(state) | counters.bits_since_boot:x}",
        f"{ANSWERS}measure_clock": f"frequency(0)={round(state.clock * 2.4e9)}",
        f"{ANSWERS}pmic_read_adc": "\n".join(f" {line:>32}" for line in adc),
    }


def _jetson_nano(state: Shown, counters: Counters) -> dict[str, str]:
    meter = "sys/bus/i2c/devices/6-0040/iio:device0/"
    return {
        **zones(
            ("AO-therm", state.celsius - 4),
            ("CPU-therm", state.celsius),
            ("GPU-therm", state.celsius - 2),
            ("PLL-therm", state.celsius - 3),
            ("PMIC-Die", 100.0),
            ("thermal-fan-est", state.celsius - 1.5),
        ),
        f"{meter}rail_name_0": "POM_5V_IN",
        f"{meter}in_power0_input": milli(state.watts),
        f"{meter}rail_name_1": "POM_5V_GPU",
        f"{meter}in_power1_input": milli(state.watts * 0.3),
    }


def _jetson_orin(state: Shown, counters: Counters) -> dict[str, str]:
    return {
        **zones(
            ("cpu-thermal", state.celsius - 1),
            ("gpu-thermal", state.celsius - 2),
            ("cv0-thermal", OFFLINE),  # a part that this module does not have
            ("tj-thermal", state.celsius),
        ),
        f"{HWMON}1/name": "ina3221",
        f"{HWMON}1/in1_label": "VDD_IN",
        f"{HWMON}1/in1_input": "5000",
        f"{HWMON}1/curr1_input": str(round(state.watts * 200)),
        f"{HWMON}1/in2_label": "VDD_CPU_GPU_CV",
        f"{HWMON}1/in2_input": "5000",
        f"{HWMON}1/curr2_input": str(round(state.watts * 80)),
    }


def _coral(state: Shown, counters: Counters) -> dict[str, str]:
    return {
        **zones(
            ("cpu-thermal", state.celsius - 3), ("gpu-thermal", state.celsius - 4), ("vpu-thermal", state.celsius - 4)
        ),
        "sys/class/apex/apex_0/temp": milli(state.celsius),
    }


def _x86(state: Shown, counters: Counters) -> dict[str, str]:
    package = "sys/class/powercap/intel-rapl:0"
    return {
        **zones(("acpitz", 27.8), ("INT3400 Thermal", 20.0), ("x86_pkg_temp", state.celsius)),
        f"{HWMON}2/name": "coretemp",
        f"{HWMON}2/temp1_label": "Package id 0",
        f"{HWMON}2/temp1_input": milli(state.celsius),
        f"{HWMON}2/temp2_label": "Core 0",
        f"{HWMON}2/temp2_input": milli(state.celsius - 2),
        f"{package}/name": "package-0",
        f"{package}/energy_uj": str(counters.energy_uj),
        f"{package}/max_energy_range_uj": str(counters.energy_range_uj),
        f"{package}:0/name": "core",
        f"{package}:0/energy_uj": str(counters.energy_uj // 2),
        f"{package}:0/max_energy_range_uj": str(counters.energy_range_uj),
    }


def _laptop(state: Shown, counters: Counters) -> dict[str, str]:
    cell = _cell(counters)
    cell["sys/class/power_supply/BAT0/energy_full"] = "50000000"
    cell["sys/class/power_supply/BAT0/energy_now"] = str(round((state.battery_wh or 0.0) * 1e6))
    return {**_x86(state, counters), **cell}


def _laptop_in_charge(state: Shown, counters: Counters) -> dict[str, str]:
    """A battery that counts charge; its volts of the moment are above the nominal ones."""
    cell, volts = _cell(counters), 11.4
    cell["sys/class/power_supply/BAT0/charge_now"] = str(round((state.battery_wh or 0.0) / volts * 1e6))
    cell["sys/class/power_supply/BAT0/charge_full"] = "4400000"
    cell["sys/class/power_supply/BAT0/voltage_now"] = "12600000"
    cell["sys/class/power_supply/BAT0/voltage_min_design"] = str(round(volts * 1e6))
    return {**_x86(state, counters), **cell}


def _cell(counters: Counters) -> dict[str, str]:
    supply = "sys/class/power_supply/"
    return {
        f"{supply}AC/type": "Mains",
        f"{supply}AC/online": str(int(not counters.on_battery)),
        f"{supply}BAT0/type": "Battery",
        f"{supply}BAT0/status": "Discharging" if counters.on_battery else "Charging",
        f"{supply}hidpp_battery_0/type": "Battery",  # of a mouse
        f"{supply}hidpp_battery_0/scope": "Device",
        f"{supply}hidpp_battery_0/status": "Discharging",
        f"{supply}hidpp_battery_0/energy_now": "1000",
    }


EVERYWHERE = {
    "clock": POLICY.format(core=0) + "scaling_max_freq",
    "pressure": "proc/pressure/cpu",
    "memory_free_bytes": "proc/meminfo",
}
PACKAGE = {"celsius": f"{HWMON}2/temp1_input", "watts": "sys/class/powercap/intel-rapl:0/energy_uj", **EVERYWHERE}
CELL = "sys/class/power_supply/BAT0/"

KINDS: dict[str, BoardKind] = {
    "raspberry-pi-4": BoardKind(
        _pi_4,
        {"celsius": f"{ZONE}0/temp", "throttled": THROTTLED_FILE, "under_voltage": THROTTLED_FILE, **EVERYWHERE},
        1_500_000,
        firmware_caps=True,
    ),
    "raspberry-pi-5": BoardKind(
        _pi_5,
        {
            "celsius": f"{ZONE}0/temp",
            "watts": f"{ANSWERS}pmic_read_adc",
            "throttled": f"{ANSWERS}get_throttled",
            "under_voltage": f"{ANSWERS}get_throttled",
            **EVERYWHERE,
        },
        2_400_000,
        firmware_caps=True,
        command_tells_clock=True,
    ),
    "jetson-nano": BoardKind(
        _jetson_nano,
        {
            "celsius": f"{ZONE}1/temp",
            "watts": "sys/bus/i2c/devices/6-0040/iio:device0/in_power0_input",
            **EVERYWHERE,
        },
        1_479_000,
    ),
    "jetson-orin-nano": BoardKind(
        _jetson_orin, {"celsius": f"{ZONE}3/temp", "watts": f"{HWMON}1/curr1_input", **EVERYWHERE}, 1_510_400
    ),
    "coral-dev-board": BoardKind(_coral, {"celsius": "sys/class/apex/apex_0/temp", **EVERYWHERE}, 1_500_000),
    "x86": BoardKind(_x86, PACKAGE, 3_400_000),
    "laptop": BoardKind(
        _laptop, {"battery_wh": f"{CELL}energy_now", "on_battery": f"{CELL}status", **PACKAGE}, 3_400_000
    ),
    "laptop-in-charge": BoardKind(
        _laptop_in_charge, {"battery_wh": f"{CELL}charge_now", "on_battery": f"{CELL}status", **PACKAGE}, 3_400_000
    ),
}


__all__ = ["ANSWERS", "COMMAND", "CORES", "KINDS", "OFFLINE", "POLICY", "BoardKind", "Counters", "Shown", "bits_now"]
