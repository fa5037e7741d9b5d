"""Measurements of the user's own, as CSV files: rows with their texts spelled out, and the counts of their networks."""

from __future__ import annotations

import csv
import io
from dataclasses import asdict, fields
from typing import TYPE_CHECKING, Any

from shoestring.base import disk
from shoestring.base.errors import UsageError
from shoestring.domain.features import Features
from shoestring.domain.measured import Row

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

ROW_COLUMNS = tuple(field.name for field in fields(Row))
COUNTS = tuple(field.name for field in fields(Features) if field.name not in ("name", "input", "uncovered"))
NETWORK_COLUMNS = ("model", "input", *COUNTS)
WHOLE = ("threads",)
REAL = ("latency_ms", "fps", "tokens_s", "watts", "ghz", "macs_m", "params_m")
OPTIONAL = ("peak_activation_elems",)
MAX_BYTES = 64_000_000


def write_rows(path: Path, rows: Iterable[Row]) -> None:
    """Write rows, whole or not at all; absence is an empty cell. Raises StorageError."""
    _write(path, ROW_COLUMNS, ({key: _cell(value) for key, value in asdict(row).items()} for row in rows))


def read_rows(path: Path) -> tuple[Row, ...]:
    """Read what `write_rows` wrote, or a file that somebody filled in by hand.

    Raises:
        UsageError: names the file, the line, the column and the value.
    """
    return tuple(_row(line, f"{path.name}, line {number}") for number, line in _read(path, ROW_COLUMNS))


def write_networks(path: Path, networks: Mapping[tuple[str, str], Features]) -> None:
    """Write the counts of networks by (model, input). Raises StorageError."""
    lines = (
        {"model": model, "input": shape, **{name: _cell(getattr(found, name)) for name in COUNTS}}
        for (model, shape), found in networks.items()
    )
    _write(path, NETWORK_COLUMNS, lines)


def read_networks(path: Path) -> dict[tuple[str, str], Features]:
    """Read what `write_networks` wrote. Raises UsageError, as `read_rows`."""
    found = {}
    for number, line in _read(path, NETWORK_COLUMNS):
        where = f"{path.name}, line {number}"
        counts: dict[str, Any] = {
            name: None if name in OPTIONAL and not line[name] else _number(line, name, where, int) for name in COUNTS
        }
        found[line["model"], line["input"]] = Features(name=line["model"], input=line["input"], **counts)
    return found


def _row(line: dict[str, str], where: str) -> Row:
    values: dict[str, Any] = dict(line)
    for name in (*WHOLE, *REAL):
        kind = int if name in WHOLE else float
        values[name] = _number(line, name, where, kind) if line[name] else None
    for name in ("chip", "model", "input", "runtime", "device", "precision"):
        if not line[name]:
            raise UsageError(f"{where}: {name} is empty", hint="docs/probe.md says what the columns mean")
    return Row(**values)


def _number(line: dict[str, str], name: str, where: str, kind: type[int] | type[float]) -> float:
    try:
        value = kind(line[name])
    except ValueError:
        value = -1
    if not 0 <= value < float("inf") or (name == "latency_ms" and value == 0):
        raise UsageError(f"{where}: {name} is {line[name]!r}, no number of that kind, zero or above")
    return value


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
            raise UsageError(f"{path}: {path.stat().st_size:,} bytes, the limit is {MAX_BYTES:,}")
        lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise UsageError(f"{path} is no UTF-8 text: {error.reason}") from None
    reader = csv.DictReader(lines, strict=True)
    try:
        missing = [name for name in columns if name not in (reader.fieldnames or ())]
        if missing:
            raise UsageError(f"{path} lacks the columns {', '.join(missing)}", hint="docs/probe.md names them all")
        found = []
        for line in reader:
            if None in line or None in line.values():
                raise UsageError(f"{path}, line {reader.line_num}: more or fewer cells than the heading has")
            found.append((reader.line_num, {name: line[name] for name in columns}))
        return found
    except csv.Error as error:
        raise UsageError(f"{path} is no CSV: {error}") from None


__all__ = ["NETWORK_COLUMNS", "ROW_COLUMNS", "read_networks", "read_rows", "write_networks", "write_rows"]
