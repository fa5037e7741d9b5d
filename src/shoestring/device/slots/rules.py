"""How the record moves from state to state: pure functions, so that a test can walk through all of them.

                 activate                confirm
    empty ───────────────────> trial ──────────────> good
      ^                        │                      │
      └── fail, no good one ───┤                      └── activate: this one is the previous, the new one on trial
                               └── fail, or too many starts: the previous good one is active, this one refused

A good bundle leaves the record in three ways only: a newer one was confirmed and a third one is staged in its place,
its file does not hold its hash any more, or its owner revoked it.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from shoestring.base.errors import SlotError, UsageError
from shoestring.device.slots.nouns import (
    EMPTY,
    GOOD,
    MAX_REFUSED,
    MAX_STARTS,
    MAX_WORDS,
    SLOTS,
    TRIAL,
    Kept,
    Record,
    Refusal,
)

if TYPE_CHECKING:
    from collections.abc import Collection


def refusal(sha256: str, reason: str, words: str, at_s: float) -> Refusal:
    """A refusal whose words fit on a screen. Raises UsageError for a reason that is none of `SlotError.REASONS`."""
    if reason not in SlotError.REASONS:
        raise UsageError(f"{reason!r} is no reason to refuse a bundle", hint=f"one of {', '.join(SlotError.REASONS)}")
    line = "".join(one if one.isprintable() else "?" for one in " ".join(words.split()))
    return Refusal(sha256, reason, line[:MAX_WORDS], max(0, int(at_s)))


def refused(record: Record, sha256: str) -> Refusal | None:
    """Why this bundle is not tried again; None where it may be."""
    return next((one for one in record.refused if one.sha256 == sha256), None)


def with_refusal(record: Record, new: Refusal) -> Record:
    """The newest reason stands; the oldest refusals make room."""
    kept = (*(one for one in record.refused if one.sha256 != new.sha256), new)
    return replace(record, refused=kept[-MAX_REFUSED:])


def forgotten(record: Record, start: str) -> Record:
    """Without the refusals of bundles whose hash begins so. Raises UsageError where there is none, or several."""
    found = [one for one in record.refused if start and one.sha256.startswith(start)]
    if len(found) != 1:
        raise UsageError(
            f"{len(found)} refused bundles have a hash that begins with {start!r}",
            hint="shoestring slots DIR lists them",
        )
    return replace(record, refused=tuple(one for one in record.refused if one is not found[0]))


def making_room(record: Record) -> tuple[Record, str]:
    """The slot that a new bundle may be written to, and the record that does not name it.

    A trial that was not confirmed gives way without being refused; a good bundle that is active never does.
    """
    if record.active is None:
        return record, SLOTS[0]
    if record.state == TRIAL and record.previous is not None:
        return replace(record, state=GOOD, active=record.previous, starts=0, previous=None), record.active.slot
    return replace(record, previous=None), _other(record.active.slot)


def activated(record: Record, new: Kept) -> Record:
    """The new bundle is on trial; a good one that was active is what is gone back to.

    Raises:
        SlotError: it was refused before, or its slot is the active one's.
    """
    before = refused(record, new.sha256)
    if before is not None:
        raise refused_before(before)
    if record.active is not None and record.active.slot == new.slot:
        raise SlotError(f"slot {new.slot} holds the active bundle", "damaged", hint="stage the new one again")
    previous = record.active if record.state == GOOD else None
    counter = max(record.counter, new.counter)
    return replace(record, state=TRIAL, active=new, starts=0, previous=previous, counter=counter)


def started(record: Record, at_s: float) -> Record:
    """One start more. A trial that had all of its starts, and was never confirmed, is over."""
    if record.state != TRIAL or record.active is None:
        return record
    if record.starts < MAX_STARTS:
        return replace(record, starts=record.starts + 1)
    words = f"it was started {record.starts} times and did not serve long enough to be confirmed once"
    return failed(record, refusal(record.active.sha256, "crashed", words, at_s))


def ended(record: Record) -> Record:
    """A start came to its end in good order: it is not one of those that a trial may have too many of."""
    return replace(record, starts=max(0, record.starts - 1)) if record.state == TRIAL else record


def confirmed(record: Record) -> Record:
    """The trial is over, and well."""
    return replace(record, state=GOOD, starts=0) if record.state == TRIAL else record


def failed(record: Record, why: Refusal) -> Record:
    """The active bundle is refused, the previous good one is active again.

    Raises:
        SlotError: the active one is good, and there is no other.
    """
    if record.state == GOOD and record.previous is None:
        raise SlotError("the active bundle is the only good one", why.reason, hint="activate another one first")
    return with_refusal(_gone_back(record), why)


def damaged(record: Record, slot: str) -> Record:
    """The file in this slot is not what it was. Its bundle may be fetched again, so it is not refused."""
    if record.active is not None and record.active.slot == slot:
        return _gone_back(record)
    if record.previous is not None and record.previous.slot == slot:
        return replace(record, previous=None)
    return record


def revoked(record: Record, hashes: Collection[str], at_s: float) -> Record:
    """Without the bundles that their owner wants to run nowhere any more, good ones too."""
    for kept in (record.previous, record.active):
        if kept is not None and kept.sha256 in hashes:
            record = damaged(record, kept.slot)
            record = with_refusal(record, refusal(kept.sha256, "revoked", "its release was revoked", at_s))
    return record


def refused_before(before: Refusal) -> SlotError:
    """The error about a bundle that was refused before."""
    return SlotError(
        f"the bundle {before.sha256[:12]} was refused on this device before ({before.reason}): {before.words}",
        "refused-before",
        hint=f"shoestring slots DIR forget {before.sha256[:12]} lets it be tried again",
    )


def _gone_back(record: Record) -> Record:
    state = EMPTY if record.previous is None else GOOD
    return replace(record, state=state, active=record.previous, starts=0, previous=None)


def _other(slot: str) -> str:
    return SLOTS[1 - SLOTS.index(slot)]
