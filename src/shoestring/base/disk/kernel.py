"""The one seam between this package's writing and the operating system.

Every system call that writes, and the few that read for it, is a method here. Tests put another kernel in its place:
one that fails at the N-th call, or one that logs what would be lost in a power cut (tests/faults.py, tests/power.py).

A call that a signal interrupts is taken up again by Python itself (PEP 475), unless the signal's handler raises.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


class Kernel:
    """The real one. Each method is one system call and raises OSError."""

    def open(self, path: Path, flags: int, mode: int = 0o666) -> int:
        """A descriptor that no child process inherits; the umask narrows `mode` where a file is made."""
        return os.open(path, flags | os.O_CLOEXEC, mode)

    def close(self, descriptor: int) -> None:
        """The descriptor is gone afterwards, even when this raises."""
        os.close(descriptor)

    def read(self, descriptor: int, size: int, offset: int) -> bytes:
        """At most `size` bytes from `offset`; none at the end of the file."""
        return os.pread(descriptor, size, offset)

    def write(self, descriptor: int, data: memoryview, offset: int) -> int:
        """How many of the bytes were taken; a file opened to append takes them at its end, whatever the offset."""
        return os.pwrite(descriptor, data, offset)

    def truncate(self, descriptor: int, size: int) -> None:
        """Make the file `size` bytes long."""
        os.ftruncate(descriptor, size)

    def sync(self, descriptor: int) -> None:
        """Returns when the file's bytes, or the directory's names, are on the medium."""
        os.fsync(descriptor)

    def rename(self, source: Path, target: Path) -> None:
        """In one step, over what was there."""
        os.rename(source, target)  # noqa: PTH104 - the call itself

    def link(self, source: Path, target: Path) -> None:
        """A second name for a file; never over what was there."""
        os.link(source, target)

    def unlink(self, path: Path) -> None:
        """Take a file's name away."""
        os.unlink(path)  # noqa: PTH108 - the call itself

    def mkdir(self, path: Path) -> None:
        """Make one directory."""
        os.mkdir(path)  # noqa: PTH102 - the call itself

    def status(self, descriptor: int) -> os.stat_result:
        """Of an open file."""
        return os.fstat(descriptor)

    def look(self, path: Path) -> os.stat_result:
        """Of a name, links not followed."""
        return os.lstat(path)

    def names(self, directory: Path) -> list[str]:
        """What is in a directory, in no order."""
        return os.listdir(directory)  # noqa: PTH208 - the call itself

    def lock(self, descriptor: int, *, wait: bool) -> None:
        """Hold the file alone until the descriptor is closed. Raises BlockingIOError where that would have to wait."""
        fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))


_current = Kernel()


def current() -> Kernel:
    """The kernel that all writing asks."""
    return _current


@contextlib.contextmanager
def using(kernel: Kernel) -> Iterator[None]:
    """Ask another kernel within the block; for tests. Holds for all threads of the process."""
    global _current
    before = _current
    _current = kernel
    try:
        yield
    finally:
        _current = before


@contextlib.contextmanager
def opened(path: Path, flags: int) -> Iterator[int]:
    """A descriptor for the block, closed after it, whatever happens."""
    descriptor = current().open(path, flags)
    try:
        yield descriptor
    finally:
        current().close(descriptor)
