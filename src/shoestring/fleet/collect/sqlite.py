"""Reports in a SQLite file. What was committed survives a power cut: write-ahead log, synced at every commit."""

from __future__ import annotations

import contextlib
import sqlite3
from typing import TYPE_CHECKING

from shoestring.base.errors import StorageError, UsageError
from shoestring.fleet.collect import questions
from shoestring.fleet.collect.store import KNOWN, OTHER, STORED, Count, Received

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from shoestring.fleet.error_rate import Tally

BUSY_S = 10.0  # another process reads, or forgets old reports; neither takes a second


class SqliteStore:
    """See `Store`. One thread at a time may use it.

    Args:
        path: of the file.
        writing: whether it is made where it is missing; else it is only read.

    Raises:
        UsageError: nothing to read there, or another program's file.
        StorageError: it cannot be opened.
    """

    def __init__(self, path: Path, *, writing: bool) -> None:
        self._path = path
        if not writing and not path.is_file():
            raise UsageError(f"{path} is not there", hint="name the file that `fleet collect --db` writes")
        with self._errors():
            self._base = sqlite3.connect(
                f"{path.absolute().as_uri()}?mode={'rwc' if writing else 'ro'}",
                uri=True,
                timeout=BUSY_S,
                isolation_level=None,
                check_same_thread=False,
            )
        try:
            with self._errors():
                self._prepare(writing)
        except BaseException:
            self._base.close()
            raise

    def _prepare(self, writing: bool) -> None:
        (layout,) = self._base.execute("PRAGMA user_version").fetchone()
        (tables,) = self._base.execute("SELECT COUNT(*) FROM sqlite_master").fetchone()
        if layout != questions.LAYOUT and (not writing or layout or tables):
            raise UsageError(f"{self._path} holds no reports of this version", hint="name another file")
        if not writing:
            return
        self._base.execute("PRAGMA journal_mode = WAL")
        self._base.execute("PRAGMA synchronous = FULL")
        with self._transaction():
            for words in (questions.TABLE, *questions.INDEXES):
                self._base.execute(words)
            self._base.execute(f"PRAGMA user_version = {questions.LAYOUT}")

    def add(self, received: Sequence[Received]) -> tuple[str, ...]:
        """See `Store`."""
        found = []
        with self._errors(), self._transaction():
            for one in received:
                if self._base.execute(_q(questions.INSERT), questions.row(one)).rowcount == 1:
                    found.append(STORED)
                    continue
                key = (one.report.device, one.report.sequence)
                (held,) = self._base.execute(_q(questions.HELD), key).fetchone()
                found.append(KNOWN if held == one.sha256 else OTHER)
        return tuple(found)

    def tally(self, group: str, bundle_sha256: str) -> Tally:
        """See `Store`."""
        with self._errors():
            return questions.tally(self._base.execute(_q(questions.STATES), (group, bundle_sha256)))

    def counts(self) -> tuple[Count, ...]:
        """See `Store`."""
        with self._errors():
            return tuple(Count(*row) for row in self._base.execute(questions.LAST))

    def forget(self, before_s: int) -> int:
        """See `Store`."""
        with self._errors(), self._transaction():
            return self._base.execute(_q(questions.FORGET), (before_s,)).rowcount

    def close(self) -> None:
        """See `Store`."""
        self._base.close()

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[None]:
        self._base.execute("BEGIN IMMEDIATE")
        try:
            yield
            self._base.execute("COMMIT")
        except BaseException:
            with contextlib.suppress(sqlite3.Error):  # a failed COMMIT may have rolled back already
                self._base.execute("ROLLBACK")
            raise

    @contextlib.contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise StorageError(
                f"{self._path}: {error}", hint="is the disk full, or the file of another program?"
            ) from None


def _q(words: str) -> str:
    return words.replace("{p}", "?")
