"""What a start takes: counted on the disk first, then the first bundle whose every byte is as it was."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from shoestring.base.errors import BundleError, SlotError, StorageError
from shoestring.bundle.opening import open_bundle
from shoestring.device.slots import rules
from shoestring.device.slots.nouns import EMPTY, GOOD, TRIAL, Kept, Record
from shoestring.device.slots.record import file_of, read_record, settle_copy, write_record

if TYPE_CHECKING:
    from pathlib import Path

    from shoestring.bundle import Bundle


@dataclass(frozen=True)
class Start:
    """What is started.

    Args:
        kept: that it is.
        state: of it.
        starts: that were counted.
        bundle: open.
        active: hash of what the record names; another one where that could not be read, or its start not be counted.
    """

    kept: Kept
    state: str
    starts: int
    bundle: Bundle
    active: str


def start(root: Path, wall_s: float) -> Start:
    """See `Slots.begin_open`; the caller holds the lock."""
    record, trouble = read_record(root)
    counted = rules.started(record, wall_s)
    try:
        # What was damaged is written anew from its copy; where nothing is known it is left for somebody to look at.
        if counted != record or (trouble is not None and record.active is not None):
            write_record(root, counted)
        if counted.active is not None:
            settle_copy(root, counted)
    except StorageError:
        counted = _without_trial(record)
        if counted.active is None:
            raise
    kept, state, starts, bundle = _first_sound(root, counted, trouble)
    left, _ = read_record(root)
    return Start(kept, state, starts, bundle, kept.sha256 if left.active is None else left.active.sha256)


def nothing(root: Path, trouble: str | None) -> SlotError:
    """The error that there is no bundle to start."""
    why = f"{root} holds none that is sound and was good" if trouble is None else trouble
    return SlotError(
        f"no bundle can be started: {why}", "damaged", hint=f"shoestring slots {root} activate BUNDLE brings one"
    )


def _first_sound(root: Path, record: Record, trouble: str | None) -> tuple[Kept, str, int, Bundle]:
    """The active bundle, or the previous one where that is not what it was."""
    unread: StorageError | None = None
    choices = ((record.active, record.state, record.starts), (record.previous, GOOD, 0))
    for kept, state, starts in choices:
        if kept is None:
            continue
        path = root / file_of(kept.slot)
        try:
            bundle = open_bundle(path)
            if bundle.sha256 == kept.sha256:
                return kept, state, starts, bundle
            bundle.close()
        except BundleError:
            pass
        except StorageError as error:
            if path.exists():  # the moment is to blame, or the disk: the record stays as it is
                unread = error
                continue
        record = rules.damaged(record, kept.slot)
        with contextlib.suppress(StorageError):  # it is found again at the next start
            write_record(root, record)
    if unread is not None:
        raise unread
    raise nothing(root, trouble)


def _without_trial(record: Record) -> Record:
    """What may be started when nothing can be written: an uncounted trial would be tried for ever."""
    if record.state != TRIAL:
        return record
    return replace(record, state=EMPTY if record.previous is None else GOOD, active=record.previous, previous=None)


__all__ = ["Start", "nothing", "start"]
