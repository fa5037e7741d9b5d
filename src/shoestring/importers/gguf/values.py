"""The metadata of a GGUF file: typed values by key. Long lists are measured and passed over, not held.

Types and layout: docs/gguf.md of github.com/ggml-org/ggml.
"""

from __future__ import annotations

import math

from shoestring.base.errors import ModelError
from shoestring.base.limits import MAX_METADATA_KEPT, MAX_METADATA_KEYS, MAX_METADATA_TEXT_BYTES
from shoestring.domain.weights import LongList, Metadata
from shoestring.importers.gguf.cursor import DAMAGED, Cursor

STRING, ARRAY, BOOL, UINT32 = 8, 9, 7, 4
# number -> name, code of struct
SCALARS = {
    0: ("UINT8", "B"), 1: ("INT8", "b"), 2: ("UINT16", "H"), 3: ("INT16", "h"), 4: ("UINT32", "I"), 5: ("INT32", "i"),
    6: ("FLOAT32", "f"), 7: ("BOOL", "B"), 10: ("UINT64", "Q"), 11: ("INT64", "q"), 12: ("FLOAT64", "d"),
}  # fmt: skip
SIZES = {"B": 1, "b": 1, "H": 2, "h": 2, "I": 4, "i": 4, "f": 4, "Q": 8, "q": 8, "d": 8}
MAX_KEY_BYTES = 65_535  # docs/gguf.md
_LEAST_PAIR_BYTES = 8 + 1 + 4 + 1  # a key of one letter, its type, and a value of one byte
_LENGTH_BYTES = 8


def read_metadata(cursor: Cursor, count: int) -> tuple[dict[str, Metadata], dict[str, int]]:
    """All pairs.

    Returns:
        Values by key, and the number of each one's type.

    Raises:
        ModelError: a key twice, an unknown type, a list of lists, or what does not fit into the file.
    """
    found: dict[str, Metadata] = {}
    kinds: dict[str, int] = {}
    for index in range(count):
        key = cursor.text(f"key {index} of the metadata", MAX_KEY_BYTES)
        if not key or not key.isprintable():
            raise ModelError(f"key {index} of the metadata is {key[:80]!r}", hint=DAMAGED)
        if key in found:
            raise ModelError(f"the metadata hold {key[:80]!r} twice", hint=DAMAGED)
        kinds[key] = int(cursor.number("I", f"the type of {key[:80]!r}"))
        found[key] = _value(cursor, kinds[key], f"{key[:80]!r}")
    return found, kinds


def pairs(cursor: Cursor) -> int:
    """How many pairs the file states. Raises ModelError when they cannot fit."""
    return cursor.count("keys of metadata", _LEAST_PAIR_BYTES, MAX_METADATA_KEYS)


def _value(cursor: Cursor, kind: int, what: str) -> Metadata:
    if kind == STRING:
        return cursor.text(what, MAX_METADATA_TEXT_BYTES)
    if kind == ARRAY:
        return _list(cursor, what)
    return _scalar(cursor, kind, what)


def _scalar(cursor: Cursor, kind: int, what: str) -> int | float | bool:
    if kind not in SCALARS:
        raise ModelError(f"{what} has the type number {kind}, which is not known", hint=DAMAGED)
    value = cursor.number(SCALARS[kind][1], what)
    if kind == BOOL:
        if value not in (0, 1):
            raise ModelError(f"{what} is a truth value of {value}", hint=DAMAGED)
        return bool(value)
    if not math.isfinite(value):
        raise ModelError(f"{what} is {value}", hint=DAMAGED)
    return value


def _list(cursor: Cursor, what: str) -> LongList:
    kind = int(cursor.number("I", f"the type of the elements of {what}"))
    if kind == ARRAY:
        raise ModelError(f"{what} is a list of lists, which no model has use for", hint=DAMAGED)
    if kind != STRING and kind not in SCALARS:
        raise ModelError(f"{what} is a list of the type number {kind}, which is not known", hint=DAMAGED)
    name, size = ("STRING", _LENGTH_BYTES) if kind == STRING else (SCALARS[kind][0], SIZES[SCALARS[kind][1]])
    count = cursor.count(f"elements of {what}", size, cursor.left)
    offset = cursor.at
    first: list[str | int | float | bool] = []
    for _ in range(min(count, MAX_METADATA_KEPT)):
        # Words of a vocabulary may be half a letter, so they are shown as far as they are text.
        first.append(_word(cursor, what) if kind == STRING else _scalar(cursor, kind, f"an element of {what}"))
    if kind != STRING:
        cursor.skip((count - len(first)) * size, what)
    else:
        for _ in range(count - len(first)):
            cursor.skip(int(cursor.number("Q", f"a length in {what}")), f"a text in {what}")
    return LongList(name, count, tuple(first), offset, cursor.at - offset)


def _word(cursor: Cursor, what: str) -> str:
    size = int(cursor.number("Q", f"a length in {what}"))
    if size > MAX_METADATA_TEXT_BYTES:
        raise ModelError(f"a text in {what} has {size:,} bytes, more than {MAX_METADATA_TEXT_BYTES:,}", hint=DAMAGED)
    return cursor.take(size, f"a text in {what}").decode("utf-8", "replace")
