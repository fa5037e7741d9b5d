"""A repository in a directory: a stick, a share, or the workshop's own files."""

from __future__ import annotations

import errno
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from shoestring.base.errors import DataError, RepositoryError, UnreachableError
from shoestring.base.opens import open_within

if TYPE_CHECKING:
    from types import TracebackType


class FolderStream:
    """An open file; a stick that is pulled out is a source that cannot be reached."""

    mark: str | None = None

    def __init__(self, stream: BinaryIO, start_bytes: int) -> None:
        self._stream = stream
        self.start_bytes = start_bytes

    def read(self, size_bytes: int) -> bytes:
        """The next bytes, none at the end. Raises UnreachableError."""
        try:
            return self._stream.read(size_bytes)
        except OSError as error:
            raise UnreachableError(f"the directory stopped to answer: {error.strerror or error}") from error

    def __enter__(self) -> FolderStream:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stream.close()


class FolderSource:
    """Files below a directory; no link is followed.

    Args:
        root: the directory; it need not be there now.
    """

    def __init__(self, root: Path) -> None:
        self.root = root

    def ask(self, path: str, start_bytes: int = 0, mark: str | None = None) -> FolderStream | None:
        """As `Source.ask`; a file goes on where it is asked to."""
        try:
            stream = open_within(self.root, path)
        except DataError as error:
            reason = error.__cause__
            if isinstance(reason, FileNotFoundError):
                return None
            if isinstance(reason, OSError) and reason.errno not in (errno.ELOOP, errno.ENOTDIR, errno.ENAMETOOLONG):
                raise UnreachableError(error.message, hint=error.hint) from error
            raise RepositoryError(error.message, rule="name", hint=error.hint) from error
        except OSError as error:  # the directory itself
            raise UnreachableError(
                f"{self.root} cannot be read: {error.strerror or error}", hint="put the stick in"
            ) from error
        if start_bytes:
            stream.seek(start_bytes)
        return FolderStream(stream, start_bytes)
