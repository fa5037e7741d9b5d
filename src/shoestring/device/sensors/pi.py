"""What the firmware of a Raspberry Pi says: under-voltage, throttling, and on a Pi 5 the power of its rails.

Sources: Raspberry Pi documentation, computers/os "vcgencmd" (get_throttled, pmic_read_adc) and computers/raspberry-pi
"Frequency management and thermal control"; raspberrypi/linux, drivers/firmware/raspberrypi.c (`get_throttled`, in
hexadecimal) and drivers/hwmon/raspberrypi-hwmon.c.
"""

from __future__ import annotations

import re
import subprocess
from functools import partial
from typing import TYPE_CHECKING

from shoestring.device.sensors.source import GarbledError, Source, folders, number_of, text_of, word_of

if TYPE_CHECKING:
    from pathlib import Path

UNDER_VOLTAGE, CAPPED, THROTTLED, SOFT_LIMIT = 1, 2, 4, 8
"""Bits of what is so now."""
SINCE_BOOT = {16: "under-voltage", 17: "clock capped", 18: "throttled", 19: "soft temperature limit"}
"""Bits of what has been so. They never fill a reading."""
HIGHEST_BITS = 0xFFFFF
HOT_CELSIUS = 79.0
"""A capped clock beside a weak supply is put down to heat from here on: the firmware begins at 80 C."""

COMMANDS = ("usr/bin/vcgencmd", "opt/vc/bin/vcgencmd")
FILE = "sys/devices/platform/soc/soc:firmware/get_throttled"
ANSWER_S = 0.3
"""For `vcgencmd`; it takes 5 to 20 ms."""
RAIL = re.compile(r"^\s*(\w+)_([AV]) (?:current|volt)\(\d+\)=([0-9.]+)[AV]\s*$", re.MULTILINE)


def command_of(root: Path) -> Path | None:
    """Where `vcgencmd` is."""
    return next((root / path for path in COMMANDS if (root / path).is_file()), None)


def ask(command: Path, *words: str) -> str:
    """What `vcgencmd` answers.

    Raises:
        OSError: it cannot be started, fails (as without membership in the group `video`), or is too slow.
    """
    try:
        done = subprocess.run(
            [command, *words], stdin=subprocess.DEVNULL, capture_output=True, timeout=ANSWER_S, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise TimeoutError(f"vcgencmd {words[0]} took more than {ANSWER_S} s") from error
    if done.returncode:
        raise OSError(f"vcgencmd {words[0]} ended with {done.returncode}")
    return done.stdout.decode(errors="replace").strip("\0\n ")


def parse_bits(said: str) -> float:
    """`throttled=0x50005` of the command, `50005` of the file: hexadecimal both.

    Raises:
        GarbledError: something else.
    """
    try:
        return float(int(said.removeprefix("throttled="), 16))
    except ValueError as error:
        raise GarbledError(said) from error


def parse_rails(said: str) -> float:
    """Watts over all rails with both a current and a voltage.

    The 5 V input has no current, so what USB devices, a fan, a HAT and the converters themselves take is not in it.

    Raises:
        GarbledError: no such pair.
    """
    values = {(name, kind): float(value) for name, kind, value in RAIL.findall(said) if value.count(".") <= 1}
    watts = [
        value * values[name, "V"] for (name, kind), value in values.items() if kind == "A" and (name, "V") in values
    ]
    if not watts:
        raise GarbledError(said)
    return sum(watts)


def throttled_for_heat(bits: int, celsius: float | None) -> bool:
    """Whether the clock is held down for heat, now.

    A weak supply caps the clock too. Beside it a capped clock counts as heat only when the chip is hot, or may be.
    """
    if bits & SOFT_LIMIT:
        return True
    held = bool(bits & (CAPPED | THROTTLED))
    return held and (not bits & UNDER_VOLTAGE or celsius is None or celsius >= HOT_CELSIUS)


def since_boot_words(bits: int) -> tuple[str, ...]:
    """What has happened, in words, from the upper bits alone."""
    return tuple(word for bit, word in SINCE_BOOT.items() if bits >> bit & 1)


class Firmware:
    """Flags of the firmware, and the clock that it lets run while it holds it down.

    Args:
        root: of the file system.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._command, self._file = command_of(root), root / FILE
        self._bits = 0

    def sources(self) -> tuple[Source, ...]:
        """From the kernel's file, else by `vcgencmd`, else the alarm of the `rpi_volt` device (voltage alone)."""
        running = Source("running", "clock that runs", self._running)
        if self._file.exists():
            return (Source("bits", "get_throttled", lambda: self._kept(text_of(self._file))), running)
        if (command := self._command) is not None:
            return (
                Source("bits", "vcgencmd get_throttled", lambda: self._kept(ask(command, "get_throttled"))),
                running,
            )
        for chip in folders(self._root / "sys/class/hwmon", "hwmon*"):
            alarm = chip / "in0_lcrit_alarm"
            if word_of(chip / "name") == "rpi_volt" and alarm.exists():
                return (Source("under_voltage", f"{chip.name}/{alarm.name}", partial(number_of, alarm)),)
        return ()

    def _kept(self, said: str) -> float:
        bits = parse_bits(said)
        self._bits = int(bits)
        return bits

    def _running(self) -> float | None:
        """Share of the hardware's maximum; asked only while the firmware holds the clock down: asking costs a process.

        Cpufreq's cap does not show what the firmware does. The file of the clock that runs is root's alone on most
        systems; members of the group `video` are told by `vcgencmd`.
        """
        if not self._bits & (CAPPED | THROTTLED | SOFT_LIMIT):
            return None
        core = self._root / "sys/devices/system/cpu/cpu0/cpufreq"
        highest = number_of(core / "cpuinfo_max_freq")
        try:
            return number_of(core / "cpuinfo_cur_freq") / highest
        except OSError:
            if self._command is None:
                raise
        said = ask(self._command, "measure_clock", "arm")
        match = re.fullmatch(r"frequency\(\d+\)=(\d+)", said)
        if match is None:
            raise GarbledError(said)
        return int(match[1]) / 1000 / highest


def pmic_source(root: Path) -> Source | None:
    """The rails of a Raspberry Pi 5. Other boards of the family have no such meter, and their command fails."""
    command = command_of(root)
    if command is None or "Raspberry Pi 5" not in word_of(root / "proc/device-tree/model"):
        return None
    return Source("watts", "vcgencmd pmic_read_adc", lambda: parse_rails(ask(command, "pmic_read_adc")))


__all__ = [
    "CAPPED",
    "HIGHEST_BITS",
    "SOFT_LIMIT",
    "THROTTLED",
    "UNDER_VOLTAGE",
    "Firmware",
    "ask",
    "command_of",
    "parse_bits",
    "parse_rails",
    "pmic_source",
    "since_boot_words",
    "throttled_for_heat",
]
