"""A change to a repository: worked out in memory, signed, and written so that a cut leaves the old one or the new one.

The order of writing:

1. targets, under names that hold their hash: nobody refers to them yet;
2. metadata of the changed roles, then the snapshot, under names that hold a version never used before;
3. timestamp.json, in one rename: from here on devices see the change;
4. a new root, if there is one. Whatever changed was signed with the keys of both roots, so it holds before and after;
   where the old keys are not at hand (that is, they were lost or stolen), the new root comes before timestamp.json.
"""

from __future__ import annotations

import copy
import hashlib
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, BinaryIO

from tuf.api.metadata import (  # type: ignore[attr-defined]
    Delegations,
    Metadata,
    MetaFile,
    Root,
    Snapshot,
    TargetFile,
    Targets,
    Timestamp,
)

from shoestring.base import canonical, disk
from shoestring.base.errors import BundleError, SignatureError, UsageError
from shoestring.base.limits import MAX_ROOT_BYTES, MAX_SNAPSHOT_BYTES, MAX_TARGETS_BYTES, MAX_TIMESTAMP_BYTES
from shoestring.bundle.opening import open_regular
from shoestring.fleet.repository.book import METADATA, TARGETS, Book, metadata_path
from shoestring.fleet.roles import TOP, life_s

if TYPE_CHECKING:
    from pathlib import Path

    from tuf.api.metadata import Key, Role, Signed  # type: ignore[attr-defined]

    from shoestring.fleet.repository.signers import Keyring

CHUNK_BYTES = 1 << 20
MOST_BYTES = {"root": MAX_ROOT_BYTES, "snapshot": MAX_SNAPSHOT_BYTES, "timestamp": MAX_TIMESTAMP_BYTES}
"""That devices take; of all other roles MAX_TARGETS_BYTES."""


