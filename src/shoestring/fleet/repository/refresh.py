"""Sign anew what runs out, and clear away what nobody refers to any more. Made for cron."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from shoestring.base import disk
from shoestring.fleet.repository.book import METADATA, TARGETS, metadata_path, read_book
from shoestring.fleet.roles import DAY_S, life_s

if TYPE_CHECKING:
    from pathlib import Path

    from shoestring.fleet.repository.book import Book
    from shoestring.fleet.repository.workshop import Workshop

RENEW_AT = 0.5
"""Of a role's time that is left when it is signed anew: cron may fail for as long again."""
GRACE_S = 7 * DAY_S
"""Files that nobody refers to stay so long: a device that began an update with them shall end it."""
_VERSIONED = re.compile(r"^\d+\..+\.json$")


@dataclass(frozen=True)
class Refreshed:
    """What was done.

    Args:
        signed: roles that were signed anew.
        due: roles whose time runs out and whose keys are not at hand, with the days that are left.
        removed: files that went.
    """

    signed: tuple[str, ...]
    due: dict[str, int]
    removed: int


def refresh(workshop: Workshop, *, prune: bool = False) -> Refreshed:
    """Sign snapshot and timestamp anew, and every other role that has less than RENEW_AT of its time left.

    Args:
        workshop: where.
        prune: whether files go that nobody refers to.

    Raises:
        SignatureError, StorageError: see `Draft.commit`.
    """
    with workshop.changing() as (book, draft):
        due: dict[str, int] = {}
        for role, payload in book.signed().items():
            left_s = payload.expires.timestamp() - draft.now_s
            if role in ("snapshot", "timestamp") or left_s > RENEW_AT * life_s(role):
                continue
            if draft.can_sign(role):
                draft.change(role)
            else:
                due[role] = int(left_s // DAY_S)
        signed = draft.commit()
        removed = _prune(workshop.folder, draft.now_s) if prune else 0
    return Refreshed(signed, due, removed)


def _prune(folder: Path, now_s: int) -> int:
    """Remove files that are older than GRACE_S and that the metadata in force does not name. Roots always stay."""
    book = read_book(folder)
    wanted = {metadata_path(folder, "timestamp", 0), *_named(folder, book)}
    removed = 0
    for path in sorted((folder / METADATA).iterdir()) + sorted((folder / TARGETS).rglob("*")):
        if path in wanted or not path.is_file() or path.is_symlink():
            continue
        if path.parent == folder / METADATA and (path.name.endswith(".root.json") or not _VERSIONED.match(path.name)):
            continue
        if now_s - path.stat().st_mtime > GRACE_S:
            disk.remove(path)
            removed += 1
    return removed


def _named(folder: Path, book: Book) -> set[Path]:
    found = {metadata_path(folder, "snapshot", book.snapshot.signed.version)}
    for name, listed in book.snapshot.signed.meta.items():
        found.add(metadata_path(folder, name.removesuffix(".json"), listed.version))
    for targets in (book.targets.signed, *(one.signed for one in book.waves.values())):
        for target in targets.targets.values():
            found.add(folder / TARGETS / target.get_prefixed_paths()[0])
    return found
