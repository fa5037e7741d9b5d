"""Who is trusted: some public keys, and how many of them must have signed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from shoestring.base.errors import DataError, SignatureError
from shoestring.base.opens import open_within
from shoestring.base.toml import read_toml
from shoestring.trust.dsse import signers
from shoestring.trust.key_files import MAX_KEY_FILE_BYTES, load_public_key, parse_public
from shoestring.trust.keys import PublicKey

if TYPE_CHECKING:
    from shoestring.trust.dsse import Envelope

_WORDS = {int: "a whole number", str: "text", list: "a list of tables"}
MAX_KEYS = 64  # a policy is read by people
MAX_POLICY_BYTES = 128 * 1024  # MAX_KEYS keys with names, many times over


@dataclass(frozen=True)
class Policy:
    """Trusted keys.

    Args:
        keys: 1 to MAX_KEYS different ones; two names do not make two of one key.
        threshold: how many of them must have signed, 1 to all.

    Raises:
        SignatureError: outside these.
    """

    keys: tuple[PublicKey, ...]
    threshold: int = 1

    def __post_init__(self) -> None:
        if not 1 <= len(self.keys) <= MAX_KEYS:
            raise SignatureError(f"a policy of {len(self.keys)} keys, outside 1 to {MAX_KEYS}")
        seen: dict[str, PublicKey] = {}
        for key in self.keys:
            if key.key_id in seen:
                raise SignatureError(
                    f"a policy names one key twice, as {seen[key.key_id].title} and {key.title}",
                    hint="a threshold counts keys, so each must be another person's",
                )
            seen[key.key_id] = key
        if not 1 <= self.threshold <= len(self.keys):
            raise SignatureError(f"a threshold of {self.threshold} with {len(self.keys)} keys: no honest choice")

    def check(self, envelope: Envelope | None) -> tuple[str, ...]:
        """Ids of the trusted keys that signed, in order.

        Args:
            envelope: decoded, its payload already held against what it speaks of; None: there is none.

        Raises:
            SignatureError: fewer than `threshold` of the keys signed, or a signature does not hold. Says who signed
                and who is missing.
            MissingExtraError: cryptography is not installed.
        """
        found = () if envelope is None else signers(envelope, self.keys)
        if len({key.key_id for key in found}) >= self.threshold:
            return tuple(key.key_id for key in found)
        missing = [key.title for key in self.keys if key not in found]
        signed = ", ".join(key.title for key in found)
        if envelope is None:
            what = "it is not signed"
        elif not found:
            ids = ", ".join(one.keyid[:16] for one in envelope.signatures)
            what = f"it is signed by nobody who is trusted (keys {ids})"
        else:
            what = f"of those who are trusted it is signed by {signed} alone"
        raise SignatureError(
            f"{what}; {self.threshold} of {len(self.keys)} trusted keys must sign, missing: {', '.join(missing)}",
            hint="shoestring sign BUNDLE --key KEY adds a signature",
        )


def load_policy(path: Path) -> Policy:
    """The policy in a TOML file.

    It says `threshold = 2`, and of each key in a table `[[key]]` its `pem`, or a `file` beside it, and its `name`.

    Args:
        path: of the file.

    Raises:
        SignatureError: it cannot be read, holds anything else, or its keys make no policy.
    """
    path = Path(path)

    def refuse(reason: str) -> DataError:
        return DataError(f"{path} {reason}")

    try:
        held = read_toml(path, MAX_POLICY_BYTES, refuse)
    except DataError as error:
        raise SignatureError(error.message, hint="see docs/signing.md for an example") from None
    _closed(path, "the file", held, {"threshold": int, "key": list})
    tables = held.get("key", [])
    if len(tables) > MAX_KEYS:
        raise SignatureError(f"{path} names {len(tables)} keys, the limit is {MAX_KEYS}")
    return Policy(tuple(_key(path, i, table) for i, table in enumerate(tables, 1)), held.get("threshold", 1))


def _key(path: Path, number: int, table: Any) -> PublicKey:
    where = f"key {number}"
    _closed(path, where, table, {"name": str, "pem": str, "file": str})
    if ("pem" in table) == ("file" in table):
        raise SignatureError(f"{path}: {where} needs either pem or file")
    text = table["pem"] if "pem" in table else _beside(path, table["file"])
    return parse_public(text, f"{path}: {where}", table.get("name", ""))


def _beside(path: Path, name: str) -> str:
    try:
        with open_within(path.parent, name) as stream:
            return stream.read(MAX_KEY_FILE_BYTES).decode("utf-8")
    except DataError as error:
        raise SignatureError(f"{path}: {error.message}", hint=error.hint) from None
    except (OSError, UnicodeDecodeError) as error:
        raise SignatureError(f"{path}: cannot read {name!r}: {error}") from None


def _closed(path: Path, where: str, table: Any, kinds: Mapping[str, type]) -> None:
    """A table with these keys alone, of these types."""
    if not isinstance(table, dict):
        raise SignatureError(f"{path}: {where} is no table")
    for name, value in table.items():
        if name not in kinds:
            raise SignatureError(f"{path}: {where} has the unknown key {name!r}", hint=f"known: {', '.join(kinds)}")
        if type(value) is not kinds[name]:
            raise SignatureError(f"{path}: {name} of {where} is {value!r}, not {_WORDS[kinds[name]]}")


def policy_of(files: tuple[Path, ...], threshold: int | None = None) -> Policy:
    """A policy of public key files.

    Args:
        files: of keys.
        threshold: how many must have signed; None: all of them.

    Raises:
        StorageError: a file cannot be read.
        SignatureError: it holds no key, or they make no policy.
    """
    keys = tuple(load_public_key(path) for path in files)
    return Policy(keys, len(keys) if threshold is None else threshold)
