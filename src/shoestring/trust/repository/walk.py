"""The walk through a repository's metadata, in the specification's order (section 5.3 to 5.6).

Each file is verified, then on the disk, before the next is asked for: a power cut leaves a first part of the walk, and
the next one goes on from it.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from shoestring.base.errors import RepositoryError, StaleError
from shoestring.base.limits import (
    MAX_ROOT_BYTES,
    MAX_ROOT_ROTATIONS,
    MAX_SNAPSHOT_BYTES,
    MAX_TARGETS_BYTES,
    MAX_TIMESTAMP_BYTES,
    MAX_VISITED_ROLES,
)
from shoestring.trust.repository.download import Wanted
from shoestring.trust.repository.form import check_role_name
from shoestring.trust.repository.layout import metadata_path
from shoestring.trust.repository.source import missing, read_small
from shoestring.trust.repository.store import epoch

if TYPE_CHECKING:
    from tuf.api.metadata import Targets  # type: ignore[attr-defined]

    from shoestring.trust.repository.core import Chain
    from shoestring.trust.repository.source import Source
    from shoestring.trust.repository.store import MetadataStore


class Walk:
    """What was verified, what is on the disk, and where the rest comes from."""

    def __init__(self, chain: Chain, store: MetadataStore, source: Source) -> None:
        self.chain = chain
        self._store = store
        self._source = source

    def everything(self) -> None:
        """Roots, timestamp, snapshot, targets. Raises as `Repository.refresh`."""
        self.roots()
        keys = epoch(self.chain.root.roles)
        self.timestamp(keys)
        self.snapshot(keys)
        self.role("targets", "root")
        self._store.tidy(keys, self.chain.roles_listed())

    def own(self) -> None:
        """As far as what is on the disk goes, whatever of it is sound."""
        self._own_roots()
        keys = epoch(self.chain.root.roles)
        self._own_timestamp(keys)
        data = self._store.top("snapshot", keys)
        if data is not None and self.chain.timestamp is not None:
            with contextlib.suppress(RepositoryError, StaleError):
                self.chain.add_snapshot(data, ours=True)

    def roots(self) -> None:
        """One after the other, until there is no next one."""
        self._own_roots()
        for _ in range(MAX_ROOT_ROTATIONS):
            version = self.chain.root.version + 1
            data = read_small(self._source, metadata_path("root", version), MAX_ROOT_BYTES)
            if data is None:
                return
            self.chain.add_root(data)
            self._store.keep_root(version, data)

    def timestamp(self, keys: str) -> None:
        """Ours as what to compare with, then theirs."""
        self._own_timestamp(keys)
        data = self._take(metadata_path("timestamp", None), MAX_TIMESTAMP_BYTES)
        if self.chain.add_timestamp(data):
            self._store.keep_top("timestamp", keys, data)
        self.chain.check_fresh()

    def snapshot(self, keys: str) -> None:
        """Ours if it is the one that the timestamp names, theirs otherwise."""
        own = self._store.top("snapshot", keys)
        if own is not None:
            with contextlib.suppress(RepositoryError, StaleError):
                self.chain.add_snapshot(own, ours=True)
                return
        listed = self.chain.snapshot_listed()
        data = self._take(metadata_path("snapshot", listed.version), _cap(listed.length, MAX_SNAPSHOT_BYTES))
        self.chain.add_snapshot(data, ours=False)
        self._store.keep_top("snapshot", keys, data)

    def role(self, name: str, parent: str) -> Targets:
        """Targets, or a role that `parent` delegates to: ours if it is the one that the snapshot names."""
        check_role_name(name)
        if self.chain.holds(name, parent):
            return self.chain.role(name)
        own = self._store.role(name)
        if own is not None:
            with contextlib.suppress(RepositoryError, StaleError):
                self.chain.add_role(own, name, parent)
                return self.chain.role(name)
        listed = self.chain.role_listed(name)
        data = self._take(metadata_path(name, listed.version), _cap(listed.length, MAX_TARGETS_BYTES))
        self.chain.add_role(data, name, parent)
        self._store.keep_role(name, data)
        return self.chain.role(name)

    def find(self, path: str) -> Wanted | None:
        """The most trusted role's word on a path (5.6.7): in the order of the lists, each role once, a bound on them.

        Raises:
            RepositoryError: as for each role; rule `listing`: more roles than the bound.
        """
        waiting = [("targets", "root")]
        visited: set[str] = set()
        while waiting:
            name, parent = waiting.pop()
            if name in visited:
                continue
            if len(visited) == MAX_VISITED_ROLES:
                raise RepositoryError(f"{path}: more than {MAX_VISITED_ROLES} roles to ask", rule="listing")
            visited.add(name)
            role = self.role(name, parent)
            target = role.targets.get(path)
            if target is not None:
                return Wanted(path, target.hashes["sha256"], target.length)
            inner: list[tuple[str, str]] = []
            for child, terminating in role.delegations.get_roles_for_target(path) if role.delegations else ():
                inner.append((child, name))
                if terminating:
                    waiting = []
                    break
            waiting.extend(reversed(inner))
        return None

    def _own_roots(self) -> None:
        """Roots of earlier walks; a damaged one ends the row, and is fetched again."""
        while (data := self._store.root(self.chain.root.version + 1)) is not None:
            try:
                self.chain.add_root(data)
            except RepositoryError:
                return

    def _own_timestamp(self, keys: str) -> None:
        data = self._store.top("timestamp", keys)
        if data is not None:
            with contextlib.suppress(RepositoryError, StaleError):
                self.chain.add_timestamp(data)

    def _take(self, path: str, limit_bytes: int) -> bytes:
        data = read_small(self._source, path, limit_bytes)
        if data is None:
            raise missing(path)
        return data


def _cap(length: int | None, limit_bytes: int) -> int:
    return limit_bytes if length is None else min(length, limit_bytes)
