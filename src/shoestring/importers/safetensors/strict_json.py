"""JSON that somebody else wrote, without what JSON leaves open: a key twice, numbers that are none, endless ones."""

from __future__ import annotations

import json
import math
from typing import Any

from shoestring.base.canonical import MAX_INTEGER_DIGITS
from shoestring.base.errors import ModelError
from shoestring.base.limits import MAX_STORED_TENSORS

DAMAGED = "the file is truncated, damaged or hostile; fetch it again"
# Commas, colons and brackets: each may become an object many times its size in the file. A tensor has about 15.
MAX_MARKS = 20 * MAX_STORED_TENSORS
_MARKS = (b",", b":", b"[", b"{")


def parse(data: bytes, what: str, *, most: int = MAX_MARKS, saturate: bool = False) -> dict[str, Any]:
    """The object in `data`.

    Args:
        what: for messages.
        most: commas, colons and brackets that it may hold.
        saturate: whether an endless integer becomes infinity instead of an error: some write 10^30 for "no limit".

    Raises:
        ModelError: not one JSON object in UTF-8, or a key twice, or more values than any model has.
    """
    marks = sum(data.count(mark) for mark in _MARKS)
    if marks > most:
        raise ModelError(f"{what} holds more than the limit of {most:,} values", hint=DAMAGED)
    try:
        found = json.loads(
            data.decode("utf-8"),
            object_pairs_hook=_unique,
            parse_int=_saturated if saturate else _integer,
            parse_constant=_no_constant,
        )
    except (ValueError, RecursionError) as error:
        raise ModelError(f"{what} is not sound JSON: {_reason(error)}", hint=DAMAGED) from error
    if not isinstance(found, dict):
        raise ModelError(f"{what} is a JSON {type(found).__name__}, expected an object", hint=DAMAGED)
    return found


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise ValueError(f"it holds the key {key[:80]!r} twice")
        found[key] = value
    return found


def _integer(digits: str) -> int:
    if len(digits) > MAX_INTEGER_DIGITS:
        raise ValueError(f"it holds an integer of {len(digits)} digits, more than {MAX_INTEGER_DIGITS}")
    return int(digits)


def _saturated(digits: str) -> int | float:
    return int(digits) if len(digits) <= MAX_INTEGER_DIGITS else math.copysign(math.inf, -1 if digits[0] == "-" else 1)


def _no_constant(name: str) -> Any:
    raise ValueError(f"it holds {name}")


def _reason(error: Exception) -> str:
    return "it is nested too deeply" if isinstance(error, RecursionError) else str(error)[:200]
