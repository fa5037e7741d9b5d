"""Room for a new bundle: whose place it takes, and what was left behind by a cut."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from shoestring.base import disk
from shoestring.base.errors import SlotError
from shoestring.device.slots import rules
from shoestring.device.slots.copying import check_space
from shoestring.device.slots.nouns import SLOTS
from shoestring.device.slots.record import COPY, RECORD, file_of, read_record, settle_copy, write_record

if TYPE_CHECKING:
    from pathlib import Path


def room_for(root: Path, size_bytes: int) -> Path:
    """The file of a slot that the record does not name any more; the caller holds the lock.

    Raises:
        SlotError: there is no room on the file system; then nothing has changed.
        StorageError: the record cannot be written.
    """
    record, trouble = read_record(root)
    after, slot = rules.making_room(record)
    path = root / file_of(slot)
    check_space(root, size_bytes, path)
    if trouble is not None or after != record or not (root / RECORD).exists():  # a slot never comes before the record
        write_record(root, after)
    # Before anything is written over: should the record be damaged one day, its copy names no slot that is not there.
    settle_copy(root, after)
    disk.remove(path)
    return path


def remove_leftovers(root: Path, staged: str | None) -> tuple[str, ...]:
    """Remove half-written files, and slots that the record does not name; the caller holds both locks.

    Args:
        root: of the slots.
        staged: file that is about to be activated, or None.

    Returns:
        Names of what was removed.
    """
    record, trouble = read_record(root)
    kept = {file_of(one.slot) for one in (record.active, record.previous) if one is not None} | {staged}
    files = [file_of(slot) for slot in SLOTS]
    # Where the record is damaged the slots are left alone: somebody may find out what is in them.
    gone = [] if trouble is not None else [one for one in files if one not in kept and (root / one).exists()]
    for name in (*files, RECORD, COPY):
        gone += sorted(path.name for path in root.glob(f".{name}.*.part"))
    for name in gone:
        disk.remove(root / name)
    return tuple(gone)


def check_same(path: Path, descriptor: int) -> None:
    """Raises SlotError unless the name still stands for the file that was verified."""
    ours = os.fstat(descriptor)
    try:
        there = path.lstat()
    except OSError:
        there = None
    if there is None or (there.st_dev, there.st_ino, there.st_size) != (ours.st_dev, ours.st_ino, ours.st_size):
        raise SlotError(f"{path} was replaced after it was verified", "hash", hint="activate it again")


__all__ = ["check_same", "remove_leftovers", "room_for"]
