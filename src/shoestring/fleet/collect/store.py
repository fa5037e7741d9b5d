"""Where reports are kept: one protocol, an adapter for SQLite and one for PostgreSQL."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from shoestring.base.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from shoestring.domain.report import Report
    from shoestring.fleet.error_rate import Tally

STORED, KNOWN, OTHER = "stored", "known", "other"
"""What became of a report: it is kept now; it was kept before; another one was kept under its number."""
SQLITE, POSTGRES = "sqlite", "postgresql"


@dataclass(frozen=True)
class Received:
    """A verified report.

    Args:
        report: what the device says.
        sha256: of the bytes that came.
        received_s: s since 1970, by the collector's clock.
    """

    report: Report
    sha256: str
    received_s: int


@dataclass(frozen=True)
class Count:
    """How many devices stand where.

    Args:
        group: of them.
        state: of their last report.
        running_sha256: that they run.
        devices: how many.
    """

    group: str
    state: str
    running_sha256: str
    devices: int


class Store(Protocol):
    """Reports on a disk."""

    def add(self, received: Sequence[Received]) -> tuple[str, ...]:
        """Keep reports, each (device, sequence) once; what is stored is durable when this returns.

        Returns:
            For each STORED, KNOWN or OTHER.

        Raises:
            StorageError: none of them was kept.
        """

    def tally(self, group: str, bundle_sha256: str) -> Tally:
        """What the devices of a group said about a bundle, under whatever release. Raises StorageError."""

    def counts(self) -> tuple[Count, ...]:
        """Where devices stand by their last reports, in the order of their numbers. Raises StorageError."""

    def forget(self, before_s: int) -> int:
        """Remove reports received before a time, s since 1970; how many. Raises StorageError."""

    def close(self) -> None:
        """A second call does nothing."""


def open_store(place: str, *, writing: bool) -> Store:
    """The store at a place.

    Args:
        place: path of a SQLite file, or `postgresql://...`.
        writing: whether it is to be made where it is missing; else it is only read.

    Raises:
        UsageError: another kind of address, or nothing to read there.
        MissingExtraError: psycopg is not installed.
        StorageError: it cannot be opened.
    """
    scheme, mark, _ = place.partition("://")
    if mark and scheme in (POSTGRES, "postgres"):
        from shoestring.fleet.collect.postgres import PostgresStore

        return PostgresStore(place, writing=writing)
    if mark or place.startswith((f"{POSTGRES}:", "postgres:")):
        raise UsageError(
            f"reports cannot be kept at {scheme.partition(':')[0][:40]}://...",
            hint="name a file, or postgresql://user@host/database",
        )
    from shoestring.fleet.collect.sqlite import SqliteStore

    return SqliteStore(Path(place), writing=writing)
