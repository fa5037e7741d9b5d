"""From a release to the file of its bundle on this disk: by a delta where one fits, else whole, and on after a cut.

Beside the file of a bundle only what is on its way lies in the folder; what belongs to other releases is removed first,
so that a device which never gets one whole does not fill its disk with many.
"""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from shoestring.base import disk, opens
from shoestring.base.errors import BundleError, DataError, RepositoryError, SlotError, StorageError
from shoestring.base.limits import MIB
from shoestring.base.units import format_bytes
from shoestring.bundle.patching import apply_delta
from shoestring.domain.release import bundle_path, delta_path

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from shoestring.domain.release import DeltaFrom, Release

MARGIN_BYTES = 16 * MIB
"""That stay free beside what is fetched: the record, reports, the system's log."""
MAX_NOTE_BYTES = 4096
"""Of why a delta was of no use: two hashes and a sentence."""


class Repository(Protocol):
    """What the agent asks of `trust.repository.Repository`; a test's double has the same."""

    def refresh(self) -> None: ...

    def release(self, group: str, device: str) -> Release | None: ...

    def fetch(self, target_path: str, out: Path) -> None: ...


@dataclass(frozen=True)
class Obtained:
    """The bundle of a release, here.

    Args:
        path: of it, outside the slots.
        how: `here`, `delta` or `whole`.
        note: why a delta was of no use, for people; empty where none was tried, or it was.
    """

    path: Path
    how: str
    note: str = ""


def obtain(
    repository: Repository, release: Release, delta: DeltaFrom | None, held: Mapping[str, Path], folder: Path
) -> Obtained:
    """Bring the bundle of a release here, with the hash that was signed for.

    Args:
        repository: to fetch from.
        release: whose bundle it is.
        delta: to try first.
        held: files of the bundles in the slots, by hash.
        folder: for what is on its way; it exists.

    Raises:
        SlotError: reason `space`.
        UnreachableError, StaleError: what has come stays, and the next call goes on.
        RepositoryError: the repository gives other bytes than were signed for.
        StorageError: the disk refuses.
    """
    wanted = release.bundle_sha256
    out = folder / f"{wanted}.shoe"
    sweep(folder, release, delta)
    if sha256_of(out) == wanted:
        return Obtained(out, "here")
    if wanted in held:
        check_room(folder, release.bundle_bytes, held)
        disk.copy(held[wanted], out)
        if sha256_of(out) == wanted:
            return Obtained(out, "here")
        disk.remove(out)  # what the slot holds is damaged
    useless = folder / f"{wanted}.whole"
    note = _text(useless)
    if delta is not None and not note:
        check_room(folder, release.bundle_bytes, held, delta.size_bytes)
        note = _by_delta(repository, release, delta, held[delta.old_sha256], out)
        if not note:
            return Obtained(out, "delta")
        disk.write_text(useless, note)  # a cut on the way of the whole shall not bring the delta again
    check_room(folder, release.bundle_bytes, held)
    repository.fetch(bundle_path(wanted), out)
    return Obtained(out, "whole", note)


def sweep(folder: Path, release: Release | None, delta: DeltaFrom | None = None) -> None:
    """Remove what does not belong to the release; None: everything. Raises StorageError."""
    kept = set() if release is None else {release.bundle_sha256}
    if delta is not None:
        kept.add(delta.sha256)
    for path in sorted(folder.iterdir()):
        if not any(one in path.name for one in kept):
            disk.remove(path)


def check_room(folder: Path, size_bytes: int, held: Mapping[str, Path], delta_bytes: int = 0) -> None:
    """Whether a bundle fits here and then in its slot, on the same disk.

    Args:
        folder: on the disk.
        size_bytes: of the bundle.
        held: what is in the slots; of two the one that is not needed makes room in the end.
        delta_bytes: that stand here beside it.

    Raises:
        SlotError: it does not, with the figures.
        StorageError: the file system does not say.
    """
    try:
        system = os.statvfs(folder)
        here = sum(path.stat().st_size for path in folder.iterdir())  # what has come counts as come
        sizes = [path.stat().st_size for path in held.values()]
    except OSError as error:
        raise StorageError(f"cannot look at {folder}: {error.strerror or error}", hint="check the path") from error
    free = system.f_bavail * system.f_frsize + here
    going = min(sizes) if len(sizes) > 1 else 0
    needed = size_bytes + delta_bytes + max(0, size_bytes - going) + MARGIN_BYTES
    if free < needed:
        raise SlotError(
            f"{folder} has {format_bytes(free)} of room, fetching takes {format_bytes(needed)}",
            "space",
            hint="free some space on that file system",
        )


def sha256_of(path: Path) -> str:
    """Of a file; empty where there is none that can be read."""
    hasher = hashlib.sha256()
    try:
        with opens.open_within(path.parent, path.name) as stream:
            while piece := stream.read(MIB):
                hasher.update(piece)
    except (DataError, OSError):
        return ""
    return hasher.hexdigest()


def _text(path: Path) -> str:
    """Of a small file of ours; empty where there is none that can be read."""
    try:
        with opens.open_within(path.parent, path.name) as stream:
            return stream.read(MAX_NOTE_BYTES).decode(errors="replace")
    except (DataError, OSError):
        return ""


def _by_delta(repository: Repository, release: Release, delta: DeltaFrom, old: Path, out: Path) -> str:
    """Make the bundle from one that is held; what was wrong, for people, or nothing."""
    file = out.with_name(f"{delta.sha256}.delta")
    try:
        repository.fetch(delta_path(delta.old_sha256, release.bundle_sha256), file)
        made = apply_delta(old, file, out)
    except (BundleError, RepositoryError) as error:
        # Of no use here: a listing that lacks it, another zlib, a damaged base. The whole speaks for itself.
        disk.remove(file)
        return f"the delta was of no use, the whole was fetched: {error.message}"
    disk.remove(file)
    if made != release.bundle_sha256:
        disk.remove(out)
        return f"the delta gave the bundle {made}, the whole was fetched"
    return ""


__all__ = ["MARGIN_BYTES", "Obtained", "Repository", "check_room", "obtain", "sha256_of", "sweep"]
