"""Which runtimes `fit` tries."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from shoestring.base.errors import UsageError
from shoestring.convert.registry import WRITERS
from shoestring.domain.ladder import HOME_RUNTIME
from shoestring.runtimes import registry

if TYPE_CHECKING:
    from shoestring.fitting.workbench import Workbench

NATIVE = "native"
GUESTS = tuple(WRITERS)
"""Runtimes of others, beside the one that runs the original: each candidate there has been converted for it."""
RUNTIMES = (HOME_RUNTIME, NATIVE, *GUESTS)
"""Runtimes that `fit` can try."""
DEFAULT = RUNTIMES
"""What it tries unless it is told otherwise, as far as installed."""


def check_runtimes(asked: Sequence[str] | None) -> tuple[str, ...]:
    """The runtimes to try, each once.

    Args:
        asked: by the user, or None: all that are installed.

    Raises:
        UsageError: an unknown one, or not the one that the original runs on.
        MissingExtraError: one that was asked for is not installed.
    """
    if asked is None:
        here = registry.installed()
        return tuple(name for name in DEFAULT if name not in GUESTS or name in here)
    wanted = tuple(dict.fromkeys(asked))
    for name in wanted:
        if name not in RUNTIMES:
            raise UsageError(f"fit does not try the runtime {name!r}", hint=f"one or more of: {', '.join(RUNTIMES)}")
    if HOME_RUNTIME not in wanted:
        raise UsageError(
            f"the runtimes {', '.join(wanted) or 'asked for (none)'} lack {HOME_RUNTIME}, which runs the original",
            hint=f"write {','.join((HOME_RUNTIME, *wanted)) or HOME_RUNTIME}",
        )
    for name in wanted:
        registry.get(name).version()
    return wanted


def guests(bench: Workbench, asked: Sequence[str] | None) -> tuple[str, ...]:
    """Of the runtimes to try, those of others that the chip has too.

    Raises:
        UsageError, MissingExtraError: as `check_runtimes`.
    """
    there = None if bench.aim is None else bench.aim.runtimes
    return tuple(name for name in check_runtimes(asked) if name in GUESTS and (there is None or name in there))


__all__ = ["DEFAULT", "GUESTS", "NATIVE", "RUNTIMES", "check_runtimes", "guests"]
