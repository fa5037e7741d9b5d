"""A target on its way to the disk: little memory, goes on where it was cut, hashed before it gets its name.

Beside the target stands `.HASH.part` while it is not whole. What a mirror lied about in an earlier piece is seen when
the whole is hashed: then it is fetched once more from the beginning, once, and what is wrong again is refused.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from shoestring.base import disk
from shoestring.base.errors import DataError, RepositoryError
from shoestring.base.limits import DOWNLOAD_PIECE_BYTES
from shoestring.base.opens import open_within
from shoestring.trust.repository.layout import target_file
from shoestring.trust.repository.source import missing

if TYPE_CHECKING:
    from pathlib import Path

    from shoestring.trust.repository.source import Source, Stream

HASH_BLOCK_BYTES = 1 << 20
MAX_MARK_BYTES = 400  # of the file that keeps a server's name for the content


@dataclass(frozen=True)
class Wanted:
    """A file that signed metadata lists."""

    path: str
    sha256: str
    size_bytes: int


def fetch(source: Source, wanted: Wanted, out: Path) -> None:
    """Bring a file to `out`, whole and as signed.

    Args:
        source: of the repository.
        wanted: what the metadata says of it.
        out: replaced in one step; its directory exists, and takes the part that is not whole yet.

    Raises:
        UnreachableError: cut or gone; what came stays for the next call to go on with.
        RepositoryError: rule `hash` or `length`: whole, and not what was signed for; nothing of it stays.
        StorageError: the disk refused.
    """
    digest, held = _read(out, wanted.size_bytes)
    if (digest.hexdigest(), held) == (wanted.sha256, wanted.size_bytes):
        return
    part = out.with_name(f".{wanted.sha256}.part")
    resumed = _Partial(part, wanted).complete(source)
    if not resumed.good and resumed.went_on:
        resumed.drop()
        resumed = _Partial(part, wanted).complete(source)
    if not resumed.good:
        resumed.drop()
        raise RepositoryError(
            f"{wanted.path}: the bytes that came have another SHA-256 than {wanted.sha256}",
            rule="hash",
            hint="do not take this copy of the repository",
        )
    disk.replace(part, out)
    resumed.forget_mark()


class _Partial:
    """The part of a file that is on the disk, and its hash so far."""

    def __init__(self, part: Path, wanted: Wanted) -> None:
        self.part, self.wanted = part, wanted
        self.mark_file = part.with_suffix(".mark")
        self.hash, self.held = _read(part, wanted.size_bytes)
        if self.held == 0 or self.held > wanted.size_bytes:  # none, one that cannot be read, or one of something else
            self.drop()
        self.went_on = self.held > 0

    @property
    def good(self) -> bool:
        return self.held == self.wanted.size_bytes and self.hash.hexdigest() == self.wanted.sha256

    def complete(self, source: Source) -> _Partial:
        """Fetch what is missing."""
        if self.held < self.wanted.size_bytes or not self.went_on:
            path = target_file(self.wanted.path, self.wanted.sha256)
            stream = source.ask(path, self.held, self._mark() if self.held else None)
            if stream is None:
                raise missing(path)
            with stream:
                if stream.start_bytes != self.held:
                    self.drop()
                    self.went_on = False
                if self.held == 0 and stream.mark is not None:
                    disk.write_text(self.mark_file, stream.mark)
                self._take(stream)
        return self

    def _take(self, stream: Stream) -> None:
        """To the end of the stream, in pieces that are on the disk before the next is asked for."""
        waiting = bytearray()
        try:
            while piece := stream.read(min(HASH_BLOCK_BYTES, self.wanted.size_bytes + 1 - self.held - len(waiting))):
                waiting += piece
                if self.held + len(waiting) > self.wanted.size_bytes:
                    waiting.clear()
                    self.drop()
                    raise RepositoryError(
                        f"{self.wanted.path} goes on after the {self.wanted.size_bytes} bytes that were signed for",
                        rule="length",
                        hint="do not take this copy of the repository",
                    )
                if len(waiting) >= DOWNLOAD_PIECE_BYTES:
                    self._keep(waiting)
        finally:
            self._keep(waiting)

    def _keep(self, waiting: bytearray) -> None:
        if waiting:
            disk.append_bytes(self.part, bytes(waiting))
            self.hash.update(waiting)
            self.held += len(waiting)
            waiting.clear()

    def drop(self) -> None:
        """From the beginning again."""
        self.forget_mark()
        disk.remove(self.part)
        self.hash, self.held = hashlib.sha256(), 0

    def forget_mark(self) -> None:
        """The file is whole: nothing goes on."""
        disk.remove(self.mark_file)

    def _mark(self) -> str | None:
        try:
            with open_within(self.mark_file.parent, self.mark_file.name) as stream:
                return stream.read(MAX_MARK_BYTES).decode("ascii") or None
        except (DataError, OSError, UnicodeDecodeError):
            return None


def _read(path: Path, limit_bytes: int) -> tuple[hashlib._Hash, int]:
    """Hash of a file and its size, up to one byte more than it may have; of nothing where it cannot be read."""
    hasher, held = hashlib.sha256(), 0
    try:
        with open_within(path.parent, path.name) as stream:
            while piece := stream.read(min(HASH_BLOCK_BYTES, limit_bytes + 1 - held)):
                hasher.update(piece)
                held += len(piece)
    except (DataError, OSError):
        return hashlib.sha256(), 0
    return hasher, held
