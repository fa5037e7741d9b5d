"""Reports that wait to be sent: on the disk, in order, bounded, each with a number that never comes twice.

One file a report, and one that says up to which number all is done with. The order of writing makes the rest:

- A report is on the disk before anybody can have seen it, so a number that was seen is never given again: the next is
  one more than the largest in a file or done with.
- What is done with is written before files go, so a cut in between leaves files that are known to be of no more use.
- What the report says and what has been told by it (`mark`) are one file: after a cut either both hold or neither.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from shoestring.base import canonical, disk, opens
from shoestring.base.errors import DataError, StorageError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

QUEUE_FORMAT = 1
MAX_WAITING = 1000
"""At one to three changes a release a year of outage; with 2 kB each some megabytes."""
MAX_ENTRY_BYTES = 64 * 1024
"""A report is below 2 kB; its envelope adds a third and the signature."""
DONE = "done.json"
_NAME = re.compile(r"^(\d{12})\.json$", re.ASCII)


@dataclass(frozen=True)
class Entry:
    """A report that waits.

    Args:
        format: QUEUE_FORMAT.
        sequence: its number.
        mark: what has been told once this is.
        envelope: what is sent.
    """

    format: int
    sequence: int
    mark: str
    envelope: str


@dataclass(frozen=True)
class Done:
    """What needs no more thought.

    Args:
        format: QUEUE_FORMAT.
        through: all reports up to this number.
        mark: of the last of them.
        sent: how many of them were taken by whoever collects.
        dropped: ... had to make room for later ones.
        rejected: ... were refused by whoever collects, and would be again.
        damaged: ... could not be read back.
    """

    format: int
    through: int
    mark: str
    sent: int
    dropped: int
    rejected: int
    damaged: int


class ReportQueue:
    """The reports of one device. One process at a time may use it.

    Args:
        folder: of it; made when missing.
        most: that wait.

    Raises:
        StorageError: the folder cannot be made or read, or what is done with is damaged.
    """

    def __init__(self, folder: Path, most: int = MAX_WAITING) -> None:
        self._folder, self._most = disk.make_directory(folder), most
        disk.sweep(folder)
        self._done = self._read_done()
        self._waiting = []
        for sequence in self._numbers():
            if sequence <= self._done.through:
                disk.remove(self._path(sequence))
            else:
                self._waiting.append(sequence)
        self._mark = self._done.mark
        for sequence in tuple(self._waiting):
            entry = self._entry(sequence)
            if entry is None:
                continue
            self._mark = entry.mark

    @property
    def done(self) -> Done:
        """Counts so far."""
        return self._done

    @property
    def mark(self) -> str:
        """Of the newest report; empty before the first."""
        return self._mark

    @property
    def waiting(self) -> tuple[int, ...]:
        """Numbers of the reports that wait, in order."""
        return tuple(self._waiting)

    def add(self, make: Callable[[int], str], mark: str) -> int:
        """Take one more; the oldest makes room where there is none.

        Args:
            make: gives the envelope of a number.
            mark: what has been told once it is.

        Returns:
            Its number.

        Raises:
            StorageError: the disk refuses; then nothing has changed.
        """
        sequence = max([self._done.through, *self._waiting[-1:]]) + 1
        entry = Entry(QUEUE_FORMAT, sequence, mark, make(sequence))
        disk.write_bytes(self._path(sequence), canonical.encode(entry))
        self._waiting.append(sequence)
        self._mark = mark
        while len(self._waiting) > self._most:
            self._finish(self._waiting[0], "dropped")
        return sequence

    def first(self) -> Entry | None:
        """The oldest that waits; what cannot be read back is counted and passed over. Raises StorageError."""
        while self._waiting:
            entry = self._entry(self._waiting[0])
            if entry is not None:
                return entry
            self._finish(self._waiting[0], "damaged")
        return None

    def sent(self, entry: Entry) -> None:
        """It was taken. Raises StorageError."""
        self._finish(entry.sequence, "sent", entry.mark)

    def rejected(self, entry: Entry) -> None:
        """It was refused, and would be each time. Raises StorageError."""
        self._finish(entry.sequence, "rejected", entry.mark)

    def _finish(self, sequence: int, how: str, mark: str | None = None) -> None:
        if mark is None:
            entry = self._entry(sequence)
            mark = self._done.mark if entry is None else entry.mark
        counts = {name: getattr(self._done, name) for name in ("sent", "dropped", "rejected", "damaged")}
        counts[how] += 1
        done = Done(QUEUE_FORMAT, sequence, mark, **counts)
        disk.write_bytes(self._folder / DONE, canonical.encode(done))
        self._done = done
        self._waiting.remove(sequence)
        disk.remove(self._path(sequence))

    def _path(self, sequence: int) -> Path:
        return self._folder / f"{sequence:012d}.json"

    def _numbers(self) -> list[int]:
        try:
            names = [_NAME.match(path.name) for path in self._folder.iterdir()]
        except OSError as error:
            raise StorageError(f"cannot read {self._folder}: {error.strerror or error}") from error
        return sorted(int(name[1]) for name in names if name is not None)

    def _entry(self, sequence: int) -> Entry | None:
        try:
            entry = canonical.decode(self._bytes(self._path(sequence).name), Entry, DataError)
        except DataError:
            return None
        return entry if (entry.format, entry.sequence) == (QUEUE_FORMAT, sequence) else None

    def _read_done(self) -> Done:
        path = self._folder / DONE
        if not path.exists():
            return Done(QUEUE_FORMAT, 0, "", 0, 0, 0, 0)
        try:
            done = canonical.decode(self._bytes(DONE), Done, DataError)
        except DataError as error:
            # Numbers could come twice: better no report than two different ones under one number.
            raise StorageError(
                f"{path} is damaged: {error.message}", hint=f"remove {self._folder.parent} to start as a new device"
            ) from None
        return done

    def _bytes(self, name: str) -> bytes:
        with opens.open_within(self._folder, name) as stream:
            data = stream.read(MAX_ENTRY_BYTES + 1)
        if len(data) > MAX_ENTRY_BYTES:
            raise DataError(f"{name} has more than {MAX_ENTRY_BYTES} bytes")
        return data


__all__ = ["MAX_WAITING", "Done", "Entry", "ReportQueue"]
