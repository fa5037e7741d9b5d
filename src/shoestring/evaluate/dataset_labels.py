"""Labels as users write them (class names, integers) to class indices of the model."""

from __future__ import annotations

import json
import re
from collections import Counter
from typing import TYPE_CHECKING

from shoestring.base.errors import DataError
from shoestring.base.limits import MAX_LABEL_NAMES, MIB

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable
    from pathlib import Path

MAX_NAMES_BYTES = 16 * MIB  # MAX_LABEL_NAMES lines of 160 characters
_INTEGER = re.compile(r"[0-9]{1,9}")
_NUMBER = re.compile(r"[-+]?[0-9]*\.?[0-9]+\.?(e[-+]?[0-9]+)?")


def read_label_names(path: Path) -> tuple[str, ...]:
    """Class names in the model's order.

    Args:
        path: a text file with one name a line (blank lines at the end are left out), or a JSON list of strings.

    Raises:
        DataError: it cannot be read, is empty, has a blank name, or more than MAX_LABEL_NAMES.
    """
    hint = "write one class name a line, in the model's order, or a JSON list of strings"
    try:
        with path.open("rb") as stream:
            data = stream.read(MAX_NAMES_BYTES + 1)
        text = data.decode("utf-8-sig").strip()
    except OSError as error:
        raise DataError(f"label names {path} cannot be read: {error.strerror or error}", hint=hint) from error
    except UnicodeDecodeError as error:
        raise DataError(f"label names {path} are not UTF-8 text: {error}", hint=hint) from error
    if len(data) > MAX_NAMES_BYTES:
        raise DataError(f"label names {path} are longer than the limit of {MAX_NAMES_BYTES} bytes", hint=hint)
    if text.startswith("["):
        try:
            names = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise DataError(f"label names {path} are not a JSON list: {error}", hint=hint) from error
    else:
        names = [line.strip() for line in text.splitlines()]
    if not names or len(names) > MAX_LABEL_NAMES:
        raise DataError(f"label names {path} hold {len(names)} names, not 1 to {MAX_LABEL_NAMES}", hint=hint)
    for i, name in enumerate(names):
        if not isinstance(name, str) or not name.strip():
            raise DataError(f"label names {path}: entry {i} is {name!r}, not a name", hint=hint)
    return tuple(names)


def resolve(values: Iterable[str], label_names: tuple[str, ...], what: str) -> tuple[dict[str, int], tuple[str, ...]]:
    """Give each written label its class index.

    With `label_names`, their order decides, and integers are allowed if none of the values is a name. Without them,
    integers stand for themselves, and names are numbered in sorted order.

    Args:
        values: labels as written; repeats are fine.
        label_names: class names in the model's order, () when unknown.
        what: for error messages, such as `class folder`.

    Returns:
        (class index of each value, class names in the model's order or ()).

    Raises:
        DataError: a value is neither a name nor an index of the model, or names several of its classes; without
            `label_names`, numbers stand among names, or are no class indices.
    """
    distinct = sorted(set(values))
    integers = all(_INTEGER.fullmatch(value) for value in distinct)
    if not label_names:
        if not integers:
            _refuse_numbers(distinct, what)
            return {value: i for i, value in enumerate(distinct)}, tuple(distinct)
        return _by_integer(distinct, MAX_LABEL_NAMES, what), ()
    known = set(label_names)
    if integers and not known.issuperset(distinct):
        return _by_integer(distinct, len(label_names), what), label_names
    unknown = [value for value in distinct if value not in known]
    if unknown:
        raise DataError(
            f"{len(unknown)} of {len(distinct)} {what} values are not label names of the model: {_some(unknown)}",
            hint=f"the names start with {_some(label_names)}; write them alike, or write class indices everywhere",
        )
    counts = Counter(label_names)
    repeated = [value for value in distinct if counts[value] > 1]
    if repeated:
        raise DataError(
            f"{what} {_some(repeated)} names several classes of the model", hint="write class indices instead of names"
        )
    position = {name: i for i, name in enumerate(label_names)}
    return {value: position[value] for value in distinct}, label_names


def check_label_range(labels: Collection[int], classes: int) -> None:
    """Raise DataError when a label is no class of a model with `classes` outputs."""
    wrong = [label for label in labels if not 0 <= label < classes]
    if wrong:
        raise DataError(
            f"the data has label {max(wrong)}, the model has classes 0 to {classes - 1}",
            hint="check that data and model belong together, and whether labels start at 0",
        )


def _by_integer(values: list[str], classes: int, what: str) -> dict[str, int]:
    found: dict[int, str] = {}
    for value in values:
        index = int(value)
        if index >= classes:
            raise DataError(f"{what} {value} is outside 0..{classes - 1}", hint="labels count from 0")
        if index in found:
            raise DataError(f"{what} {value!r} and {found[index]!r} mean the same class", hint="keep one of them")
        found[index] = value
    return {value: index for index, value in found.items()}


def _refuse_numbers(values: list[str], what: str) -> None:
    """Numbers among names, or numbers that are no index, would be sorted as words and silently mislabel images."""
    numbers = [value for value in values if _NUMBER.fullmatch(value)]
    if len(numbers) == len(values):
        wrong = [value for value in numbers if not _INTEGER.fullmatch(value)]
        raise DataError(f"{what} {_some(wrong)} is no class index", hint="class indices are whole numbers from 0 on")
    if numbers:
        names = [value for value in values if value not in numbers]
        raise DataError(
            f"{what} values mix numbers ({_some(numbers)}) and names ({_some(names)})",
            hint="use one of the two, or give the model's label names",
        )


def _some(names: Collection[str]) -> str:
    first = ", ".join(repr(name) for name in list(names)[:3])
    return first if len(names) <= 3 else f"{first} ..."
