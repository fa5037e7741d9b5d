"""One key in PEM (RFC 7468), strictly: one block, standard base64, and a name for what is no key of Ed25519."""

from __future__ import annotations

import base64
import binascii
import re

from shoestring.base.errors import SignatureError

PUBLIC, PRIVATE, SEALED = "PUBLIC KEY", "PRIVATE KEY", "ENCRYPTED PRIVATE KEY"
_BEGIN = re.compile(r"^-----BEGIN ([A-Z0-9 ]+)-----\s*$", re.MULTILINE)
_OTHERS = {
    bytes.fromhex("2a864886f70d010101"): "RSA",
    bytes.fromhex("2a8648ce3d0201"): "ECDSA",
    bytes.fromhex("06032b6571"): "Ed448",
    bytes.fromhex("06032b656e"): "X25519",
}


def pem_text(kind: str, der: bytes) -> str:
    """The block of this label, in lines of 64 characters."""
    text = base64.b64encode(der).decode()
    lines = [text[i : i + 64] for i in range(0, len(text), 64)]
    return "\n".join([f"-----BEGIN {kind}-----", *lines, f"-----END {kind}-----", ""])


def parse_pem(text: str, where: str) -> tuple[str, bytes]:
    """Label and content of the one block in `text`.

    Args:
        text: of a file.
        where: it comes from, for messages.

    Raises:
        SignatureError: there is none, or more than one, or it is damaged.
    """
    begins = _BEGIN.findall(text)
    if len(begins) != 1:
        found = "no" if not begins else str(len(begins))
        raise SignatureError(f"{where} holds {found} PEM blocks, one key is needed", hint="shoestring keygen -o KEY")
    kind = begins[0]
    _, _, rest = text.partition(f"-----BEGIN {kind}-----")
    body, end, _ = rest.partition(f"-----END {kind}-----")
    try:
        der = base64.b64decode("".join(body.split()), validate=True)
    except (binascii.Error, ValueError):
        der = b""
    if not end or not der:
        raise SignatureError(f"{where} is truncated or damaged: its {kind} does not end well", hint="copy it again")
    return kind, der


def other_key(where: str, kind: str, der: bytes) -> SignatureError:
    """The error that names what was found in place of a key of Ed25519."""
    named = next((name for mark, name in _OTHERS.items() if mark in der[:64]), None)
    what = f"a key of {named}" if named else f"a {kind.lower()} that is not of Ed25519"
    return SignatureError(f"{where} holds {what}; only Ed25519 is used here", hint="shoestring keygen -o KEY makes one")
