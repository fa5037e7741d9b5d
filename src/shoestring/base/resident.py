"""How much memory a process really holds, as Linux tells it."""

from __future__ import annotations

import re
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


__all__ = ["high_water_bytes", "peak_of"]
