"""Reads measurements that the user brings: a CSV with the columns of `domain.measured.Row`."""

from __future__ import annotations

import csv
import math
from dataclasses import fields
from typing import TYPE_CHECKING, Any

from shoestring.base.errors import DataError
from shoestring.domain.measured import Row

if TYPE_CHECKING:
    from pathlib import Path

MAX_BYTES = 64_000_000  # the published table has one
NEEDED = ("chip", "model", "input", "runtime", "precision")
_FLOATS = ("latency_ms", "fps", "tokens_s", "watts", "ghz", "macs_m", "params_m")
_KNOWN = tuple(field.name for field in fields(Row))
_WHEN_EMPTY = {"device": "cpu"}


def read_rows(path: Path) -> tuple[Row, ...]:
    """The measurements in a file.

    Args:
        path: CSV, UTF-8, its first line the names of columns: NEEDED, at least one of `latency_ms`, `fps` and
            `tokens_s`, and any other field of `Row`. An empty cell means unknown; an empty device means `cpu`.

    Raises:
        DataError: the file cannot be read, lacks a column, has one that nobody knows, or a figure is no number above
            zero; names the line.
    """
    try:
        if path.stat().st_size > MAX_BYTES:
            raise DataError(f"{path} has {path.stat().st_size} bytes, the limit is {MAX_BYTES}")
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror}", hint="check the path") from error
    except UnicodeDecodeError as error:
        raise DataError(f"{path} is not UTF-8 text", hint="give a CSV file") from error
    reader = csv.DictReader(text.splitlines())
    columns = reader.fieldnames or []
    missing = [name for name in NEEDED if name not in columns]
    if missing or not set(columns) & {"latency_ms", "fps", "tokens_s"}:
        raise DataError(
            f"{path} lacks the column {missing[0] if missing else 'latency_ms'!r}",
            hint=f"the first line names the columns: {','.join(NEEDED)},threads,latency_ms and others of the docs",
        )
    odd = [name for name in columns if name not in _KNOWN]
    if odd:
        raise DataError(f"{path} has an unknown column {odd[0]!r}", hint=f"known are: {', '.join(_KNOWN)}")
    return tuple(_row(path, place, line) for place, line in enumerate(reader, start=2))


def _row(path: Path, place: int, line: dict[Any, Any]) -> Row:
    if None in line or None in line.values():
        raise DataError(f"{path}, line {place}: not as many cells as columns")
    values: dict[str, Any] = {}
    for name in _KNOWN:
        cell = line.get(name, "").strip()
        if name in _FLOATS or name == "threads":
            values[name] = _number(path, place, name, cell)
        elif not cell and name in NEEDED:
            raise DataError(f"{path}, line {place}: {name} is empty")
        else:
            values[name] = cell or _WHEN_EMPTY.get(name, "")
    values["source"] = values["source"] or path.name
    return Row(**values)


def _number(path: Path, place: int, name: str, cell: str) -> float | int | None:
    if not cell:
        return None
    try:
        value = int(cell) if name == "threads" else float(cell)
    except ValueError:
        value = math.nan
    if not (value > 0 and math.isfinite(value)):
        raise DataError(f"{path}, line {place}: {name} is {cell!r}, not a number above zero")
    return value
