"""Who changes a repository: its folder, the keys at hand, the time; one command at a time."""

from __future__ import annotations

import contextlib
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from shoestring.base import disk
from shoestring.fleet.repository.book import check_is_there, read_book
from shoestring.fleet.repository.draft import Draft

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from shoestring.fleet.repository.book import Book
    from shoestring.fleet.repository.signers import Keyring

LOCK = ".lock"
"""A file in the repository's folder that holds nothing."""


@dataclass(frozen=True)
class Workshop:
    """The workshop's side of one repository.

    Args:
        folder: of the repository.
        keyring: keys at hand.
        clock: s since 1970.
    """

    folder: Path
    keyring: Keyring
    clock: Callable[[], float] = time.time

    @contextlib.contextmanager
    def changing(self) -> Iterator[tuple[Book, Draft]]:
        """The repository as it stands and a draft of the next, while nobody else changes it.

        Raises:
            RepositoryError, UsageError, StorageError: see `read_book`.
        """
        check_is_there(self.folder)
        with locked(self.folder):
            book = read_book(self.folder)
            yield book, Draft(self.folder, book, self.keyring, self.clock())


def locked(folder: Path) -> contextlib.AbstractContextManager[None]:
    """Wait until no other command of this machine changes the folder. Raises StorageError."""
    return disk.locked(folder / LOCK)
