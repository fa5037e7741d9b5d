"""What the kernel says of clock, pressure, memory and load.

Sources: Linux, Documentation/admin-guide/pm/cpufreq.rst, Documentation/accounting/psi.rst,
Documentation/filesystems/proc.rst.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from shoestring.device.sensors.source import GarbledError, Source, folders, number_of, text_of

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


def kernel_sources(root: Path) -> tuple[Source, ...]:
    """Those that this kernel has."""
    policies = [
        core
        for core in folders(root / "sys/devices/system/cpu", "cpu[0-9]*/cpufreq")
        if (core / "cpuinfo_max_freq").exists()
    ]
    found = []
    if policies:
        found.append(Source("clock", "cpufreq", lambda: capped_share(policies)))
    pressure, memory, stat = root / "proc/pressure/cpu", root / "proc/meminfo", root / "proc/stat"
    if pressure.exists():
        found.append(Source("pressure", "/proc/pressure/cpu", lambda: some_avg10(text_of(pressure))))
    if memory.exists():
        found.append(Source("memory_free_bytes", "/proc/meminfo", lambda: available_bytes(text_of(memory))))
    if stat.exists():
        found.append(Source("load", "/proc/stat", BusyShare(stat).share))
    return tuple(found)


def capped_share(policies: Sequence[Path]) -> float:
    """The present cap over the hardware's maximum, of the most capped core.

    Raises:
        OSError, GarbledError: as `number_of`; also when a core's cap is above its maximum, which the others would hide.
    """
    shares = [number_of(core / "scaling_max_freq") / number_of(core / "cpuinfo_max_freq") for core in policies]
    if max(shares) > 1:
        raise GarbledError(f"{max(shares):g} of the highest clock")
    return min(shares)


def some_avg10(said: str) -> float:
    """Percent of the last ten seconds in which some task waited for a processor.

    Raises:
        GarbledError: no such line.
    """
    match = re.search(r"^some avg10=(\d+\.\d+) ", said, re.MULTILINE)
    if match is None:
        raise GarbledError(said)
    return float(match[1])


def available_bytes(said: str) -> float:
    """MemAvailable of /proc/meminfo. Raises GarbledError where it is not there, or more than there is."""
    found = dict(re.findall(r"^(MemTotal|MemAvailable):\s+(\d+) kB$", said, re.MULTILINE))
    if len(found) != 2 or int(found["MemAvailable"]) > int(found["MemTotal"]):
        raise GarbledError(said)
    return float(int(found["MemAvailable"]) * 1024)


class BusyShare:
    """Share of all cores' time that was not idle since the last look.

    Args:
        stat: /proc/stat.
    """

    def __init__(self, stat: Path) -> None:
        self._stat = stat
        self._before: tuple[int, int] | None = None
        self._share: float | None = None

    def share(self) -> float | None:
        """0 to 1; None at the first look.

        Raises:
            OSError: the file is gone.
            GarbledError: it is no such file.
        """
        said = text_of(self._stat)
        match = re.match(r"cpu +((?:\d+ ?)+)", said)
        times = [int(number) for number in match[1].split()] if match else []
        if len(times) < 4:
            raise GarbledError(said)
        total, idle = sum(times[:8]), sum(times[3:5])  # guest times, after the eighth, are in user time already
        if self._before is not None and total > self._before[0]:
            self._share = max(0.0, 1 - (idle - self._before[1]) / (total - self._before[0]))
        self._before = (total, idle)
        return self._share


__all__ = ["BusyShare", "available_bytes", "capped_share", "kernel_sources", "some_avg10"]
