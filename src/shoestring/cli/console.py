"""What people see: tables, progress, errors. Plain text when not on a terminal; NO_COLOR is honoured."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from rich import box
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from shoestring.base import canonical
from shoestring.base.errors import BudgetError, ShoestringError

PIPE_WIDTH = 160  # columns when there is no terminal to ask


def out() -> Console:
    """Stdout. Markup and highlighting are off: what we print is data. With NO_COLOR not even bold type."""
    width = None if sys.stdout.isatty() else PIPE_WIDTH
    colours: Literal["auto"] | None = None if os.environ.get("NO_COLOR") else "auto"
    return Console(file=sys.stdout, width=width, color_system=colours, markup=False, highlight=False, emoji=False)


def clean(text: str) -> str:
    """`text` with everything escaped that a terminal would act on: names in a stranger's file may hold such things."""
    return "".join(one if one.isprintable() or one == "\n" else repr(one)[1:-1] for one in text)


def say(words: str) -> None:
    """Words for people, on stderr."""
    sys.stderr.write(clean(words) + "\n")


def show_json(value: object) -> None:
    """One JSON document on stdout."""
    print(json.dumps(canonical.plain(value), indent=2, ensure_ascii=False, allow_nan=False))


def show_table(columns: Sequence[str], rows: Sequence[Sequence[str]], *, right: frozenset[int] = frozenset()) -> None:
    """A table on stdout; columns in `right` are aligned to the right."""
    table = Table(box=box.SIMPLE_HEAD if sys.stdout.isatty() else None, pad_edge=False, header_style="bold")
    for i, column in enumerate(columns):
        last = i == len(columns) - 1
        table.add_column(column, justify="right" if i in right else "left", no_wrap=not last, overflow="fold")
    for row in rows:
        table.add_row(*map(clean, row))
    out().print(table)


def show_error(error: ShoestringError, *, as_json: bool) -> None:
    """One clear error on stderr; with --json also as data on stdout, with the rows of what can be had."""
    rows: Sequence[Mapping[str, Any]] = error.rows if isinstance(error, BudgetError) else ()
    if as_json:
        show_json({"error": type(error).__name__, "message": error.message, "hint": error.hint, "rows": list(rows)})
    elif rows:
        from shoestring.cli.tables import show_candidates

        show_candidates(rows)
    say(f"error: {error}")


class ShowProgress:
    """A bar on a terminal; elsewhere one line for each new thing being done."""

    def __init__(self) -> None:
        self._live = sys.stderr.isatty()
        self._what = ""
        if self._live:
            console = Console(file=sys.stderr, markup=False, highlight=False, emoji=False)
            columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
            self._bar = Progress(*columns, console=console, transient=True)
            self._task = self._bar.add_task("", total=None)

    def __enter__(self) -> ShowProgress:
        if self._live:
            self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._live:
            self._bar.stop()

    def __call__(self, what: str, done: int, total: int) -> None:
        if self._live:
            self._bar.update(self._task, description=what, completed=done, total=total or None)
        elif what != self._what:
            say(what)
        self._what = what
