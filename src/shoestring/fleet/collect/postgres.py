"""Reports in PostgreSQL, for several collectors beside each other. A lost connection comes back at the next use."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from shoestring.base.errors import MissingExtraError, StorageError, UsageError
from shoestring.fleet.collect import questions
from shoestring.fleet.collect.store import KNOWN, OTHER, STORED, Count, Received

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from shoestring.fleet.error_rate import Tally

CONNECT_S = 10
ANSWER_MS = 30_000  # of one statement: a million reports are counted in some seconds
LOCK = 0x53484F45
"""Of whoever makes the tables: two collectors that start at once would stumble over each other."""


class PostgresStore:
    """See `Store`. One thread at a time may use it.

    Args:
        url: `postgresql://user@host/database`; the password comes from PGPASSWORD or ~/.pgpass, as libpq reads them.
        writing: whether tables are made where they are missing.

    Raises:
        MissingExtraError: psycopg is not installed.
        UsageError: the address holds a password, or there is nothing to read.
        StorageError: the server cannot be reached.
    """

    def __init__(self, url: str, *, writing: bool) -> None:
        try:
            import psycopg
        except ImportError:
            raise MissingExtraError("psycopg", "postgres") from None
        if _holds_password(url):
            raise UsageError(
                "the address of the database holds a password, which every user of this machine could see",
                hint="put it into ~/.pgpass or $PGPASSWORD",
            )
        self._errors_of = (psycopg.Error,)
        self._connect = psycopg.connect
        self._url, self._writing = url, writing
        self._base: Any = None
        with self._session():
            pass

    def add(self, received: Sequence[Received]) -> tuple[str, ...]:
        """See `Store`."""
        found = []
        with self._session() as base:
            # In the order of keys: two collectors with the same reports would else wait for each other for ever.
            order = sorted(range(len(received)), key=lambda i: (received[i].report.device, received[i].report.sequence))
            became = {}
            for i in order:
                one = received[i]
                if base.execute(_q(questions.INSERT), questions.row(one)).rowcount == 1:
                    became[i] = STORED
                    continue
                key = (one.report.device, one.report.sequence)
                (held,) = base.execute(_q(questions.HELD), key).fetchone()
                became[i] = KNOWN if held == one.sha256 else OTHER
            found = [became[i] for i in range(len(received))]
        return tuple(found)

    def tally(self, group: str, bundle_sha256: str) -> Tally:
        """See `Store`."""
        with self._session() as base:
            return questions.tally(base.execute(_q(questions.STATES), (group, bundle_sha256)))

    def counts(self) -> tuple[Count, ...]:
        """See `Store`."""
        with self._session() as base:
            return tuple(Count(*row) for row in base.execute(_q(questions.LAST)))

    def forget(self, before_s: int) -> int:
        """See `Store`."""
        with self._session() as base:
            gone: int = base.execute(_q(questions.FORGET), (before_s,)).rowcount
            return gone

    def close(self) -> None:
        """See `Store`."""
        if self._base is not None:
            self._base.close()
            self._base = None

    @contextlib.contextmanager
    def _session(self) -> Iterator[Any]:
        """One transaction; what was done in it is on the server's disk when this ends."""
        try:
            if self._base is None or self._base.closed:
                self._base = self._connect(
                    self._url, connect_timeout=CONNECT_S, options=f"-c statement_timeout={ANSWER_MS}"
                )
                with self._base.transaction():
                    self._prepare()
            with self._base.transaction():
                yield self._base
        except self._errors_of as error:
            self.close()
            raise StorageError(
                f"the database: {str(error).strip()}", hint="is the server up, and the name right?"
            ) from None
        except BaseException:
            self.close()
            raise

    def _prepare(self) -> None:
        self._base.execute("SET synchronous_commit = on")  # an operator may have turned it off for the whole server
        if self._writing:
            self._base.execute(f"SELECT pg_advisory_xact_lock({LOCK})")
            for words in (questions.SETTINGS, questions.TABLE, *questions.INDEXES):
                self._base.execute(words)
            if self._base.execute("SELECT COUNT(*) FROM shoestring_fleet").fetchone() == (0,):
                self._base.execute(f"INSERT INTO shoestring_fleet VALUES ({questions.LAYOUT})")
        if self._base.execute("SELECT to_regclass('shoestring_fleet')").fetchone() == (None,):
            raise UsageError("the database holds no reports", hint="name the one that `fleet collect --db` writes to")
        if self._base.execute("SELECT layout FROM shoestring_fleet").fetchone() != (questions.LAYOUT,):
            raise UsageError("the database holds reports of another version", hint="name another database")


def _holds_password(url: str) -> bool:
    """Whether there may be one: before the host, in the query, or where an address cannot be taken apart."""
    try:
        parts = urlsplit(url)
        return parts.password is not None or (parts.port or 1) < 1 or "password" in parts.query or bool(parts.fragment)
    except ValueError:
        return True


def _q(words: str) -> str:
    return words.replace("{p}", "%s")
