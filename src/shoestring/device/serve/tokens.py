"""Bearer tokens (RFC 6750). The server knows only their SHA-256.

A token is 256 random bits, so a fast hash is enough: there is nothing to guess. Passwords would need a slow one.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING

from shoestring.base.errors import StorageError, UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

VARIABLE = "SHOESTRING_TOKEN"
"""Of the environment, for one token as it is."""
MIN_CHARACTERS = 32
MAX_TOKENS = 100
MAX_FILE_BYTES = 64 * 1024
_LINE = re.compile(r"^([A-Za-z0-9_.-]{1,40}) ([0-9a-f]{64})$")


@dataclass(frozen=True)
class Token:
    """Somebody who may ask.

    Args:
        name: for people and for limits.
        sha256: of the token, hexadecimal.
    """

    name: str
    sha256: str


def make_token(name: str) -> tuple[str, str]:
    """A new token, and the line for the file of tokens. The token itself is shown once and stored nowhere.

    Raises:
        UsageError: the name has other characters than letters, digits, `_`, `.` and `-`, or more than 40.
    """
    token = secrets.token_urlsafe(32)
    line = f"{name} {_digest(token.encode())}"
    if _LINE.match(line) is None:
        raise UsageError(f"{name!r} cannot name a token", hint="at most 40 of letters, digits, '_', '.' and '-'")
    return token, line


def read_tokens(path: Path | None, environment: Mapping[str, str]) -> tuple[Token, ...]:
    """Tokens of a file, one `NAME SHA256` a line, `#` starts a comment; then that of the environment.

    Raises:
        StorageError: the file cannot be read.
        UsageError: a line is none of these, a name comes twice, or the token of the environment is short.
    """
    found: dict[str, Token] = {}
    for number, line in enumerate(_lines(path), start=1):
        words = line.partition("#")[0].strip()
        if not words:
            continue
        match = _LINE.match(words)
        if match is None:
            raise UsageError(f"line {number} of {path} is not `NAME SHA256`", hint="write it with --new-token NAME")
        if match[1] in found:
            raise UsageError(f"{path} names {match[1]!r} twice", hint="give each token a name of its own")
        found[match[1]] = Token(match[1], match[2])
    plain = environment.get(VARIABLE)
    if plain is not None:
        if len(plain) < MIN_CHARACTERS:
            raise UsageError(
                f"{VARIABLE} has {len(plain)} characters, at least {MIN_CHARACTERS} are needed",
                hint="take a random one: --new-token NAME",
            )
        found["environment"] = Token("environment", _digest(plain.encode()))
    if len(found) > MAX_TOKENS:
        raise UsageError(f"there are {len(found)} tokens, the limit is {MAX_TOKENS}")
    return tuple(found.values())


def who(tokens: tuple[Token, ...], authorization: bytes | None) -> str | None:
    """The name that belongs to an `Authorization` header, or None.

    Every token is compared, in constant time, whichever fits: the time tells nothing.
    """
    scheme, _, presented = (authorization or b"").partition(b" ")
    digest = _digest(presented.strip()).encode()
    name = None
    for token in tokens:
        if hmac.compare_digest(token.sha256.encode(), digest):
            name = token.name
    return name if scheme.lower() == b"bearer" else None


def _digest(token: bytes) -> str:
    return hashlib.sha256(token).hexdigest()


def _lines(path: Path | None) -> list[str]:
    if path is None:
        return []
    try:
        with path.open("rb") as stream:
            data = stream.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        raise StorageError(f"cannot read {path}: {error.strerror or error}", hint="check the path") from error
    if len(data) > MAX_FILE_BYTES:
        raise UsageError(f"{path} has more than {MAX_FILE_BYTES} bytes", hint="it holds one short line a token")
    return data.decode("utf-8", errors="replace").splitlines()
