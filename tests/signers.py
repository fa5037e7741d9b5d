"""People who sign in tests: keys that are the same in every run, and bundles that they signed."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from shoestring.bundle.envelope import envelope_bytes, statement_of
from shoestring.bundle.layout import SIGNATURES_NAME
from shoestring.trust import dsse
from shoestring.trust.keys import PrivateKey, private_key
from shoestring.trust.policy import Policy
from shoestring.trust.statement import PAYLOAD_TYPE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from shoestring.domain.manifest import Manifest


def signer(name: str) -> PrivateKey:
    """The key of this person."""
    return private_key(Ed25519PrivateKey.from_private_bytes(hashlib.sha256(name.encode()).digest()), name)


ADA, BOB, EVE = signer("Ada"), signer("Bob"), signer("Eve")


def trusting(*people: PrivateKey, threshold: int = 1) -> Policy:
    """A policy of these people."""
    return Policy(tuple(one.public for one in people), threshold)


def signatures_entry(manifest: Manifest, text: bytes, people: Sequence[PrivateKey]) -> tuple[str, bytes]:
    """Name and content of the entry that a properly signed bundle ends with."""
    signatures = dsse.merge((), dsse.sign(PAYLOAD_TYPE, statement_of(manifest, text), people))
    data = envelope_bytes(manifest, text, signatures)
    assert data is not None
    return SIGNATURES_NAME, data
