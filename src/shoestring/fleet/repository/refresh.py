"""Sign anew what runs out, and clear away what nobody refers to any more. Made for cron."""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

from tuf.api.exceptions import RepositoryError as TufError
from tuf.api.metadata import Metadata, Targets  # type: ignore[attr-defined]

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
"""Files that were named by what was in force so recently stay: a device that began with them shall come to an end."""
_VERSIONED = re.compile(r"^(\d{1,9})\.(.+)\.json$")


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
    """Remove files that no metadata names which is in force or was within GRACE_S. Roots always stay."""
    book = read_book(folder)
    wanted = {metadata_path(folder, "timestamp", 0)}
    for role, versions in _versions(folder).items():
        in_force = book.snapshot.signed.version if role == "snapshot" else _listed(book, role)
        newer = dict(pairwise(sorted(versions)))
        for version in versions:
            after = newer.get(version)
            replaced = after is None or now_s - versions[after].stat().st_mtime > GRACE_S
            if version == in_force or not (replaced or version > in_force):
                wanted.add(versions[version])
                wanted.update(_targets(folder, versions[version]))
    removed = 0
    for path in sorted((folder / METADATA).iterdir()) + sorted((folder / TARGETS).rglob("*")):
        if path in wanted or path.is_symlink() or not path.is_file() or now_s - path.stat().st_mtime <= GRACE_S:
            continue
        if path.parent != folder / METADATA or ((match := _VERSIONED.match(path.name)) and match[2] != "root"):
            disk.remove(path)
            removed += 1
    return removed


def _versions(folder: Path) -> dict[str, dict[int, Path]]:
    """Metadata files with a version in their names, by role, without roots."""
    found: dict[str, dict[int, Path]] = {}
    for path in (folder / METADATA).iterdir():
        match = _VERSIONED.match(path.name)
        if match is not None and match[2] != "root":
            found.setdefault(match[2], {})[int(match[1])] = path
    return found


def _listed(book: Book, role: str) -> int:
    """Version in force; 0 for a role that is gone."""
    found = book.snapshot.signed.meta.get(f"{role}.json")
    return 0 if found is None else int(found.version)


def _targets(folder: Path, path: Path) -> set[Path]:
    """Files that a version of metadata names; whoever wrote it, they stay."""
    try:
        signed = Metadata.from_bytes(path.read_bytes()).signed
    except (TufError, ValueError):
        return set()
    if not isinstance(signed, Targets):
        return set()
    return {folder / TARGETS / target.get_prefixed_paths()[0] for target in signed.targets.values()}
