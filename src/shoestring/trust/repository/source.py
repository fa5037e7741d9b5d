"""Where a repository's files come from: a server, or a directory such as a stick. Both are asked in one way."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from shoestring.base.errors import RepositoryError, UnreachableError, UsageError

if TYPE_CHECKING:
    from types import TracebackType


class Stream(Protocol):
    """Bytes on their way.

    Attributes:
        start_bytes: where in the file they begin: where they were asked for, or 0 where the other side cannot.
        mark: the server's name for this content (a strong ETag), to go on with later; None where it gives none.
    """

    start_bytes: int
    mark: str | None

    def read(self, size_bytes: int) -> bytes:
        """The next bytes, at most `size_bytes`; none at the end. Raises UnreachableError."""

    def __enter__(self) -> Stream: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


class Source(Protocol):
    """A repository's files, none of them trusted."""

    def ask(self, path: str, start_bytes: int = 0, mark: str | None = None) -> Stream | None:
        """Begin to read a file.

        Args:
            path: below the repository, as `layout` makes it.
            start_bytes: of a download that goes on.
            mark: of the content that it goes on with.

        Returns:
            None where there is no such file.

        Raises:
            UnreachableError: the other side cannot be reached, or not now.
            RepositoryError: it answers what no repository may.
        """


def read_small(source: Source, path: str, limit_bytes: int) -> bytes | None:
    """A whole file of metadata; None where there is none.

    Raises:
        UnreachableError: as `Source.ask`.
        RepositoryError: rule `length`, it is longer than `limit_bytes`.
    """
    stream = source.ask(path)
    if stream is None:
        return None
    pieces: list[bytes] = []
    held = 0
    with stream:
        while piece := stream.read(limit_bytes + 1 - held):
            pieces.append(piece)
            held += len(piece)
            if held > limit_bytes:
                raise RepositoryError(
                    f"{path} is longer than {limit_bytes} bytes, the most that it may have",
                    rule="length",
                    hint="do not take this copy of the repository",
                )
    return b"".join(pieces)


def missing(path: str) -> UnreachableError:
    """The error for a file that the signed metadata names and this copy of the repository has not."""
    return UnreachableError(
        f"the repository has no {path} now", hint="its copy may be under way; the next poll tries again"
    )


def open_source(place: str, ca: Path | None = None) -> Source:
    """The source at an address.

    Args:
        place: `https://...`, `http://...`, or a directory.
        ca: certificates to trust for TLS in place of the system's.

    Raises:
        UsageError: another kind of address.
    """
    from shoestring.trust.repository.folder import FolderSource
    from shoestring.trust.repository.http import HttpSource

    scheme, separator, _ = place.partition("://")
    if not separator:
        return FolderSource(Path(place))
    if scheme not in ("http", "https"):
        raise UsageError(f"a repository's address begins with {scheme}://", hint="http://, https://, or a directory")
    return HttpSource(place, ca)
