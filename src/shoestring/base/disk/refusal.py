"""What the disk refused, as our error."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from shoestring.base.errors import StorageError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@contextlib.contextmanager
def storage_errors(path: Path) -> Iterator[None]:
    """Turn an OSError about `path` into a StorageError that names it."""
    try:
        yield
    except OSError as error:
        reason = error.strerror or str(error)
        raise StorageError(
            f"cannot write {path}: {reason}", hint="free some space, or write to another directory"
        ) from error
