"""Texts in one file: a CSV of `text,label`, or a line of JSON for each."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from shoestring.base.errors import DataError
from shoestring.base.limits import MAX_TEXT_BYTES, MAX_TEXTS

TEXT_COLUMNS = ("text", "sentence", "content", "body")
LABEL_COLUMNS = ("label", "class", "category")
CSV_HINT = "start with a header line: text,label, and quote texts that hold a comma"
JSON_HINT = 'write {"text": "...", "label": "..."} on each line, in UTF-8'

Found = tuple[list[tuple[str, str]], list[str] | None, list[str]]
"""Texts with their places, labels, notes."""


def read_csv_rows(path: Path, most: int) -> Found:
    """Rows below a header that names a column of TEXT_COLUMNS and perhaps one of LABEL_COLUMNS.

    Args:
        path: a regular file.
        most: bytes of it.

    Raises:
        DataError: it cannot be read, is no CSV in UTF-8, has no such column, or only some rows have a label.
    """
    _check_size(path, most)
    csv.field_size_limit(MAX_TEXT_BYTES)
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            reader = csv.reader(stream, strict=True)
            header = [cell.strip().lower() for cell in next(reader, [])]
            column = _column(header, TEXT_COLUMNS)
            if column is None:
                raise DataError(f"{path} has no column {' or '.join(TEXT_COLUMNS)}", hint=CSV_HINT)
            label = _column(header, LABEL_COLUMNS)
            found = [
                (f"{path.name} line {reader.line_num}", _cell(cells, column), _cell(cells, label))
                for cells in reader
                if any(cells)
            ]
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror or error}") from error
    except (csv.Error, UnicodeDecodeError) as error:
        raise DataError(f"{path} is not CSV in UTF-8: {error}", hint=CSV_HINT) from error
    return _together(path, found)


def read_json_rows(path: Path, most: int) -> Found:
    """Lines of {"text": ..., "label": ...}; blank ones are passed over. Arguments and errors as of `read_csv_rows`."""
    _check_size(path, most)
    return _together(path, list(_json_lines(path)))


def _json_lines(path: Path) -> Iterator[tuple[str, str, str]]:
    try:
        with path.open("rb") as stream:
            for number, line in enumerate(stream, start=1):
                if line.strip():
                    yield _json_row(path, number, line)
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror or error}") from error


def _json_row(path: Path, number: int, line: bytes) -> tuple[str, str, str]:
    where = f"{path.name} line {number}"
    try:
        row: Any = json.loads(line.decode())
    except (ValueError, RecursionError) as error:
        raise DataError(f"{where} is not JSON in UTF-8: {error}", hint=JSON_HINT) from None
    if not isinstance(row, dict) or not isinstance(row.get("text"), str):
        raise DataError(f"{where} has no text", hint=JSON_HINT)
    label = row.get("label", "")
    if isinstance(label, bool) or not isinstance(label, str | int):
        raise DataError(f"{where} has the label {label!r}, neither a name nor a whole number", hint=JSON_HINT)
    text: str = row["text"]
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise DataError(f"{where} is no Unicode text: {error.reason} at character {error.start}") from None
    return where, text, str(label)


def _together(path: Path, rows: list[tuple[str, str, str]]) -> Found:
    if len(rows) > MAX_TEXTS:
        raise DataError(f"{path} holds {len(rows)} texts, the limit is {MAX_TEXTS}", hint="take a sample of them")
    for where, text, _ in rows:
        if len(text.encode()) > MAX_TEXT_BYTES:
            raise DataError(f"{where} is longer than the limit of {MAX_TEXT_BYTES} bytes", hint="split it")
    without = [where for where, _, label in rows if not label]
    if without and len(without) < len(rows):
        raise DataError(
            f"{path} has no label on {len(without)} of {len(rows)} rows: first {without[0]}",
            hint="label every row, or none",
        )
    labels = None if without else [label for _, _, label in rows]
    return [(where, text) for where, text, _ in rows], labels, []


def _check_size(path: Path, most: int) -> None:
    try:
        size = path.stat().st_size
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror or error}") from error
    if size > most:
        raise DataError(f"{path} has {size} bytes, the limit is {most}", hint="take a sample of the texts")


def _column(header: list[str], names: tuple[str, ...]) -> int | None:
    return next((place for place, cell in enumerate(header) if cell in names), None)


def _cell(cells: list[str], column: int | None) -> str:
    return cells[column] if column is not None and column < len(cells) else ""
