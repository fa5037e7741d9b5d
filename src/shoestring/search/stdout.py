"""Keeps a solver's own words off stdout, which is for our data."""

from __future__ import annotations

import contextlib
import ctypes
import os
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

STDOUT, STDERR = 1, 2


@contextlib.contextmanager
def words_on_stderr() -> Iterator[None]:
    """While the block lasts, what C code writes to stdout goes to stderr (HiGHS prints of some sub-problems).

    C keeps what it prints in a buffer of its own, so that is emptied before stdout is itself again.
    """
    sys.stdout.flush()
    try:
        kept = os.dup(STDOUT)
    except OSError:  # there is no stdout to protect
        yield
        return
    library = ctypes.CDLL(None)
    try:
        library.fflush(None)
        os.dup2(STDERR, STDOUT)
        yield
    finally:
        library.fflush(None)
        os.dup2(kept, STDOUT)
        os.close(kept)
