"""The age format written and read from its specification (https://c2sp.org/age), with `cryptography` alone.

A second implementation, so that what the library writes is held against the format and not against itself.
"""

from __future__ import annotations

import base64
import contextlib
import hmac
import secrets
from dataclasses import dataclass
from functools import partial
from itertools import pairwise

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

CHUNK, TAG = 64 * 1024, 16
ALPHABET = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"
STEPS = (0x3B6A57B2, 0x26508E6D, 0x1EA119FA, 0x3D4233DD, 0x2A1462B3)


@dataclass(frozen=True)
class Pair:
    """A key pair as its two texts.

    Args:
        secret: `AGE-SECRET-KEY-1...`.
        recipient: `age1...`.
    """

    secret: str
    recipient: str


def pair() -> Pair:
    """A new key pair."""
    raw = secrets.token_bytes(32)
    return Pair(bech32("age-secret-key-", raw).upper(), bech32("age", _public(raw)))


def seal(content: bytes, recipients: list[str]) -> bytes:
    """An age file of `content`."""
    file_key, lines = secrets.token_bytes(16), [b"age-encryption.org/v1"]
    for recipient in recipients:
        once, public = secrets.token_bytes(32), unbech32(recipient)
        share = _public(once)
        wrapped = ChaCha20Poly1305(_wrapping(once, public, share + public)).encrypt(bytes(12), file_key, None)
        lines += [b"-> X25519 " + _text(share), _text(wrapped)]
    head = b"\n".join([*lines, b"---"])
    nonce = secrets.token_bytes(16)
    box = ChaCha20Poly1305(_derived(file_key, nonce, b"payload"))
    pieces = [content[at : at + CHUNK] for at in range(0, len(content), CHUNK)] or [b""]
    sealed = [box.encrypt(_nonce(i, i == len(pieces) - 1), piece, None) for i, piece in enumerate(pieces)]
    return head + b" " + _text(_mac(file_key, head)) + b"\n" + nonce + b"".join(sealed)


def unseal(data: bytes, secret: str, *, careless: bool = False) -> bytes:
    """The content of an age file for the holder of `secret`.

    Args:
        data: the file.
        secret: of one of its recipients.
        careless: believe everything: deciphers without looking at a tag or at the header's checksum.

    Raises:
        ValueError: it is not for this key.
        InvalidTag: a chunk was changed.
    """
    head, _, rest = data.partition(b"\n--- ")
    mac, _, payload = rest.partition(b"\n")
    head += b"\n---"
    file_key = _file_key(head, unbech32(secret.lower()))
    if not careless and _text(_mac(file_key, head)) != mac:
        raise ValueError("the header was changed")
    key = _derived(file_key, payload[:16], b"payload")
    pieces = [payload[at : at + CHUNK + TAG] for at in range(16, len(payload), CHUNK + TAG)]
    nonces = [_nonce(i, i == len(pieces) - 1) for i in range(len(pieces))]
    if careless:
        return b"".join(map(partial(_deciphered, key), nonces, pieces))
    box = ChaCha20Poly1305(key)
    return b"".join(box.decrypt(nonce, piece, None) for nonce, piece in zip(nonces, pieces, strict=True))


def _file_key(head: bytes, raw: bytes) -> bytes:
    for line, body in pairwise(head.split(b"\n")):
        if line.startswith(b"-> X25519 "):
            share = base64.b64decode(line.split()[2] + b"=")
            box = ChaCha20Poly1305(_wrapping(raw, share, share + _public(raw)))
            with contextlib.suppress(InvalidTag):  # of another recipient
                return box.decrypt(bytes(12), base64.b64decode(body + b"="), None)
    raise ValueError("not for this key")


def _deciphered(key: bytes, nonce: bytes, piece: bytes) -> bytes:
    """RFC 8439: the stream of the content begins at block 1."""
    cipher = Cipher(algorithms.ChaCha20(key, (1).to_bytes(4, "little") + nonce), mode=None)
    return cipher.decryptor().update(piece[:-TAG])


def bech32(kind: str, raw: bytes) -> str:
    """BIP 173."""
    bits = "".join(f"{byte:08b}" for byte in raw)
    bits += "0" * (-len(bits) % 5)
    values = [int(bits[at : at + 5], 2) for at in range(0, len(bits), 5)]
    spread = [ord(one) >> 5 for one in kind] + [0] + [ord(one) & 31 for one in kind]
    rest = _polymod([*spread, *values, *[0] * 6]) ^ 1
    values += [(rest >> 5 * (5 - i)) & 31 for i in range(6)]
    return kind + "1" + "".join(ALPHABET[value] for value in values)


def unbech32(text: str) -> bytes:
    """The content; the checksum is the library's to hold."""
    bits = "".join(f"{ALPHABET.index(one):05b}" for one in text.rpartition("1")[2][:-6])
    return bytes(int(bits[at : at + 8], 2) for at in range(0, len(bits) - 7, 8))


def _polymod(values: list[int]) -> int:
    sum_ = 1
    for value in values:
        top, sum_ = sum_ >> 25, (sum_ & 0x1FFFFFF) << 5 ^ value
        for i, step in enumerate(STEPS):
            sum_ ^= step if top >> i & 1 else 0
    return sum_


def _public(raw: bytes) -> bytes:
    return X25519PrivateKey.from_private_bytes(raw).public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)


def _wrapping(own: bytes, theirs: bytes, salt: bytes) -> bytes:
    shared = X25519PrivateKey.from_private_bytes(own).exchange(X25519PublicKey.from_public_bytes(theirs))
    return _derived(shared, salt, b"age-encryption.org/v1/X25519")


def _derived(key: bytes, salt: bytes, what: bytes) -> bytes:
    return HKDF(hashes.SHA256(), 32, salt or None, what).derive(key)


def _mac(file_key: bytes, head: bytes) -> bytes:
    return hmac.digest(_derived(file_key, b"", b"header"), head, "sha256")


def _nonce(number: int, last: bool) -> bytes:
    return number.to_bytes(11, "big") + bytes([last])


def _text(raw: bytes) -> bytes:
    return base64.b64encode(raw).rstrip(b"=")
