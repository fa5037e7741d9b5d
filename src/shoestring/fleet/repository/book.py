"""The metadata of a repository as it stands: read from the folder, and every signature held against its role's keys.

Only what timestamp.json leads to counts. A command that was cut off may have left newer files, which nobody refers to:
they are as if they were not there, and their version numbers are not used again.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from tuf.api.exceptions import LengthOrHashMismatchError
from tuf.api.exceptions import RepositoryError as TufError
from tuf.api.metadata import Metadata, Root, Snapshot, Targets, Timestamp  # type: ignore[attr-defined]

from shoestring.base.errors import RepositoryError, StorageError, UsageError
from shoestring.base.opens import open_within

if TYPE_CHECKING:
    from pathlib import Path

    from tuf.api.metadata import MetaFile, Signed  # type: ignore[attr-defined]

S = TypeVar("S", Root, Timestamp, Snapshot, Targets)
METADATA, TARGETS = "metadata", "targets"
"""Folders of the repository."""
MAX_METADATA_BYTES = 16 * 1024 * 1024  # a thousand groups of ten waves take some 10 MB
MAX_ROOTS = 10_000  # a new one a day for 27 years


@dataclass(frozen=True)
class Book:
    """What the repository says now.

    Args:
        folder: of the repository.
        roots: all of them, from version 1.
        timestamp, snapshot, targets: in force.
        waves: likewise, by the name of the role.
    """

    folder: Path
    roots: tuple[Metadata[Root], ...]
    timestamp: Metadata[Timestamp]
    snapshot: Metadata[Snapshot]
    targets: Metadata[Targets]
    waves: dict[str, Metadata[Targets]]

    @property
    def root(self) -> Root:
        """The newest."""
        return self.roots[-1].signed

    def signed(self) -> dict[str, Signed]:
        """What is signed in each role's name."""
        top = {"root": self.root, "targets": self.targets.signed}
        top |= {"snapshot": self.snapshot.signed, "timestamp": self.timestamp.signed}
        return {**top, **{name: one.signed for name, one in self.waves.items()}}


def read_book(folder: Path) -> Book:
    """Read a repository and check it, but for its times: what has run out can be signed anew.

    Raises:
        UsageError: there is none.
        RepositoryError: a file is not what the keys of its role signed.
        StorageError: a file cannot be read.
    """
    roots = _roots(folder)
    root = roots[-1].signed
    timestamp = _checked(folder, "timestamp.json", Timestamp)
    _verify(root, "timestamp", timestamp)
    named = timestamp.signed.snapshot_meta
    snapshot = _versioned(folder, "snapshot", Snapshot, named)
    _verify(root, "snapshot", snapshot)
    targets = _versioned(folder, "targets", Targets, _listed(snapshot, "targets"))
    _verify(root, "targets", targets)
    waves = {}
    delegations = targets.signed.delegations
    for name in () if delegations is None or delegations.roles is None else delegations.roles:
        waves[name] = _versioned(folder, name, Targets, _listed(snapshot, name))
        _verify(targets.signed, name, waves[name])
    return Book(folder, roots, timestamp, snapshot, targets, waves)


def check_is_there(folder: Path) -> None:
    """Raises UsageError where there is no repository."""
    if not (folder / METADATA / "1.root.json").is_file():
        raise UsageError(f"{folder} is no repository of a fleet", hint="make one: shoestring fleet init DIR")


def metadata_path(folder: Path, role: str, version: int) -> Path:
    """Where a version of a role's metadata lies; that of the timestamp has no number."""
    return folder / METADATA / ("timestamp.json" if role == "timestamp" else f"{version}.{role}.json")


def _roots(folder: Path) -> tuple[Metadata[Root], ...]:
    check_is_there(folder)
    found = [_checked(folder, "1.root.json", Root)]
    _verify(found[0].signed, "root", found[0])
    while (folder / METADATA / f"{len(found) + 1}.root.json").is_file():
        version = len(found) + 1
        if version > MAX_ROOTS:
            raise RepositoryError(f"{folder} has more than {MAX_ROOTS} versions of its root")
        new = _checked(folder, f"{version}.root.json", Root)
        if new.signed.version != version:
            raise RepositoryError(f"{version}.root.json of {folder} says it is version {new.signed.version}")
        _verify(found[-1].signed, "root", new)
        _verify(new.signed, "root", new)
        found.append(new)
    return tuple(found)


def _listed(snapshot: Metadata[Snapshot], role: str) -> MetaFile:
    found = snapshot.signed.meta.get(f"{role}.json")
    if found is None:
        raise RepositoryError(f"the snapshot does not name {role}.json")
    return found


def _versioned(folder: Path, role: str, kind: type[S], listed: MetaFile) -> Metadata[S]:
    name = f"{listed.version}.{role}.json"
    data = _read(folder, name)
    try:
        listed.verify_length_and_hashes(data)
    except LengthOrHashMismatchError as error:
        raise RepositoryError(f"{name} of {folder} is not the file that was signed: {error}") from None
    found = _parse(folder, name, data, kind)
    if found.signed.version != listed.version:
        raise RepositoryError(f"{name} of {folder} says it is version {found.signed.version}")
    return found


def _checked(folder: Path, name: str, kind: type[S]) -> Metadata[S]:
    return _parse(folder, name, _read(folder, name), kind)


def _parse(folder: Path, name: str, data: bytes, kind: type[S]) -> Metadata[S]:
    try:
        found: Metadata[Any] = Metadata.from_bytes(data)
    except (TufError, ValueError) as error:
        raise RepositoryError(f"{name} of {folder} is not metadata: {error}") from None
    if not isinstance(found.signed, kind):
        raise RepositoryError(f"{name} of {folder} is of the type {found.signed.type}")
    return found


def _verify(by: Root | Targets, role: str, what: Metadata[Any]) -> None:
    try:
        by.verify_delegate(role, what.signed_bytes, what.signatures)
    except (TufError, ValueError) as error:
        raise RepositoryError(
            f"{role} does not have the signatures it needs: {error}",
            hint="restore the folder from where you keep its copy; nothing is signed on top of what is not ours",
        ) from None


def _read(folder: Path, name: str) -> bytes:
    try:
        with open_within(folder / METADATA, name) as stream:
            data = stream.read(MAX_METADATA_BYTES + 1)
    except OSError as error:
        raise StorageError(f"cannot read {name} of {folder}: {error.strerror or error}") from error
    if len(data) > MAX_METADATA_BYTES:
        raise RepositoryError(f"{name} of {folder} has more than {MAX_METADATA_BYTES} bytes")
    return data
