"""The record on the disk, and a second copy for when it is damaged.

`slots.json` is the record: renaming it into place is the one step that activates, confirms or rolls back. Whenever it
names no trial, a copy is written after it (`slots.good.json`). Should the record be unreadable, the copy tells what was
good before the trial; a bundle that was on trial is then not started, and nothing that was not verified ever is.
"""

from __future__ import annotations

import errno
import os
import re
from typing import TYPE_CHECKING

from shoestring.base import canonical, disk
from shoestring.base.errors import BundleError, SlotError, StorageError
from shoestring.bundle.opening import open_regular
from shoestring.device.slots.nouns import (
    EMPTY,
    MAX_RECORD_BYTES,
    MAX_REFUSED,
    MAX_STARTS,
    MAX_WORDS,
    NOTHING,
    RECORD_FORMAT,
    SLOTS,
    STATES,
    TRIAL,
    Record,
    Sealed,
)

if TYPE_CHECKING:
    from pathlib import Path

RECORD, COPY = "slots.json", "slots.good.json"
_HASH = re.compile(r"^[0-9a-f]{64}$")
_GONE = (errno.EIO, errno.ENOENT, errno.ELOOP)
"""Errors that are about the file: a lost sector, a link to nowhere. Others, as of memory, are about the moment."""
_MAX_COUNT = 10**15
"""Of counters and bytes: far above any, and safe in every program that reads JSON."""


def read_record(root: Path) -> tuple[Record, str | None]:
    """The record, and what is wrong with it in words; None where nothing is.

    Raises:
        StorageError: it cannot be read just now.
    """
    try:
        found = _read(root, RECORD)
    except SlotError as error:
        why = error.message
    else:
        if found is not None:
            return found, None
        why = f"{root / RECORD} is missing"
    try:
        copy = _read(root, COPY)
    except SlotError as error:
        return NOTHING, f"{why}; {error.message}"
    if copy is None:
        slots = [slot for slot in SLOTS if (root / file_of(slot)).exists()]
        never = f"{root / RECORD} is missing" == why and not slots
        return NOTHING, None if never else f"{why}; nothing tells which bundle was good"
    return copy, f"{why}; what was good before is taken from {COPY}"


def write_record(root: Path, record: Record) -> None:
    """The one step after which everything is different, and then the copy. Raises StorageError."""
    data = sealed(record)
    disk.write_bytes(root / RECORD, data)
    if record.state != TRIAL:
        disk.write_bytes(root / COPY, data)


def settle_copy(root: Path, record: Record) -> None:
    """Write the copy where a cut kept `write_record` from doing it; called before a slot is written over.

    Raises:
        StorageError: it cannot be written.
    """
    if record.state == TRIAL:
        return
    try:
        held = _read(root, COPY)
    except SlotError:
        held = None
    if held != record:
        disk.write_bytes(root / COPY, sealed(record))


def sealed(record: Record) -> bytes:
    """As it lies on the disk."""
    return canonical.encode(Sealed(record, canonical.digest(record)))


def file_of(slot: str) -> str:
    """Name of a slot's file."""
    return f"{slot}.shoe"


def _read(root: Path, name: str) -> Record | None:
    """A sound record, or None where there is none.

    Raises:
        SlotError: the file is no sound record.
        StorageError: it cannot be read.
    """
    path = root / name
    if not os.path.lexists(path):
        return None
    try:
        with open_regular(path) as stream:
            data = stream.read(MAX_RECORD_BYTES + 1)
    except BundleError as error:
        raise _unsound(path, "it is no regular file") from error
    except StorageError as error:
        cause = error.__cause__
        if isinstance(cause, OSError) and cause.errno in _GONE:
            raise _unsound(path, error.message) from error
        raise
    except OSError as error:
        if error.errno in _GONE:
            raise _unsound(path, f"it cannot be read: {error.strerror}") from error
        raise StorageError(f"cannot read {path}: {error.strerror or error}", hint="check the disk") from error
    if len(data) > MAX_RECORD_BYTES:
        raise _unsound(path, f"it has more than {MAX_RECORD_BYTES} bytes")
    held = canonical.decode(data, Sealed, lambda reason: _unsound(path, reason))
    if canonical.digest(held.record) != held.sha256:
        raise _unsound(path, "it does not have its hash")
    odd = _oddity(held.record)
    if odd is not None:
        raise _unsound(path, odd)
    return held.record


def _oddity(record: Record) -> str | None:
    """A rule that it breaks, in words."""
    kept = [one for one in (record.active, record.previous) if one is not None]
    hashes = [*(one.sha256 for one in kept), *(one.sha256 for one in record.refused)]
    rules = {
        f"its format is {record.format}, not {RECORD_FORMAT}": record.format == RECORD_FORMAT,
        f"its state is {record.state!r}": record.state in STATES,
        "its state and its active bundle do not agree": (record.state == EMPTY) == (record.active is None),
        "a bundle is gone back to without an active one": record.active is not None or record.previous is None,
        "a slot is none of ours": all(one.slot in SLOTS for one in kept),
        "two bundles are in one slot": len({one.slot for one in kept}) == len(kept),
        "a hash is none": all(_HASH.match(one) for one in hashes),
        "starts are counted that cannot be": 0 <= record.starts <= (MAX_STARTS if record.state == TRIAL else 0),
        "a count makes no sense": all(
            0 <= one < _MAX_COUNT
            for one in (record.counter, *(one.counter for one in kept), *(one.size_bytes for one in kept))
        ),
        f"it refuses {len(record.refused)} bundles": len(record.refused) <= MAX_REFUSED,
        "a reason makes no sense": all(
            one.reason in SlotError.REASONS and len(one.words) <= MAX_WORDS and 0 <= one.at_s < _MAX_COUNT
            for one in record.refused
        ),
    }
    return next((words for words, holds in rules.items() if not holds), None)


def _unsound(path: Path, reason: str) -> SlotError:
    line = "".join(one if one.isprintable() else "?" for one in " ".join(reason.split()))
    return SlotError(f"{path} is no sound record: {line[:MAX_WORDS]}", "damaged")


__all__ = ["COPY", "RECORD", "file_of", "read_record", "sealed", "settle_copy", "write_record"]
