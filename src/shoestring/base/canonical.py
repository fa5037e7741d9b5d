"""Nouns to JSON and back, one byte string for each value.

Encoding sorts keys and leaves no blanks. Decoding accepts only what encoding would have written: after the types are
checked, the value is encoded again and must give the same bytes. Unknown keys, duplicate keys, `1` for `1.0`, NaN and
stray blanks all fail that one test.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")

MAX_INTEGER_DIGITS = 18  # counts and bytes have fewer; all such numbers fit 64 bits and every float conversion


def sha256_hex(data: bytes) -> str:
    """SHA-256 as 64 lower-case hexadecimal digits."""
    return hashlib.sha256(data).hexdigest()


WHEN_SET = {"written": "when set"}
"""Metadata of a field that is None by default, and then not written at all: what was written before the field existed
stays what `encode` would write."""


def plain(value: object) -> Any:
    """Dataclasses, tuples and paths become dicts, lists and strings. NaN and infinity stay for `encode` to refuse."""
    built = msgspec.to_builtins(value, enc_hook=str)
    _leave_out(value, built)
    return built


def encode(value: object) -> bytes:
    """Canonical JSON bytes of a noun. Raises ValueError for NaN or infinity."""
    return json.dumps(plain(value), sort_keys=True, separators=(",", ":"), allow_nan=False, ensure_ascii=False).encode()


def digest(value: object) -> str:
    """SHA-256 of the canonical bytes; the key that caches use."""
    return sha256_hex(encode(value))


def convert(value: object, kind: type[T], error: Callable[[str], Exception]) -> T:
    """Build the noun `kind` from parsed JSON or TOML, with strict types and no unknown key.

    Args:
        value: dicts, lists, strings, numbers.
        kind: a frozen dataclass.
        error: makes the exception to raise from a message that says where and what.
    """
    try:
        noun = msgspec.convert(value, kind, strict=True)
    except msgspec.ValidationError as failure:
        raise error(str(failure)) from None
    _settle_defaults(noun)
    unknown = _unknown_key(value, plain(noun), "")
    if unknown is not None:
        raise error(f"unknown key {unknown!r}")
    return noun


def decode(data: bytes, kind: type[T], error: Callable[[str], Exception]) -> T:
    """Strict inverse of `encode`: the only bytes accepted are those that `encode` writes for the result."""

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for key, value in pairs:
            if key in found:
                raise error(f"duplicate key {key!r}")
            found[key] = value
        return found

    def integer(digits: str) -> int:
        if len(digits) > MAX_INTEGER_DIGITS:
            raise error(f"an integer of {len(digits)} digits, the limit is {MAX_INTEGER_DIGITS}")
        return int(digits)

    def no_constant(name: str) -> Any:
        raise error(f"{name} is not a number we accept")

    try:
        text = data.decode("utf-8")
        parsed = json.loads(text, object_pairs_hook=unique, parse_constant=no_constant, parse_int=integer)
    except (ValueError, RecursionError) as failure:
        raise error(f"not JSON: {failure}") from None
    noun = convert(parsed, kind, error)
    try:
        same = encode(noun) == data
    except ValueError as failure:  # 1e999 is parsed as infinity, and half a surrogate pair as a string
        raise error(f"holds a number or text that JSON cannot hold: {failure}") from None
    if not same:
        raise error("not in canonical form (key order, blanks or number format)")
    return noun


def _settle_defaults(value: object) -> None:
    """Store defaults in the nouns themselves: msgspec leaves them to the class, and would not write them out again."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        for field in dataclasses.fields(value):
            held = getattr(value, field.name)
            object.__setattr__(value, field.name, held)
            _settle_defaults(held)
    elif isinstance(value, dict):
        _settle_defaults(tuple(value.values()))
    elif isinstance(value, (list, tuple)) and value and not isinstance(value[0], (str, int, float)):
        for item in value:
            _settle_defaults(item)


def _leave_out(value: object, built: Any) -> None:
    """Drop what is written only when set."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        for field in dataclasses.fields(value):
            held = getattr(value, field.name)
            if held is None and field.metadata == WHEN_SET:
                del built[field.name]
            else:
                _leave_out(held, built[field.name])
    elif isinstance(value, Mapping):
        for key, held in value.items():
            if isinstance(key, str) and not isinstance(held, (str, int, float)):
                _leave_out(held, built[key])
    elif isinstance(value, (list, tuple)) and value and not isinstance(value[0], (str, int, float)):
        for held, inner in zip(value, built, strict=True):
            _leave_out(held, inner)


def _unknown_key(given: object, known: object, where: str) -> str | None:
    if isinstance(given, dict) and isinstance(known, dict):
        for key, value in given.items():
            if key not in known:
                return f"{where}{key}"
            found = _unknown_key(value, known[key], f"{where}{key}.")
            if found is not None:
                return found
    if isinstance(given, list) and isinstance(known, (list, tuple)):
        for i, (one, other) in enumerate(zip(given, known, strict=False)):
            found = _unknown_key(one, other, f"{where}{i}.")
            if found is not None:
                return found
    return None
