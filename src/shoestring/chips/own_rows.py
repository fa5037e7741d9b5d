"""Writes measurements as the CSV that `chips.rows` reads, and beside it the counts of the networks behind them."""

from __future__ import annotations

import csv
import io
from dataclasses import asdict, fields
from typing import TYPE_CHECKING, Any

from shoestring.base import disk
from shoestring.base.errors import DataError
from shoestring.domain.features import Features
from shoestring.domain.measured import Row

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

ROW_COLUMNS = tuple(field.name for field in fields(Row))
COUNTS = tuple(field.name for field in fields(Features) if field.name not in ("name", "input", "uncovered"))
NETWORK_COLUMNS = ("model", "input", *COUNTS)
OPTIONAL = ("peak_activation_elems",)
MAX_BYTES = 64_000_000


def write_rows(path: Path, rows: Iterable[Row]) -> None:
    """Write rows with their texts spelled out, whole or not at all; absence is an empty cell. Raises StorageError."""
    _write(path, ROW_COLUMNS, ({key: _cell(value) for key, value in asdict(row).items()} for row in rows))


def write_networks(path: Path, networks: Mapping[tuple[str, str], Features]) -> None:
    """Write the counts of networks by (model, input). Raises StorageError."""
    lines = (
        {"model": model, "input": shape, **{name: _cell(getattr(found, name)) for name in COUNTS}}
        for (model, shape), found in networks.items()
    )
    _write(path, NETWORK_COLUMNS, lines)


def read_networks(path: Path) -> dict[tuple[str, str], Features]:
    """Read what `write_networks` wrote. Raises DataError: names the line, the column and the value."""
    found = {}
    for number, line in _read(path, NETWORK_COLUMNS):
        where = f"{path.name}, line {number}"
        counts: dict[str, Any] = {
            name: None if name in OPTIONAL and not line[name] else _count(line, name, where) for name in COUNTS
        }
        found[line["model"], line["input"]] = Features(name=line["model"], input=line["input"], **counts)
    return found


def networks_beside(rows: Path) -> dict[tuple[str, str], Features]:
    """The networks that `probe` wrote beside a file of rows; none where there is no such file. Raises DataError."""
    path = networks_path(rows)
    return read_networks(path) if path.exists() else {}


def networks_path(rows: Path) -> Path:
    """Where the networks of a file of rows stand: `board.csv` -> `board-networks.csv`."""
    return rows.with_name(f"{rows.stem}-networks.csv")


def _count(line: dict[str, str], name: str, where: str) -> int:
    if not line[name].isdecimal():
        raise DataError(f"{where}: {name} is {line[name]!r}, not a whole number, zero or above")
    return int(line[name])


def _cell(value: object) -> str:
    return "" if value is None else str(value)


def _write(path: Path, columns: tuple[str, ...], lines: Iterable[dict[str, str]]) -> None:
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(lines)
    disk.write_text(path, text.getvalue())


def _read(path: Path, columns: tuple[str, ...]) -> list[tuple[int, dict[str, str]]]:
    try:
        if path.stat().st_size > MAX_BYTES:
            raise DataError(f"{path}: {path.stat().st_size:,} bytes, the limit is {MAX_BYTES:,}")
        lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise DataError(f"{path} is no UTF-8 text: {error.reason}") from None
    reader = csv.DictReader(lines, strict=True)
    try:
        missing = [name for name in columns if name not in (reader.fieldnames or ())]
        if missing:
            raise DataError(f"{path} lacks the columns {', '.join(missing)}", hint="docs/probe.md names them all")
        found = []
        for line in reader:
            if None in line or None in line.values():
                raise DataError(f"{path}, line {reader.line_num}: more or fewer cells than the heading has")
            found.append((reader.line_num, {name: line[name] for name in columns}))
        return found
    except csv.Error as error:
        raise DataError(f"{path} is no CSV: {error}") from None


__all__ = [
    "NETWORK_COLUMNS",
    "ROW_COLUMNS",
    "networks_beside",
    "networks_path",
    "read_networks",
    "write_networks",
    "write_rows",
]
