"""Answers kept by the hash of their questions, so that long work resumes and a repeated run takes seconds.

One answer is one file. Files are written whole, so a killed run leaves only finished steps. A file that cannot be
decoded is treated as absent and written again.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from shoestring.base import canonical, disk
from shoestring.base.errors import StorageError

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")


def default_root() -> Path:
    """`$SHOESTRING_CACHE`, else `$XDG_CACHE_HOME/shoestring`, else `~/.cache/shoestring`."""
    named = os.environ.get("SHOESTRING_CACHE")
    if named:
        return Path(named)
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "shoestring"


class Cache:
    """A directory of answers.

    Args:
        root: where they are kept; created on first use.
    """

    def __init__(self, root: Path | None = None) -> None:
        self.root = root or default_root()

    def path(self, room: str, question: object, suffix: str) -> Path:
        """Where the answer of `room` to `question` lives; its directory exists afterwards."""
        return disk.make_directory(self.root / room) / f"{canonical.digest(question)}{suffix}"

    def noun(self, room: str, question: object, kind: type[T], compute: Callable[[], T]) -> T:
        """The stored noun for `question`, or `compute()` stored and returned."""
        path = self.path(room, question, ".json")
        if path.exists():
            with contextlib.suppress(StorageError):  # what cannot be decoded is written again
                return canonical.decode(path.read_bytes(), kind, StorageError)
        answer = compute()
        disk.write_bytes(path, canonical.encode(answer))
        return answer

    def file(self, room: str, question: object, suffix: str, write: Callable[[Path], None]) -> Path:
        """The stored file for `question`, or the one that `write(temporary_path)` makes."""
        path = self.path(room, question, suffix)
        if not path.exists():
            temporary = path.with_name(f".{os.getpid()}-{path.name}")
            try:
                write(temporary)
                disk.replace(temporary, path)
            except BaseException:
                with contextlib.suppress(StorageError):  # the first error is the one to tell
                    disk.remove(temporary)
                raise
        return path
