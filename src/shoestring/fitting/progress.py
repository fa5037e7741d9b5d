"""How long work tells where it is."""

from __future__ import annotations

from collections.abc import Callable

Progress = Callable[[str, int, int], None]
"""Called with (what is being done, steps done, steps in all); all is 0 where it is not known."""


def silent(what: str, done: int, total: int) -> None:
    """Says nothing."""
