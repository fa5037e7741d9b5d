"""What a file of metadata must look like before its signatures count.

python-tuf reads JSON as Python does: the last of two equal keys wins, `true` is 1, numbers have any size. None of that
forges a signature; all of it lets two readers of one file see two things, or a small file take much memory. So such
files are refused as a whole. One kind of key is taken, Ed25519, so there is nothing to negotiate; and one public key
under two names would count twice in a threshold, which the specification (section 4.2) leaves to whoever reads.
"""

from __future__ import annotations

import json
import re
from typing import Any

from shoestring.base.canonical import MAX_INTEGER_DIGITS
from shoestring.base.errors import RepositoryError
from shoestring.base.limits import MAX_METADATA_TEXT, MAX_METADATA_VALUES, MAX_ROLE_NAME

COUNTS = {"version": 1, "threshold": 1, "length": 0}
"""Fields that are whole numbers wherever they stand, and the least that each may be."""
SCHEME = ("ed25519", "ed25519")
_PUBLIC = re.compile(r"[0-9a-f]{64}")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_ROLE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]*")


def check_form(what: str, data: bytes) -> None:
    """Refuse what no careful workshop writes.

    Args:
        what: the file, for the message.
        data: its bytes, of which nothing is trusted; no longer than the cap of its role.

    Raises:
        RepositoryError: rule `form`.
    """
    marks = sum(data.count(mark) for mark in b",:[{")
    if marks > MAX_METADATA_VALUES:
        raise RepositoryError(f"{what}: {marks} values, the limit is {MAX_METADATA_VALUES}")

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) != len(pairs):
            raise ValueError("a key stands twice in one object")
        return found

    def integer(digits: str) -> int:
        if len(digits) > MAX_INTEGER_DIGITS:
            raise ValueError(f"an integer of {len(digits)} digits, the limit is {MAX_INTEGER_DIGITS}")
        return int(digits)

    def refused(text: str) -> Any:
        raise ValueError(f"{text[:20]} is not a whole number")

    try:
        value = json.loads(
            data.decode("utf-8"),
            object_pairs_hook=unique,
            parse_int=integer,
            parse_float=refused,
            parse_constant=refused,
        )
        if not isinstance(value, dict) or not isinstance(value.get("signed"), dict):
            raise ValueError("it is not an object with a part that is signed")
        _check(value)
    except (ValueError, RecursionError) as failure:
        raise RepositoryError(f"{what} is not metadata: {failure}") from None


def check_role_name(name: str) -> None:
    """A role's name becomes part of a file's name here and there. Raises RepositoryError, rule `name`."""
    if len(name) > MAX_ROLE_NAME or not _ROLE.fullmatch(name):
        raise RepositoryError(
            f"role name {name[:MAX_ROLE_NAME]!r} is not at most {MAX_ROLE_NAME} letters, digits, dots and dashes",
            rule="name",
        )


def _check(value: Any) -> None:
    """Walk what was parsed, without recursion. Raises ValueError."""
    waiting = [value]
    while waiting:
        item = waiting.pop()
        if isinstance(item, str) and len(item) > MAX_METADATA_TEXT:
            raise ValueError(f"a text of {len(item)} characters, the limit is {MAX_METADATA_TEXT}")
        if isinstance(item, list):
            waiting.extend(item)
        elif isinstance(item, dict):
            _check_counts(item)
            _check_keys(item.get("keys"))
            _check_hashes(item.get("hashes"))
            waiting.extend(item)
            waiting.extend(item.values())


def _check_counts(item: dict[str, Any]) -> None:
    for name, least in COUNTS.items():
        value = item.get(name, least)
        if not isinstance(value, int) or isinstance(value, bool) or value < least:
            if isinstance(value, (dict, list)):  # a role or file of that name, as in a snapshot's table
                continue
            raise ValueError(f"{name} is {value!r:.40}, not a whole number from {least}")


def _check_keys(keys: Any) -> None:
    """A table of public keys by their names: one kind of key, no key twice."""
    if not isinstance(keys, dict):
        return
    seen: set[str] = set()
    for name, key in keys.items():
        if not isinstance(key, dict) or (key.get("keytype"), key.get("scheme")) != SCHEME:
            raise ValueError(f"key {name[:16]} is not of the kind {SCHEME[0]}")
        held = key.get("keyval")
        public = held.get("public") if isinstance(held, dict) else None
        if not isinstance(public, str) or not _PUBLIC.fullmatch(public):
            raise ValueError(f"key {name[:16]} is not 32 bytes in lower-case hexadecimal digits")
        if public in seen:
            raise ValueError(f"the public key {public[:16]} stands twice, and would count twice")
        seen.add(public)


def _check_hashes(hashes: Any) -> None:
    if isinstance(hashes, dict):
        value = hashes.get("sha256")
        if not isinstance(value, str) or not _SHA256.fullmatch(value):
            raise ValueError("a file's hashes hold no SHA-256")
