"""A CSV of `path,label`, paths relative to the CSV itself."""

from __future__ import annotations

import csv
from typing import TYPE_CHECKING

from shoestring.base.errors import DataError
from shoestring.base.limits import MAX_IMAGES
from shoestring.evaluate.dataset_found import Found, count_note
from shoestring.evaluate.dataset_source import FileSource

if TYPE_CHECKING:
    from pathlib import Path

PATH_COLUMNS = ("path", "file", "filename", "image")
LABEL_COLUMNS = ("label", "class")
MAX_ROWS_NAMED = 5  # in an error message

Row = tuple[int, list[str]]


def read_csv(path: Path) -> Found:
    """Rows of a path and perhaps a label.

    A first row that has one of PATH_COLUMNS is a header and names the columns; otherwise the first column is the path
    and the second the label. No label at all means unlabelled data.

    Raises:
        DataError: it cannot be read or is not CSV in UTF-8, a row has no path or too many cells, or only some rows have
            a label.
    """
    rows = _rows(path)
    path_column, label_column, width = 0, 1, 2
    notes: tuple[str, ...] = ()
    if rows and any(cell.lower() in PATH_COLUMNS for cell in rows[0][1]):
        header = [cell.lower() for cell in rows.pop(0)[1]]
        path_column = next(i for i, cell in enumerate(header) if cell in PATH_COLUMNS)
        label_column = next((i for i, cell in enumerate(header) if cell in LABEL_COLUMNS), len(header))
        width = len(header)
        unused = [cell for i, cell in enumerate(header) if i not in (path_column, label_column)]
        notes = count_note(unused, "columns not used")
    names, labels, unlabelled = [], [], []
    for number, cells in rows:
        if len(cells) > width:
            raise DataError(
                f"{path} line {number} has {len(cells)} cells, not {width}",
                hint="quote paths that hold a comma, and start with a header line: path,label",
            )
        name = cells[path_column] if path_column < len(cells) else ""
        label = cells[label_column] if label_column < len(cells) else ""
        if not name:
            raise DataError(f"{path} line {number} has no path", hint="write path,label on each line")
        if not label:
            unlabelled.append(number)
        names.append(name)
        labels.append(label)
    if unlabelled and len(unlabelled) < len(names):
        first = ", ".join(str(number) for number in unlabelled[:MAX_ROWS_NAMED])
        more = " ..." if len(unlabelled) > MAX_ROWS_NAMED else ""
        raise DataError(
            f"{path} has no label on {len(unlabelled)} of {len(names)} rows: line {first}{more}",
            hint="label every row, or none",
        )
    source = FileSource(path.parent, tuple(names))
    return Found(source, None if unlabelled else tuple(labels), notes=notes)


def _rows(path: Path) -> list[Row]:
    """Line number and stripped cells of each row that is not blank."""
    rows: list[Row] = []
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            reader = csv.reader(stream, strict=True)
            for cells in reader:
                stripped = [cell.strip() for cell in cells]
                if any(stripped):
                    rows.append((reader.line_num, stripped))
                if len(rows) > MAX_IMAGES + 1:
                    raise DataError(
                        f"{path} holds more than the limit of {MAX_IMAGES} rows", hint="take a sample of them"
                    )
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror or error}") from error
    except (csv.Error, UnicodeDecodeError) as error:
        raise DataError(f"{path} is not CSV in UTF-8: {error}", hint="write path,label on each line") from error
    return rows
