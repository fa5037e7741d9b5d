"""What refusing hostile files takes: time is printed, memory is held to a limit."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

from shoestring.base.limits import MIB

if TYPE_CHECKING:
    from types import TracebackType

MOST_BYTES = 64 * MIB


class Meter:
    """Use it in a `with` block around each attempt, and `check` at the end.

    Args:
        what: is metered.
    """

    def __init__(self, what: str) -> None:
        self._what, self.count, self.longest_s, self._start = what, 0, 0.0, 0.0
        _forget()
        self._before = _peak_bytes()

    def __enter__(self) -> None:
        self._start = time.thread_time()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.longest_s = max(self.longest_s, time.thread_time() - self._start)
        self.count += 1

    def check(self) -> None:
        """Print the figures. No attempt may have raised this process's memory by more than MOST_BYTES."""
        grown = _peak_bytes() - self._before
        print(
            f"{self._what}: {self.count:,} files, the longest took {1000 * self.longest_s:.1f} ms of processor time, "
            f"memory rose by {grown / MIB:.0f} MiB"
        )
        assert grown <= MOST_BYTES


def _peak_bytes() -> int:
    """Most memory that this process held since `_forget`."""
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM:"))
    return int(line.split()[1]) * 1024


def _forget() -> None:
    """Set the peak back to what is held now (Linux, Documentation/filesystems/proc.rst, clear_refs)."""
    Path("/proc/self/clear_refs").write_text("5")
