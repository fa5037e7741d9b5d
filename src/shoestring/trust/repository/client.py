"""The client: what a device asks of a signed repository.

What an earlier refresh of this object verified stays in use until a later one was verified whole, or its time is over.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

from shoestring.base.canonical import sha256_hex
from shoestring.base.errors import RepositoryError
from shoestring.base.limits import MAX_RELEASE_BYTES
from shoestring.domain.release import bin_of, canary_path, share_path
from shoestring.trust.floor import Floor
from shoestring.trust.repository.core import Chain
from shoestring.trust.repository.download import Wanted, fetch
from shoestring.trust.repository.layout import target_file
from shoestring.trust.repository.release import check_plain, read_release
from shoestring.trust.repository.source import missing, open_source, read_small
from shoestring.trust.repository.store import MetadataStore, Trusted
from shoestring.trust.repository.told import moment
from shoestring.trust.repository.walk import Walk

if TYPE_CHECKING:
    from collections.abc import Callable

    from shoestring.domain.release import Release
    from shoestring.trust.repository.source import Source


class Repository:
    """A signed repository as one device sees it.

    One process at a time uses a store; whoever polls holds a lock.

    Args:
        store: the device's directory for metadata and time floor; made where it is missing.
        source: `https://...`, `http://...`, a directory, or a `Source`.
        root: bytes of the root metadata that came with the device, the one thing that is trusted as it is.
        clock: the time, s since 1970; NaN where the board has none.
        ca: certificates for TLS in place of the system's.

    Raises:
        RepositoryError: the root is not sound.
        UsageError: the address is of no kind that is read; as MissingExtraError: python-tuf is not installed.
        StorageError: the store cannot be made.
    """

    def __init__(
        self,
        store: Path,
        source: str | Source,
        root: bytes,
        clock: Callable[[], float] = time.time,
        *,
        ca: Path | None = None,
    ) -> None:
        self._root = root
        self._clock = clock
        self._source = open_source(source, ca) if isinstance(source, str) else source
        self._store = MetadataStore(store)
        self._floor = Floor(Path(store) / "floor.json")
        self._latest: Walk | None = None
        self._walk(0.0)  # a root that is not sound is told of here

    @property
    def trusted(self) -> Trusted:
        """Versions that this device would hold the next files against."""
        walk = self._walk(0.0)  # versions count whether or not their time is over
        walk.own()
        chain = walk.chain
        snapshot = chain.snapshot
        listed = snapshot.meta.get("targets.json") if snapshot is not None else None
        return Trusted(
            chain.root.version,
            chain.timestamp.version if chain.timestamp is not None else 0,
            snapshot.version if snapshot is not None else 0,
            listed.version if listed is not None else 0,
        )

    @property
    def floor_s(self) -> int:
        """It is not before this time, s since 1970."""
        return self._floor.value_s

    def refresh(self) -> None:
        """Bring the metadata up to date.

        Raises:
            RepositoryError: what came is not what the keys vouch for.
            StaleError: it is, and its time is over.
            UnreachableError: nothing came, or not all of it.
            StorageError: the disk refused.
        """
        self._refreshed()

    def release(self, group: str, device: str) -> Release | None:
        """What the device shall run, or None where the group says nothing to it. Refreshes if that was not done yet.

        A release for this device alone comes before that of its share. Whether its counter is larger than that of the
        one taken last is for the caller to hold it against.

        Raises:
            UsageError: a name that is not a plain word.
            RepositoryError, StaleError, UnreachableError, StorageError: as `refresh`.
        """
        check_plain("group", group)
        check_plain("device", device)
        walk = self._verified()
        walk.chain.at(moment(self._now_s()))
        for path in (canary_path(group, device), share_path(group, bin_of(group, device))):
            wanted = walk.find(path)
            if wanted is not None:
                if wanted.size_bytes > MAX_RELEASE_BYTES:
                    raise RepositoryError(
                        f"{path} has {wanted.size_bytes} bytes, the limit is {MAX_RELEASE_BYTES}", rule="release"
                    )
                release = read_release(self._small(wanted), group, walk.chain.ends_s())
                self._floor.raise_to(release.issued_s)
                return release
        return None

    def fetch(self, target_path: str, out: Path) -> None:
        """Bring a target's bytes to `out`: streamed, gone on with where it was cut, verified before it gets its name.

        Args:
            target_path: as `bundle_path` and `delta_path` make it.
            out: its directory exists, and takes a part of the file that is not whole yet.

        Raises:
            RepositoryError: rule `listing`: no role that may do so lists it; `hash`, `length`: other bytes came.
            StaleError, UnreachableError, StorageError: as `refresh`; after a cut the next call goes on.
        """
        wanted = self._verified().find(target_path)
        if wanted is None:
            raise RepositoryError(f"no role that may do so lists {target_path}", rule="listing")
        name = target_path.rpartition("/")[2]
        if target_path.startswith("bundles/") and name != f"{wanted.sha256}.shoe":
            raise RepositoryError(f"{target_path} is listed with the hash {wanted.sha256}", rule="hash")
        fetch(self._source, wanted, Path(out))

    def _walk(self, reference_s: float) -> Walk:
        return Walk(Chain(self._root, moment(reference_s)), self._store, self._source)

    def _now_s(self) -> float:
        return self._floor.reference_s(self._clock())

    def _verified(self) -> Walk:
        if self._latest is None:
            return self._refreshed()
        return self._latest

    def _refreshed(self) -> Walk:
        walk = self._walk(self._now_s())
        walk.everything()
        self._latest = walk
        return walk

    def _small(self, wanted: Wanted) -> bytes:
        path = target_file(wanted.path, wanted.sha256)
        data = read_small(self._source, path, wanted.size_bytes)
        if data is None:
            raise missing(path)
        if len(data) != wanted.size_bytes or sha256_hex(data) != wanted.sha256:
            raise RepositoryError(f"{wanted.path} is not the file that was signed for", rule="hash")
        return data
