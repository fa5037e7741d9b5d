"""What a signature is, apart from how it is checked."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Signature:
    """One signature of an envelope, with the names that DSSE gives its parts.

    Args:
        keyid: SHA-256 of the signer's public key, 64 lower-case hexadecimal digits. It only says which key to try.
        sig: 64 bytes of Ed25519 in standard base64.
    """

    keyid: str
    sig: str
