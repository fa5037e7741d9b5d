"""Sessions of a fit: runtimes of others live in a process of their own, and what fails there names its candidate."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from shoestring.base.errors import CandidateError, ChildError, EngineError
from shoestring.fitting.tried import GUESTS
from shoestring.runtimes import guarded, registry

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from shoestring.runtimes.protocol import Session


def open_session(runtime: str, path: Path, threads: int) -> Session:
    """A loaded model, to be closed by the caller.

    Raises:
        UsageError, MissingExtraError, EngineError: as `runtimes.protocol.Runtime.load`, and what guarding finds.
    """
    if runtime in GUESTS:
        return guarded.load(runtime, path, threads)
    return registry.get(runtime).load(path, threads)


@contextlib.contextmanager
def blame(candidate: str, runtime: str) -> Iterator[None]:
    """Errors of a runtime that the fit can do without become a CandidateError, so that the fit can go on."""
    try:
        yield
    except CandidateError:
        raise
    except (EngineError, ChildError) as error:
        if runtime not in GUESTS:
            raise
        raise CandidateError(candidate, f"{candidate}: {error.message}", hint=error.hint) from error


__all__ = ["blame", "open_session"]
