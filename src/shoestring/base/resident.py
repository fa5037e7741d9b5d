"""How much memory a process really holds, as Linux tells it."""

from __future__ import annotations

import os
import re
import resource
from pathlib import Path

from shoestring.base.errors import EngineError


def high_water_bytes(status: str) -> int:
    """VmHWM out of the text of /proc/PID/status, bytes.

    `ru_maxrss` would not do: Linux carries it over `exec`, so that a child of a large process starts with its parent's
    peak. VmHWM belongs to the address space, which `exec` replaces.
    """
    match = re.search(r"^VmHWM:\s+(\d+) kB$", status, re.MULTILINE)
    if match is None:
        raise EngineError("/proc/self/status has no VmHWM line, so peak memory is unknown", hint="measure on Linux")
    return int(match[1]) * 1024


def peak_of(pid: int) -> int | None:
    """Peak resident memory of a process so far, bytes; None when it has ended, or where there is no /proc."""
    try:
        return high_water_bytes(Path(f"/proc/{pid}/status").read_text())
    except (OSError, EngineError):  # a process that has ended but was not waited for has no VmHWM
        return None


class Watch:
    """Looks at a child process again and again, at a tenth of the cost of opening its files each time.

    The files are those of the process that had the number when they were opened, never of a later one.

    Args:
        pid: of a process that runs.
    """

    def __init__(self, pid: int) -> None:
        self._files = [_opened(f"/proc/{pid}/{name}") for name in ("status", "statm")]

    def peak_bytes(self) -> int | None:
        """Peak resident memory so far; None when it has ended, or where there is no /proc."""
        try:
            return high_water_bytes(self._read(0))
        except (OSError, EngineError):  # a process that has ended but was not waited for has no VmHWM
            return None

    def resident_bytes(self) -> int | None:
        """Memory held now: second figure of statm, in pages (proc_pid_statm(5)); None likewise."""
        try:
            pages = int(self._read(1).split()[1])
        except (OSError, IndexError):
            return None
        return pages * resource.getpagesize() or None

    def close(self) -> None:
        """Give the descriptors back; a second call does nothing."""
        for descriptor in self._files:
            if descriptor is not None:
                os.close(descriptor)
        self._files = [None, None]

    def _read(self, place: int) -> str:
        descriptor = self._files[place]
        return "" if descriptor is None else os.pread(descriptor, 8192, 0).decode(errors="replace")


def available_bytes() -> int | None:
    """MemAvailable of the kernel (proc_meminfo(5)); None where it does not say."""
    try:
        match = re.search(r"^MemAvailable:\s+(\d+) kB$", Path("/proc/meminfo").read_text(), re.MULTILINE)
    except OSError:
        return None
    return None if match is None else int(match[1]) * 1024


def _opened(path: str) -> int | None:
    try:
        return os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None


__all__ = ["Watch", "available_bytes", "high_water_bytes", "peak_of"]
