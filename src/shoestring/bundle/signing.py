"""Sign a bundle, take signatures off, and hold them against a policy."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from shoestring.base import canonical, disk
from shoestring.base.errors import SignatureError
from shoestring.bundle.envelope import envelope_bytes, statement_of
from shoestring.bundle.opening import open_bundle
from shoestring.bundle.packing import write_archive
from shoestring.bundle.verifying import verify
from shoestring.trust import dsse
from shoestring.trust.statement import PAYLOAD_TYPE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from shoestring.bundle.opening import Bundle
    from shoestring.domain.signature import Signature
    from shoestring.trust.keys import PrivateKey
    from shoestring.trust.policy import Policy


@dataclass(frozen=True)
class Signed:
    """A bundle that was written.

    Args:
        sha256: of the file.
        key_ids: of everybody who signed it, in order.
    """

    sha256: str
    key_ids: tuple[str, ...]


def sign_bundle(path: Path, keys: Sequence[PrivateKey], out: Path | None = None) -> Signed:
    """Add signatures to a bundle; those it has stay. Signing again with a key changes nothing.

    Args:
        path: of the bundle.
        keys: to sign with, at least one.
        out: bundle to write; None: `path` itself. Whole or not at all.

    Raises:
        BundleError: it is not sound, or would have too many signatures.
        SignatureError: no key was given.
        StorageError: it cannot be read, or the new one not be written.
    """
    if not keys:
        raise SignatureError("nobody signs: no key was given", hint="shoestring keygen -o KEY makes one")
    path = Path(path)
    with open_bundle(path) as bundle:
        payload = statement_of(bundle.manifest, canonical.encode(bundle.manifest))
        signatures = dsse.merge(bundle.signatures, dsse.sign(PAYLOAD_TYPE, payload, keys))
        return _write(bundle, signatures, path if out is None else Path(out))


def strip_signatures(path: Path, out: Path | None = None) -> Signed:
    """Write the bundle as it was before anybody signed it.

    Args:
        path: of the bundle.
        out: bundle to write; None: `path` itself.

    Raises:
        BundleError, StorageError: as `sign_bundle`.
    """
    path = Path(path)
    with open_bundle(path) as bundle:
        return _write(bundle, (), path if out is None else Path(out))


def check_signatures(bundle: Bundle, policy: Policy) -> tuple[str, ...]:
    """Ids of the trusted keys that signed an open bundle.

    What was signed is the manifest that `bundle` was verified by: opening it compared the statement with it, so
    nothing of it is read again here.

    Args:
        bundle: open.
        policy: who is trusted.

    Raises:
        SignatureError: fewer of the trusted keys signed than the policy asks for, or a signature does not hold.
        MissingExtraError: cryptography is not installed.
    """
    try:
        return policy.check(bundle.envelope)
    except SignatureError as error:
        raise SignatureError(f"{bundle.path}: {error.message}", hint=error.hint) from None


def _write(bundle: Bundle, signatures: Sequence[Signature], out: Path) -> Signed:
    manifest = bundle.manifest
    text = canonical.encode(manifest)
    envelope = envelope_bytes(manifest, text, signatures)
    with disk.atomic_file(out) as stream:
        write_archive(
            stream, manifest, text, bundle.crcs, lambda blob: bundle.stored_chunks(blob.sha256), envelope=envelope
        )
        size = stream.tell()
        stream.seek(0)
        sha256 = verify(stream, size).sha256  # the disk may have changed under us: what was written must open
    return Signed(sha256, tuple(one.keyid for one in signatures))
