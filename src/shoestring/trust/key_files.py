"""Key files: a public key as PEM with a comment of who, a private one as PKCS#8 that only its owner can read."""

from __future__ import annotations

import os
import re
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from shoestring.base import disk
from shoestring.base.errors import MissingExtraError, SignatureError
from shoestring.trust.keys import KEY_BYTES, SPKI, PrivateKey, PublicKey, private_key
from shoestring.trust.pem import PRIVATE, PUBLIC, SEALED, other_key, parse_pem, pem_text
from shoestring.trust.sealing import seal
from shoestring.trust.small_file import read_small

if TYPE_CHECKING:
    from collections.abc import Callable

    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

MAX_KEY_FILE_BYTES = 16_384  # a key takes some hundred bytes, of RSA some thousand: enough to name that one
PRIVATE_MODE = 0o600
MIN_PASSPHRASE_CHARACTERS = 8  # NIST SP 800-63B, section 5.1.1.1


def public_pem(key: PublicKey) -> str:
    """The text of a public key's file."""
    comment = f"# {key.name}\n" if key.name else ""
    return comment + pem_text(PUBLIC, key.der)


def parse_public(text: str, where: str, name: str = "") -> PublicKey:
    """The public key in a PEM text.

    Args:
        text: one key; a line `# NAME` may stand before it.
        where: it comes from, for messages.
        name: of who holds it, in place of the comment's.

    Raises:
        SignatureError: it is none of Ed25519, and why.
    """
    kind, der = parse_pem(text, where)
    if kind in (PRIVATE, SEALED):
        raise SignatureError(
            f"{where} holds a private key, where a public one is needed",
            hint="give the file that ends in .pub; the private one stays with its owner",
        )
    if kind != PUBLIC or len(der) != len(SPKI) + KEY_BYTES or not der.startswith(SPKI):
        raise other_key(where, kind, der)
    comment = re.search(r"^# (.+)$", text[: text.index("-----BEGIN")], re.MULTILINE)
    return PublicKey(der[len(SPKI) :], name or (comment[1].strip() if comment else ""))


def load_public_key(path: Path) -> PublicKey:
    """The public key in a file.

    Raises:
        StorageError: the file cannot be read.
        SignatureError: as `parse_public`.
    """
    text, _ = _read(Path(path))
    return parse_public(text, str(path))


def save_key_pair(path: Path, key: PrivateKey, passphrase: str | None) -> Path:
    """Write both halves: `path`, which only its owner can read, and `path` with .pub. Nothing is ever overwritten.

    Args:
        path: of the private key's file.
        key: to keep.
        passphrase: at least MIN_PASSPHRASE_CHARACTERS; None keeps it in the open, for machines that sign unattended.

    Returns:
        Path of the public key's file.

    Raises:
        SignatureError: one of the files exists, or the passphrase is too short.
        StorageError: the disk refuses.
    """
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    path = Path(path)
    public = check_free(path)
    if passphrase is not None and len(passphrase) < MIN_PASSPHRASE_CHARACTERS:
        raise SignatureError(
            f"the passphrase has {len(passphrase)} characters, the least is {MIN_PASSPHRASE_CHARACTERS}",
            hint="take several words",
        )
    plain = key.inner.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    text = pem_text(PRIVATE, plain) if passphrase is None else pem_text(SEALED, seal(plain, passphrase.encode()))
    with disk.atomic_file(path, mode=PRIVATE_MODE) as stream:
        stream.write(text.encode())
        check_free(path)  # again, at the last moment: deriving a key takes a while, and the rename would win
    disk.write_text(public, public_pem(key.public))
    return public


def check_free(path: Path) -> Path:
    """Whether a pair of keys can be written to `path` and `path` with .pub; returns the second.

    Raises:
        SignatureError: one of the files exists.
    """
    public = path.with_name(path.name + ".pub")
    for taken in (path, public):
        if os.path.lexists(taken):
            raise SignatureError(
                f"{taken} exists, and a key is never overwritten", hint="name another file, or move that one away"
            )
    return public


def read_secret(path: Path) -> str:
    """Text of a small file that only its owner can read.

    Raises:
        StorageError: it cannot be read.
        SignatureError: others can read it, it is long, or no text.
    """
    text, mode = _read(Path(path))
    _check_mode(path, mode)
    return text


def load_private_key(path: Path, passphrase: Callable[[], str] | None = None) -> PrivateKey:
    """The private key in a file; its name is the one in the file beside it that ends in .pub, where there is one.

    Args:
        path: of the file.
        passphrase: asked for one, if the key is under one.

    Raises:
        MissingExtraError: cryptography is not installed.
        StorageError: the file cannot be read.
        SignatureError: others can read it, the passphrase is wrong, or it holds something else; says which.
    """
    path = Path(path)
    text, mode = _read(path)
    kind, der = parse_pem(text, str(path))
    if kind == PUBLIC:
        raise SignatureError(
            f"{path} holds a public key, where a private one is needed", hint="give the file without .pub"
        )
    if kind not in (PRIVATE, SEALED):
        raise other_key(str(path), kind, der)
    _check_mode(path, mode)
    word = None
    if kind == SEALED:
        if passphrase is None:
            raise SignatureError(f"{path} is under a passphrase, and none was given")
        word = passphrase().encode()
    key = private_key(_loaded(path, der, word))
    return replace(key, public=replace(key.public, name=_name_beside(path, key.public)))


def _check_mode(path: Path, mode: int) -> None:
    if mode & 0o077:
        raise SignatureError(f"others than its owner can read {path} (mode {mode:04o})", hint=f"chmod 600 {path}")


def _loaded(path: Path, der: bytes, passphrase: bytes | None) -> Ed25519PrivateKey:
    try:
        from cryptography.exceptions import UnsupportedAlgorithm
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
        from cryptography.hazmat.primitives.serialization import load_der_private_key
    except ImportError:
        raise MissingExtraError("cryptography", "trust") from None
    try:
        inner = load_der_private_key(der, passphrase)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        if passphrase is None:
            raise SignatureError(f"{path} is damaged: {error}", hint="take the copy that you kept of it") from None
        raise SignatureError(
            f"the passphrase does not open {path}", hint="check it; if it is right, the file is damaged"
        ) from None
    if not isinstance(inner, Ed25519PrivateKey):
        raise other_key(str(path), PRIVATE, der)
    return inner


def _name_beside(path: Path, key: PublicKey) -> str:
    """The name that the public key's file gives, if it is of the same key."""
    beside = path.with_name(path.name + ".pub")
    if not beside.is_file():
        return ""
    found = load_public_key(beside)
    return found.name if found.raw == key.raw else ""


def _read(path: Path) -> tuple[str, int]:
    return read_small(path, MAX_KEY_FILE_BYTES, SignatureError)
