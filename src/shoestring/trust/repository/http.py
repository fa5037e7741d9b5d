"""A repository behind a web server: any that serves static files.

No proxy is taken from the environment, no redirect is followed (a copy of the repository must not send a device's
requests round its owner's network), no compression is undone. What is read is held to its length by whoever asked.
"""

from __future__ import annotations

import contextlib
import http.client
import re
import ssl
import time
from typing import TYPE_CHECKING
from urllib.parse import quote, urlsplit

from shoestring.base.addresses import without_password
from shoestring.base.errors import DataError, RepositoryError, UnreachableError, UsageError
from shoestring.base.limits import CONNECT_SECONDS, METADATA_SECONDS
from shoestring.base.opens import check_relative
from shoestring.trust.repository.layout import METADATA
from shoestring.trust.repository.paced import PacedSocket
from shoestring.trust.repository.patience import retry_after_s

if TYPE_CHECKING:
    from pathlib import Path
    from types import TracebackType

ABSENT = (403, 404, 410)  # stores of objects answer 403 for a file that is not there
BUSY = (408, 425, 429)  # and all of 500 and above: later, not never
MAX_MARK = 200  # characters of an ETag that are kept
_RANGE = re.compile(r"bytes (\d{1,18})-(\d{1,18})/(?:\d{1,18}|\*)")
_ETAG = re.compile(r'"[\x21\x23-\x7e]*"')


class HttpStream:
    """An answer that is read piece by piece; it is whole only if it is as long as its head said."""

    def __init__(
        self, connection: http.client.HTTPConnection, answer: http.client.HTTPResponse, start_bytes: int
    ) -> None:
        self._connection = connection
        self._answer = answer
        self.start_bytes = start_bytes
        tag = answer.headers.get("ETag", "")
        self.mark: str | None = tag if len(tag) <= MAX_MARK and _ETAG.fullmatch(tag) else None
        self._left = answer.length  # None: in chunks that say their own end

    def read(self, size_bytes: int) -> bytes:
        """The next bytes, none at the end. Raises UnreachableError: cut, or too slow."""
        try:
            piece = self._answer.read(size_bytes)
        except (OSError, http.client.HTTPException) as error:
            raise _broken("while it answered", error) from error
        if self._left is not None:
            self._left -= len(piece)
            if not piece and size_bytes and self._left > 0:
                raise UnreachableError(f"the server ended {self._left} bytes before the end it had told")
        return piece

    def __enter__(self) -> HttpStream:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._answer.close()
        self._connection.close()


class HttpSource:
    """Files below an address.

    Args:
        address: `https://host[:port][/path]`, or http.
        ca: certificates to trust in place of the system's, as PEM.

    Raises:
        UsageError: the address names no host, or holds a user, a question or a fragment.
        DataError: the certificates cannot be read.
    """

    def __init__(self, address: str, ca: Path | None = None) -> None:
        try:
            parts = urlsplit(address)
            self._port = parts.port
        except ValueError:  # its words quote what it could not read, which may be a password
            raise UsageError(f"{without_password(address)!r} is not an address") from None
        if not parts.hostname or parts.username is not None or parts.query or parts.fragment:
            raise UsageError(
                f"{without_password(address)!r} is not a plain address", hint="https://host[:port][/path], nothing else"
            )
        self._host = parts.hostname
        self._base = parts.path.rstrip("/")
        self._tls: ssl.SSLContext | None = None
        if parts.scheme == "https":
            try:
                self._tls = ssl.create_default_context(cafile=None if ca is None else str(ca))
            except (OSError, ssl.SSLError) as error:
                raise DataError(f"cannot read the certificates {ca}: {error}") from error

    def ask(self, path: str, start_bytes: int = 0, mark: str | None = None) -> HttpStream | None:
        """As `Source.ask`."""
        check_relative(path.replace(":", ""))
        whole_s = METADATA_SECONDS if path.startswith(f"{METADATA}/") else None
        head = {"Accept-Encoding": "identity", "Connection": "close", "User-Agent": "shoestring"}
        if start_bytes:
            head["Range"] = f"bytes={start_bytes}-"
            if mark is not None:
                head["If-Range"] = mark
        connection: http.client.HTTPConnection
        if self._tls is None:
            connection = http.client.HTTPConnection(self._host, self._port, timeout=CONNECT_SECONDS)
        else:
            connection = http.client.HTTPSConnection(self._host, self._port, timeout=CONNECT_SECONDS, context=self._tls)
        with contextlib.ExitStack() as undo:
            undo.callback(connection.close)
            try:
                connection.connect()
                connection.sock = PacedSocket(connection.sock, whole_s)
                connection.request("GET", f"{self._base}/{quote(path)}", headers=head)
                answer = connection.getresponse()
            except (OSError, http.client.HTTPException) as error:
                raise _broken(f"when asked for {path}", error) from error
            stream = self._judge(connection, answer, path, start_bytes)
            if stream is not None:
                undo.pop_all()
        return stream

    def _judge(
        self, connection: http.client.HTTPConnection, answer: http.client.HTTPResponse, path: str, start_bytes: int
    ) -> HttpStream | None:
        status = answer.status
        if status in ABSENT:
            return None
        if status in BUSY or status >= 500:
            raise UnreachableError(
                f"the server answered {status} for {path}",
                retry_after_s=retry_after_s(answer.headers.get("Retry-After"), time.time()),
            )
        if 300 <= status < 400:
            raise RepositoryError(
                f"the server sent {path} elsewhere (status {status}), which is not followed",
                rule="form",
                hint="give the address where the repository stands itself",
            )
        if answer.headers.get("Content-Encoding", "identity").lower() != "identity":
            raise RepositoryError(f"the server compressed {path}, which nobody asked for", rule="form")
        if status in (200, 206) and answer.length is None and not answer.chunked:
            raise UnreachableError(
                f"the server did not say how long {path} is, so that a cut could not be told from its end",
                hint="serve it with Content-Length, as servers of static files do",
            )
        if status == 200:
            return HttpStream(connection, answer, 0)
        if status == 206 and start_bytes:
            found = _RANGE.fullmatch(answer.headers.get("Content-Range", ""))
            if found is not None and int(found[1]) == start_bytes:
                return HttpStream(connection, answer, start_bytes)
        if status in (206, 416) and start_bytes:  # it cannot go on there: from the beginning, in one more request
            answer.close()
            connection.close()
            return self.ask(path)
        raise RepositoryError(f"the server answered {status} for {path}", rule="form")


def _broken(when: str, error: Exception) -> UnreachableError:
    reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return UnreachableError(f"the server broke off {when}: {str(reason)[:200]}")