class Draft:
    """Change the public attributes, name what was changed, and commit.

    Args:
        folder: of the repository.
        book: as it stands; None: a new one.
        keyring: keys at hand.
        now_s: s since 1970.

    Attributes:
        root, targets, waves: to be changed.
    """

    def __init__(self, folder: Path, book: Book | None, keyring: Keyring, now_s: float) -> None:
        self.folder, self._book, self._keyring = folder, book, keyring
        self._now = datetime.fromtimestamp(int(now_s), UTC)
        self.now_s = int(now_s)
        self.root = Root() if book is None else copy.deepcopy(book.root)
        self.targets = Targets(delegations=Delegations({}, {})) if book is None else copy.deepcopy(book.targets.signed)
        self.waves: dict[str, Targets] = (
            {} if book is None else {name: copy.deepcopy(one.signed) for name, one in book.waves.items()}
        )
        self._changed: set[str] = set(TOP) if book is None else set()
        self._bytes: dict[str, bytes] = {}
        self._files: dict[str, Path] = {}

    def change(self, *roles: str) -> None:
        """These roles get a new version, signed anew, good from now on."""
        self._changed.update(roles)

    def add_bytes(self, where: Targets, path: str, data: bytes) -> None:
        """Let a role name a small target."""
        where.targets[path] = TargetFile(len(data), {"sha256": canonical.sha256_hex(data)}, path)
        self._bytes[where.targets[path].get_prefixed_paths()[0]] = data

    def add_file(self, path: str, source: Path, sha256: str, size: int, custom: dict[str, Any] | None = None) -> None:
        """Let the role `targets` name a target that lies in a file."""
        more = {} if custom is None else {"custom": custom}
        self.targets.targets[path] = TargetFile(size, {"sha256": sha256}, path, more)
        self._files[self.targets.targets[path].get_prefixed_paths()[0]] = source

    def can_sign(self, role: str) -> bool:
        """Whether enough keys of a role are at hand."""
        keys, threshold = self._keys(role)
        return sum(self._keyring.has(key.keyid) for key in keys) >= threshold

    def commit(self) -> tuple[str, ...]:
        """Sign and write. Nothing is written when a signature is missing.

        Returns:
            Roles that have a new version, in the order of writing.

        Raises:
            SignatureError: too few keys of a role are at hand, or the file of one does not open.
            UsageError: a file would be larger than devices take.
            StorageError: the disk refused; the repository is as it was, or as it will be when the command is repeated.
        """
        changed = [name for name in sorted(self.waves) if name in self._changed]
        changed += ["targets"] if "targets" in self._changed else []
        signed: dict[str, Signed] = {name: self.targets if name == "targets" else self.waves[name] for name in changed}
        files = {name: self._sign(name, one) for name, one in signed.items()}
        snapshot = self._snapshot(files)
        files["snapshot"] = self._sign("snapshot", snapshot)
        timestamp = Timestamp(self._version("timestamp"), snapshot_meta=_meta(snapshot.version, files["snapshot"]))
        files["timestamp"] = self._sign("timestamp", timestamp)
        signed |= {"snapshot": snapshot, "timestamp": timestamp}
        order = list(files)
        if "root" in self._changed:
            files["root"] = self._sign("root", self.root)
            signed["root"] = self.root
            late = self._book is not None and self._old_root_takes(self._book.root, files)
            order.insert(len(order) if late else -1, "root")
        self._write(order, files, signed)
        return tuple(order)

    def _write(self, order: list[str], files: dict[str, bytes], signed: dict[str, Signed]) -> None:
        disk.make_directory(self.folder / METADATA)
        for name, data in self._bytes.items():
            path = self._target(name)
            if not path.exists():  # its name is its hash, and it appears whole or not at all
                disk.write_bytes(path, data)
        for name, source in self._files.items():
            path = self._target(name)
            if not path.exists():
                _copy(source, path, name.rpartition("/")[2].partition(".")[0])
        for role in order:
            disk.write_bytes(metadata_path(self.folder, role, signed[role].version), files[role])

    def _target(self, name: str) -> Path:
        path = self.folder / TARGETS / name
        disk.make_directory(path.parent)
        return path

    def _snapshot(self, files: dict[str, bytes]) -> Snapshot:
        """What was, without roles that are gone, with the new versions."""
        meta = {} if self._book is None else dict(self._book.snapshot.signed.meta)
        wanted = {"targets", *self.waves}
        meta = {name: one for name, one in meta.items() if name.removesuffix(".json") in wanted}
        for name, data in files.items():
            version = self.targets.version if name == "targets" else self.waves[name].version
            meta[f"{name}.json"] = _meta(version, data)
        return Snapshot(self._version("snapshot"), meta=meta)

    def _sign(self, role: str, payload: Any) -> bytes:
        """Give a role's metadata its version, its time and the signatures of its keys, old ones too."""
        payload.version = self._version(role)
        payload.expires = self._now + timedelta(seconds=life_s(role))
        made: Metadata[Any] = Metadata(payload)
        keys, threshold = self._keys(role)
        for key in {one.keyid: one for one in (*keys, *self._old_keys(role))}.values():
            signer = self._keyring.signer(key)
            if signer is not None:
                made.sign(signer, append=True)
        here = sum(key.keyid in made.signatures for key in keys)
        if here < threshold:
            folders = ", ".join(map(str, self._keyring.folders))
            raise SignatureError(
                f"role {role} needs {threshold} of its {len(keys)} keys, {here} of them are in {folders}",
                hint="name the folders that hold the others too: --keys DIR, more than once",
            )
        if role == "root" and self._book is not None:
            self._check_old_root(self._book.root.roles["root"], made)
        data = made.to_bytes()
        most = MOST_BYTES.get(role, MAX_TARGETS_BYTES)
        if len(data) > most:
            raise UsageError(
                f"the metadata of {role} would have {len(data)} bytes, devices take {most}",
                hint="make fewer groups, canaries or bundles; or another repository",
            )
        return data

    def _check_old_root(self, old: Role, new: Metadata[Root]) -> None:
        """Devices go from root to root: each must be signed by the one before."""
        here = sum(keyid in new.signatures for keyid in old.keyids)
        if here < old.threshold:
            raise SignatureError(
                f"a new root needs {old.threshold} signatures of the old one's keys, {here} are at hand",
                hint="without them devices cannot follow; they would have to be set up anew with a new root",
            )

    def _old_root_takes(self, root: Root, files: dict[str, bytes]) -> bool:
        """Whether devices that know only the old root would take these files."""
        for role in TOP:
            if role in files and role != "root":
                made: Metadata[Any] = Metadata.from_bytes(files[role])
                if not root.get_verification_result(role, made.signed_bytes, made.signatures):
                    return False
        return True

    def _keys(self, role: str) -> tuple[tuple[Key, ...], int]:
        """Public keys of a role and how many must sign."""
        by: Root | Targets = self.root if role in TOP else self.targets
        found = by.get_delegated_role(role)
        return tuple(by.get_key(keyid) for keyid in found.keyids), found.threshold

    def _old_keys(self, role: str) -> tuple[Key, ...]:
        if self._book is None:
            return ()
        by: Root | Targets = self._book.root if role in TOP else self._book.targets.signed
        if role not in TOP and role not in self._book.waves:
            return ()
        return tuple(by.get_key(keyid) for keyid in by.get_delegated_role(role).keyids)

    def _version(self, role: str) -> int:
        """One more than any that was ever written: names that were seen once never mean another file."""
        if role == "root":
            return 1 if self._book is None else self._book.root.version + 1
        if role == "timestamp":
            return 1 if self._book is None else self._book.timestamp.signed.version + 1
        held = (path.name.partition(".") for path in (self.folder / METADATA).glob(f"*.{role}.json"))
        return 1 + max(
            (int(first) for first, _, rest in held if rest == f"{role}.json" and first.isdecimal()), default=0
        )


def _copy(source: Path, path: Path, sha256: str) -> None:
    """Copy a file that must have this hash: it may have changed since it was looked at."""
    digest = hashlib.sha256()
    with open_regular(source) as stream, disk.atomic_file(path) as out:
        while chunk := stream.read(CHUNK_BYTES):
            digest.update(chunk)
            out.write(chunk)
        if digest.hexdigest() != sha256:
            raise BundleError(f"{source} changed while it was being published", hint="publish it again")


def sha256_of(stream: BinaryIO) -> str:
    """Of what is left of a stream, read piece by piece."""
    digest = hashlib.sha256()
    while chunk := stream.read(CHUNK_BYTES):
        digest.update(chunk)
    return digest.hexdigest()


def _meta(version: int, data: bytes) -> MetaFile:
    return MetaFile(version, len(data), {"sha256": canonical.sha256_hex(data)})
