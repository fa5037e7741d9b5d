"""The metadata that one refresh has verified so far: bytes go in, errors come out, nothing is read or written.

Every check of signatures, thresholds, versions, hashes and expiry is python-tuf's `TrustedMetadataSet` (its pure core);
here its errors become ours, the time is put in, and files are held to their form first.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, cast

from shoestring.base.errors import MissingExtraError, RepositoryError
from shoestring.trust.repository.form import check_form
from shoestring.trust.repository.told import ending, stale, translated

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from tuf.api.metadata import MetaFile, Root, Snapshot, Targets, Timestamp  # type: ignore[attr-defined]


class Chain:
    """What a root that we hold vouches for, in the order of the specification (section 5.3 to 5.6).

    Args:
        root: bytes of the root metadata that came with the device.
        reference: the time that expiry is held against.

    Raises:
        RepositoryError: the root is not metadata, or does not sign itself.
        MissingExtraError: python-tuf is not installed.
    """

    def __init__(self, root: bytes, reference: datetime) -> None:
        try:
            from tuf.ngclient._internal.trusted_metadata_set import TrustedMetadataSet
            from tuf.ngclient.config import EnvelopeType
        except ImportError as error:
            raise MissingExtraError("tuf", "agent") from error
        self.reference = reference
        check_form("root", root)
        with self._translated("root", root):
            self._set = TrustedMetadataSet(root, EnvelopeType.METADATA)
        self._set.reference_time = reference
        self._check_root()

    @property
    def root(self) -> Root:
        """The newest root so far."""
        return self._set.root

    @property
    def timestamp(self) -> Timestamp | None:
        """None while there is none that the root's keys signed."""
        return self._set.timestamp if "timestamp" in self._set else None

    @property
    def snapshot(self) -> Snapshot | None:
        """None likewise; it may be of an older timestamp until the current one was added."""
        return self._set.snapshot if "snapshot" in self._set else None

    def role(self, name: str) -> Targets:
        """Targets, or a role that it delegates to, which was added. Raises KeyError where it was not."""
        return cast("Targets", self._set[name])

    def holds(self, name: str, parent: str) -> bool:
        """Whether a role was verified with the keys that `parent` names."""
        return self._set.contains(name, parent)

    def add_root(self, data: bytes) -> None:
        """The next version: signed by the keys of this one and by its own. Raises RepositoryError."""
        version = self.root.version + 1
        check_form(f"root {version}", data)
        with self._translated(f"root {version}", data):
            self._set.update_root(data)
        self._check_root()

    def add_timestamp(self, data: bytes) -> bool:
        """A timestamp, not older than the one held; False when it is of the same version, and then not taken.

        Raises:
            RepositoryError: it is not sound, or older.
            StaleError: the root's time, or its own, is over; its own then counts for later comparisons all the same.
        """
        from tuf.api.exceptions import EqualVersionNumberError

        check_form("timestamp", data)
        try:
            with self._translated("timestamp", data):
                self._set.update_timestamp(data)
        except EqualVersionNumberError:
            return False
        return True

    def add_snapshot(self, data: bytes, ours: bool) -> None:
        """The snapshot that the timestamp names, or (`ours`) an older one from our disk to compare it with.

        Raises:
            RepositoryError: not sound, not the one, or older in any of its lines; one of ours that is sound counts for
                later comparisons all the same.
            StaleError: its time, or the timestamp's, is over.
        """
        check_form("snapshot", data)
        with self._translated("snapshot", data):
            self._set.update_snapshot(data, trusted=ours)

    def add_role(self, data: bytes, name: str, parent: str) -> None:
        """Targets, or a role that `parent` delegates to. Raises RepositoryError, StaleError."""
        check_form(name, data)
        with self._translated(name, data):
            self._set.update_delegated_targets(data, name, parent)

    def check_fresh(self) -> None:
        """Raises StaleError when the time of the root or the timestamp is over."""
        for part in (self.root, self.timestamp):
            if part is not None and part.is_expired(self.reference):
                raise stale(part.type, part.expires, self.reference)

    def at(self, reference: datetime) -> None:
        """Time went on. Raises StaleError as `check_fresh`."""
        self.reference = self._set.reference_time = max(reference, self.reference)
        self.check_fresh()

    def snapshot_listed(self) -> MetaFile:
        """What the timestamp says of the snapshot. Raises RepositoryError where there is no timestamp."""
        if self.timestamp is None:
            raise RepositoryError("there is no timestamp, which says what the snapshot is", rule="listing")
        return self.timestamp.snapshot_meta

    def roles_listed(self) -> list[str]:
        """Every role that the snapshot lists."""
        return [name.removesuffix(".json") for name in self.snapshot.meta] if self.snapshot is not None else []

    def role_listed(self, name: str) -> MetaFile:
        """What the snapshot says of a role. Raises RepositoryError where it says nothing."""
        listed = self.snapshot.meta.get(f"{name}.json") if self.snapshot is not None else None
        if listed is None:
            raise RepositoryError(f"the snapshot does not list the role {name}", rule="listing")
        return listed

    def ends_s(self) -> int:
        """The earliest end of what was verified at the top, s since 1970."""
        parts = [
            part for part in (self.root, self.timestamp, self.snapshot, self._set.get("targets")) if part is not None
        ]
        return min(int(part.expires.timestamp()) for part in parts)

    def _check_root(self) -> None:
        """One address, one content: what makes a copy on a stick or a mirror half-way through its copying harmless."""
        if self.root.consistent_snapshot is not True:
            raise RepositoryError(f"root {self.root.version} does not ask for consistent snapshots")

    @contextlib.contextmanager
    def _translated(self, what: str, data: bytes) -> Iterator[None]:
        """python-tuf's errors become ours; `data` was being added as `what`."""
        from tuf.api.exceptions import ExpiredMetadataError

        try:
            with translated(what):
                yield
        except ExpiredMetadataError as error:
            for above in (self.root, self.timestamp, self.snapshot):
                if above is not None and above.is_expired(self.reference):
                    raise stale(above.type, above.expires, self.reference) from error
            raise stale(what, ending(data), self.reference) from error
