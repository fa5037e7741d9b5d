"""What a device knows of its two bundles: the record, and what it hands out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

RECORD_FORMAT = 1
SLOTS = ("a", "b")
EMPTY, TRIAL, GOOD = "empty", "trial", "good"
STATES = (EMPTY, TRIAL, GOOD)
MAX_STARTS = 3
"""Of a bundle on trial: one may be cut short by a power cut and one by a restart of the system; the third by itself."""
MAX_REFUSED = 64
"""Bundles that are remembered as refused. Only signed ones come so far; a fleet that ships more bad ones than this may
see the oldest of them tried once more, and refused again."""
MAX_WORDS = 400
"""Characters of a reason in words: a line or three."""
MAX_RECORD_BYTES = 64 * 1024
"""Of the record's file: MAX_REFUSED reasons of MAX_WORDS characters take 36 kB."""


@dataclass(frozen=True)
class Kept:
    """What a slot holds.

    Args:
        slot: one of SLOTS.
        sha256: of the whole file.
        size_bytes: of it.
        name: of the model, for people.
        counter: of the release that brought it; 0 where no release did.
    """

    slot: str
    sha256: str
    size_bytes: int
    name: str
    counter: int


@dataclass(frozen=True)
class Refusal:
    """A bundle that is not tried again.

    Args:
        sha256: of its file.
        reason: one of `SlotError.REASONS`.
        words: what happened, at most MAX_WORDS characters.
        at_s: by the device's clock, s since 1970; a board without a battery may not know.
    """

    sha256: str
    reason: str
    words: str
    at_s: int


@dataclass(frozen=True)
class Record:
    """All that is known. Closed schema, canonical bytes.

    Args:
        format: RECORD_FORMAT.
        state: one of STATES, of the active bundle.
        active: the one that is started; None when `state` is EMPTY.
        starts: that were counted since it was activated; 0 once it is good.
        previous: a good one to go back to, in the other slot.
        refused: oldest first, at most MAX_REFUSED.
        counter: the highest of all releases that were ever activated or seen; no smaller one is taken.
    """

    format: int
    state: str
    active: Kept | None
    starts: int
    previous: Kept | None
    refused: tuple[Refusal, ...]
    counter: int


@dataclass(frozen=True)
class Sealed:
    """A record as it lies on the disk: one bit that rots in it is noticed, and not taken for another hash.

    Args:
        record: that it is.
        sha256: of its canonical bytes. It tells damage, not attacks: whoever can write it can write this.
    """

    record: Record
    sha256: str


NOTHING = Record(RECORD_FORMAT, EMPTY, None, 0, None, (), 0)
"""Of a device that never had a bundle."""


@dataclass(frozen=True)
class Held:
    """A bundle in a slot, as it is handed out.

    Args:
        slot, sha256, size_bytes, name, counter: as of `Kept`.
        path: of its file. It may be replaced once another bundle is activated: open it at once, and hold its hash
            against `sha256`; `Slots.begin_open` does both.
        state: TRIAL or GOOD; EMPTY of one that is staged and not activated.
        starts: as of `Record`.
    """

    slot: str
    sha256: str
    size_bytes: int
    name: str
    counter: int
    path: Path
    state: str
    starts: int


__all__ = [
    "EMPTY",
    "GOOD",
    "MAX_RECORD_BYTES",
    "MAX_REFUSED",
    "MAX_STARTS",
    "MAX_WORDS",
    "NOTHING",
    "RECORD_FORMAT",
    "SLOTS",
    "STATES",
    "TRIAL",
    "Held",
    "Kept",
    "Record",
    "Refusal",
    "Sealed",
]
