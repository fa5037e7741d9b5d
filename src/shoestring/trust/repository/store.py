"""The metadata that a device trusts, on its own disk: whole files, the old or the new, verified again at each start.

    metadata/root.N.json            every root after the one that came with the device
    metadata/timestamp.KEYS.json    KEYS: which keys signed for timestamp and snapshot when it was taken
    metadata/snapshot.KEYS.json
    metadata/role.NAME.json         targets, and each role that was visited

When the root gives timestamp or snapshot other keys, what the old keys signed is not held against what the new ones
sign (specification 5.3.11: an attacker may have counted them up as far as numbers go). A name that holds the keys does
that without a step that a power cut could leave out.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from shoestring.base import disk
from shoestring.base.errors import DataError
from shoestring.base.limits import MAX_TARGETS_BYTES
from shoestring.base.opens import open_within

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from tuf.api.metadata import Role  # type: ignore[attr-defined]


@dataclass(frozen=True)
class Trusted:
    """Versions that the last refresh left verified; 0 where there is none."""

    root: int
    timestamp: int
    snapshot: int
    targets: int


def epoch(roles: Mapping[str, Role]) -> str:
    """A short name for the keys that sign timestamp and snapshot."""
    held = [(name, sorted(roles[name].keyids), roles[name].threshold) for name in ("timestamp", "snapshot")]
    return hashlib.sha256(json.dumps(held).encode()).hexdigest()[:16]


class MetadataStore:
    """Files below one directory.

    Args:
        root: of the repository's state on this device; made where it is missing.

    Raises:
        StorageError: it cannot be made.
    """

    def __init__(self, root: Path) -> None:
        self.folder = disk.make_directory(Path(root) / "metadata")
        disk.sweep(self.folder)

    def root(self, version: int) -> bytes | None:
        """One version of the root; None where there is none."""
        return self._read(f"root.{version}.json")

    def keep_root(self, version: int, data: bytes) -> None:
        """Durably. Raises StorageError, as all that keep."""
        disk.write_bytes(self.folder / f"root.{version}.json", data)

    def top(self, role: str, keys: str) -> bytes | None:
        """Timestamp or snapshot as signed by `keys`; None where there is none."""
        return self._read(f"{role}.{keys}.json")

    def keep_top(self, role: str, keys: str, data: bytes) -> None:
        """Durably."""
        disk.write_bytes(self.folder / f"{role}.{keys}.json", data)

    def role(self, name: str) -> bytes | None:
        """Targets or a delegated role; the name was checked."""
        return self._read(f"role.{name}.json")

    def keep_role(self, name: str, data: bytes) -> None:
        """Durably."""
        disk.write_bytes(self.folder / f"role.{name}.json", data)

    def tidy(self, keys: str, roles: Collection[str]) -> None:
        """Remove what other keys signed, and roles that the snapshot lists no more; after a walk that went to its end.

        Args:
            keys: that sign now.
            roles: that are listed.
        """
        kept = {f"{role}.{keys}.json" for role in ("timestamp", "snapshot")} | {f"role.{name}.json" for name in roles}
        for path in sorted(self.folder.glob("*.json")):
            if path.name not in kept and not path.name.startswith("root."):
                disk.remove(path)

    def _read(self, name: str) -> bytes | None:
        """A file that cannot be read is one that is not there: it is fetched again, and what comes is verified."""
        try:
            with open_within(self.folder, name) as stream:
                data = stream.read(MAX_TARGETS_BYTES + 1)
        except (DataError, OSError):
            return None
        return data if len(data) <= MAX_TARGETS_BYTES else None
