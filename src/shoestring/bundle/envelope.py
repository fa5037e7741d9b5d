"""The last entry of a signed bundle: `signatures.json`, an envelope whose payload follows from the manifest.

Nothing here verifies a signature: who is trusted is for `bundle.signing` and a policy to say. But an envelope that
speaks of another bundle, or has another form than ours, is refused when the bundle is opened, as all else is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from shoestring.base import canonical
from shoestring.bundle.layout import MANIFEST_NAME
from shoestring.bundle.refusal import refuse
from shoestring.trust import dsse
from shoestring.trust.statement import PAYLOAD_TYPE, statement

if TYPE_CHECKING:
    from collections.abc import Sequence

    from shoestring.base.errors import BundleError
    from shoestring.domain.manifest import Manifest
    from shoestring.domain.signature import Signature
    from shoestring.trust.dsse import Envelope


def statement_of(manifest: Manifest, text: bytes) -> bytes:
    """What is signed about the bundle with this manifest.

    Args:
        manifest: sound.
        text: its canonical bytes.
    """
    return statement(manifest, MANIFEST_NAME, canonical.sha256_hex(text))


def envelope_bytes(manifest: Manifest, text: bytes, signatures: Sequence[Signature]) -> bytes | None:
    """The entry's content; None without signatures: then there is no entry.

    Raises:
        BundleError: too many, or not in the one form, or the statement is too long.
    """
    return dsse.encode(PAYLOAD_TYPE, statement_of(manifest, text), signatures, _refuse) if signatures else None


def parse_envelope(data: bytes, manifest: Manifest, text: bytes) -> Envelope:
    """The envelope in `data`, of this very bundle.

    Raises:
        BundleError: it has another form, another payload type, or speaks of another bundle.
    """
    envelope = dsse.decode(data, _refuse)
    if envelope.payload_type != PAYLOAD_TYPE:
        raise _refuse(f"a payload of type {envelope.payload_type!r}, not {PAYLOAD_TYPE!r}")
    if dsse.payload_of(envelope) != statement_of(manifest, text):
        raise _refuse("its statement is not the one that belongs to this manifest: it was signed for another bundle")
    return envelope


def _refuse(reason: str) -> BundleError:
    return refuse(f"signatures: {reason}")
