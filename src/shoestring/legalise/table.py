"""The rewrites as data: what each takes, makes, asks for, and how exact it is."""

from __future__ import annotations

import functools
import tomllib
from dataclasses import dataclass
from importlib import resources

from shoestring.base import canonical
from shoestring.base.errors import UsageError

EXACT = ("bits", "close", "no")


@dataclass(frozen=True)
class Row:
    """One row of rewrites.toml.

    Args:
        name: of the function in `rewrites.REWRITES`.
        takes: operator of the node that is asked about; of a pattern its last one.
        makes: operators that may stand there afterwards.
        exact: one of EXACT.
        why: what it is good for, in words.
        needs: of the node, in words; empty where any will do.
    """

    name: str
    takes: str
    makes: tuple[str, ...]
    exact: str
    why: str
    needs: str = ""


@dataclass(frozen=True)
class _File:
    rewrite: tuple[Row, ...]


@functools.cache
def rows() -> tuple[Row, ...]:
    """Every rewrite, in order of preference."""
    text = resources.files(__package__).joinpath("rewrites.toml").read_text(encoding="utf-8")
    return canonical.convert(tomllib.loads(text), _File, UsageError).rewrite


def row_named(name: str) -> Row:
    """The row called `name`.

    Raises:
        UsageError: there is none.
    """
    for row in rows():
        if row.name == name:
            return row
    raise UsageError(f"there is no rewrite {name!r}", hint=f"one of {', '.join(row.name for row in rows())}")
