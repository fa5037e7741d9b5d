"""Keys of Ed25519 (RFC 8032), by the package cryptography.

A key's id is the SHA-256 of its public half as DER SubjectPublicKeyInfo, whose form RFC 8410 fixes to 12 bytes and the
key; so `openssl pkey -pubin -outform DER | sha256sum` gives the same.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from shoestring.base.errors import MissingExtraError, SignatureError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

KEY_BYTES = 32
SIGNATURE_BYTES = 64
MAX_NAME_CHARACTERS = 100  # one line of a table
SHORT_ID = 16  # digits that people compare; 64 bits of a hash
SPKI = bytes.fromhex("302a300506032b6570032100")
_PRIME = 2**255 - 19
_EIGHTH = 2707385501144840649318225287225658788936804267575313519463743609750303402022
_SMALL = frozenset(
    {
        0,
        1,
        _PRIME - 1,
        _EIGHTH,
        _PRIME - _EIGHTH,
    }
)
"""Second coordinates of the eight points whose order divides 8. A signature under such a key says nothing: it can hold
for many messages at once."""


@dataclass(frozen=True)
class PublicKey:
    """The half that everybody may have.

    Args:
        raw: its KEY_BYTES.
        name: of who holds the other half, for people; empty when unknown.

    Raises:
        SignatureError: another length, an odd name, or no key that anybody could sign with.
    """

    raw: bytes
    name: str = ""

    def __post_init__(self) -> None:
        if len(self.raw) != KEY_BYTES:
            raise SignatureError(f"a public key of {len(self.raw)} bytes; one of Ed25519 has {KEY_BYTES}")
        check_name(self.name)
        second = int.from_bytes(self.raw, "little") & (2**255 - 1)
        if second >= _PRIME or second in _SMALL:
            raise SignatureError(
                f"{self.raw.hex()} is a weak public key: signatures under it hold for anything",
                hint="whoever gave it to you made no honest key pair",
            )

    @property
    def der(self) -> bytes:
        """SubjectPublicKeyInfo."""
        return SPKI + self.raw

    @property
    def key_id(self) -> str:
        """64 hexadecimal digits."""
        return hashlib.sha256(self.der).hexdigest()

    @property
    def title(self) -> str:
        """For people: the name, and the beginning of the id."""
        return f"{self.name or 'unnamed'} ({self.key_id[:SHORT_ID]})"

    def holds(self, signature: bytes, message: bytes) -> bool:
        """Whether `signature` is this key's for `message`. The scalar must be reduced: no second form is accepted.

        Raises:
            MissingExtraError: cryptography is not installed.
        """
        try:
            from cryptography.exceptions import InvalidSignature
            from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
        except ImportError:
            raise MissingExtraError("cryptography", "trust") from None
        if len(signature) != SIGNATURE_BYTES:
            return False
        try:
            Ed25519PublicKey.from_public_bytes(self.raw).verify(signature, message)
        except (InvalidSignature, ValueError):  # ValueError: no point of the curve
            return False
        return True


@dataclass(frozen=True, repr=False)
class PrivateKey:
    """The half that signs. It shows nothing of itself when it is printed.

    Args:
        public: its other half.
        inner: the key as cryptography holds it, for libraries that sign by it.
    """

    public: PublicKey
    inner: Ed25519PrivateKey

    def sign(self, message: bytes) -> bytes:
        """SIGNATURE_BYTES; always the same for the same message (RFC 8032, section 5.1.6)."""
        return self.inner.sign(message)

    def __repr__(self) -> str:
        return f"PrivateKey({self.public.title})"


def private_key(inner: Ed25519PrivateKey, name: str = "") -> PrivateKey:
    """A key with its other half."""
    return PrivateKey(PublicKey(inner.public_key().public_bytes_raw(), name), inner)


def generate(name: str = "") -> PrivateKey:
    """A new key from the system's randomness.

    Args:
        name: of who will hold it.

    Raises:
        MissingExtraError: cryptography is not installed.
    """
    check_name(name)
    try:
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    except ImportError:
        raise MissingExtraError("cryptography", "trust") from None
    return private_key(Ed25519PrivateKey.generate(), name)


def check_name(name: str) -> None:
    """One short line that a terminal shows as it is. Raises SignatureError."""
    if len(name) > MAX_NAME_CHARACTERS or not name.isprintable() or name != name.strip():
        raise SignatureError(
            f"a key's name of {len(name)} characters, beginning {name[:20]!r}",
            hint=f"take one line of at most {MAX_NAME_CHARACTERS} printable characters",
        )
