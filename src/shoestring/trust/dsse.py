"""Signatures in an envelope of DSSE 1.0 (github.com/secure-systems-lab/dsse, protocol.md and envelope.md).

What is signed is PAE(payload type, payload), so a signature for one kind of document says nothing about another. Where
the standard leaves a choice, one form alone is accepted here: canonical JSON, standard base64, signatures in the order
of their key ids, each with an id, no id twice. So a payload and its signatures have exactly one envelope.
"""

from __future__ import annotations

import base64
import binascii
import re
from itertools import pairwise
from typing import TYPE_CHECKING

import msgspec

from shoestring.base import canonical
from shoestring.base.errors import SignatureError
from shoestring.base.limits import MAX_ENVELOPE_BYTES, MAX_SIGNATURES
from shoestring.domain.signature import Signature
from shoestring.trust.keys import SIGNATURE_BYTES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from shoestring.trust.keys import PrivateKey, PublicKey

_KEY_ID = re.compile(r"[0-9a-f]{64}")


class Envelope(msgspec.Struct, frozen=True):
    """A payload and who signed it, with the standard's names.

    Args:
        payload: standard base64.
        payload_type: what it is.
        signatures: sorted by key id.
    """

    payload: str
    signatures: tuple[Signature, ...]
    payload_type: str = msgspec.field(name="payloadType")


def pae(payload_type: str, payload: bytes) -> bytes:
    """Pre-authentication encoding: the bytes that are signed."""
    kind = payload_type.encode()
    return b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(payload), payload)


def sign(payload_type: str, payload: bytes, keys: Iterable[PrivateKey]) -> tuple[Signature, ...]:
    """One signature by each key."""
    message = pae(payload_type, payload)
    return tuple(Signature(key.public.key_id, base64.b64encode(key.sign(message)).decode()) for key in keys)


def merge(old: Iterable[Signature], new: Iterable[Signature]) -> tuple[Signature, ...]:
    """Both, in order; of two under one key id the new one."""
    by_id = {one.keyid: one for one in (*old, *new)}
    return tuple(by_id[keyid] for keyid in sorted(by_id))


def encode(
    payload_type: str, payload: bytes, signatures: Sequence[Signature], error: Callable[[str], Exception]
) -> bytes:
    """The envelope's only form.

    Args:
        payload_type: what the payload is.
        payload: its bytes.
        signatures: in order.
        error: makes the exception to raise from what is wrong with them.
    """
    check_signatures(signatures, error)
    data = canonical.encode(Envelope(base64.b64encode(payload).decode(), tuple(signatures), payload_type))
    if len(data) > MAX_ENVELOPE_BYTES:
        raise error(f"an envelope of {len(data)} bytes, the limit is {MAX_ENVELOPE_BYTES}")
    return data


def decode(data: bytes, error: Callable[[str], Exception]) -> Envelope:
    """Strict inverse of `encode`; no signature was verified.

    Args:
        data: of the envelope.
        error: makes the exception to raise from what is wrong.
    """
    if len(data) > MAX_ENVELOPE_BYTES:
        raise error(f"an envelope of {len(data)} bytes, the limit is {MAX_ENVELOPE_BYTES}")
    envelope = canonical.decode(data, Envelope, error)
    check_signatures(envelope.signatures, error)
    if _bytes_of(envelope.payload) is None:
        raise error("a payload that is not in standard base64")
    return envelope


def payload_of(envelope: Envelope) -> bytes:
    """The bytes that were put in."""
    return base64.b64decode(envelope.payload)


def check_signatures(signatures: Sequence[Signature], error: Callable[[str], Exception]) -> None:
    """Refuse what is not in the one form: number, order, ids, base64 and length."""
    if not 1 <= len(signatures) <= MAX_SIGNATURES:
        raise error(f"{len(signatures)} signatures, outside 1 to {MAX_SIGNATURES}")
    for one in signatures:
        if not _KEY_ID.fullmatch(one.keyid):
            raise error(f"the key id {one.keyid!r} is not 64 lower-case hexadecimal digits")
        data = _bytes_of(one.sig)
        if data is None or len(data) != SIGNATURE_BYTES:
            raise error(f"the signature of {one.keyid} is not {SIGNATURE_BYTES} bytes in standard base64")
    ids = [one.keyid for one in signatures]
    if any(one >= other for one, other in pairwise(ids)):
        raise error("signatures that are not sorted by key id, or two of one key")


def signers(envelope: Envelope, keys: Iterable[PublicKey]) -> tuple[PublicKey, ...]:
    """Those of `keys` that signed.

    A signature under the id of one of them that does not hold refuses the whole, where the standard would pass over it:
    no honest tool writes one.

    Args:
        envelope: decoded.
        keys: different ones.

    Raises:
        SignatureError: a signature does not hold.
        MissingExtraError: cryptography is not installed.
    """
    known = {key.key_id: key for key in keys}
    message = pae(envelope.payload_type, payload_of(envelope))
    found = []
    for one in envelope.signatures:
        key = known.get(one.keyid)
        if key is None:
            continue
        if not key.holds(base64.b64decode(one.sig), message):
            raise SignatureError(
                f"the signature of {key.title} does not hold",
                hint="the file was changed after it was signed; fetch it again from who made it",
            )
        found.append(key)
    return tuple(found)


def _bytes_of(text: str) -> bytes | None:
    """What standard base64 stands for; None for any other form of it."""
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return None
    return data if base64.b64encode(data).decode() == text else None
