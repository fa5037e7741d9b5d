"""The first thing read from a delta."""

from __future__ import annotations

from dataclasses import dataclass, field

from shoestring.base.canonical import WHEN_SET
from shoestring.domain.signature import Signature

DELTA_FORMAT = 1


@dataclass(frozen=True)
class Part:
    """One file of the new bundle that the old one does not hold as it is.

    Args:
        sha256: of its content; the first part is the new manifest, then blobs in the order of the bundle.
        kind: `patch`: steps from `base`, or from nothing, give the content, and it is stored as the manifest says.
            `stored`: the bytes as they lie in the new bundle.
        base: hash of a blob, or of the manifest, of the old bundle; None: from nothing.
        content_bytes: of its content.
        crc32: in its record of the archive.
        size_bytes: of the part's data in the delta.
        data_sha256: of these data.
    """

    sha256: str
    kind: str
    base: str | None
    content_bytes: int
    crc32: int
    size_bytes: int
    data_sha256: str


@dataclass(frozen=True)
class Delta:
    """Closed schema, like the manifest's.

    Args:
        format: DELTA_FORMAT.
        created_by: project and version.
        zlib: version that makes the stored forms; another one may write other bytes, and is then refused.
        old_sha256: of the bundle that it starts from.
        new_sha256: of the bundle that it gives.
        parts: in the order of their data.
        signatures: of the new bundle; None: it is not signed. What they sign follows from its manifest.
    """

    format: int
    created_by: str
    zlib: str
    old_sha256: str
    new_sha256: str
    parts: tuple[Part, ...]
    signatures: tuple[Signature, ...] | None = field(default=None, metadata=WHEN_SET)
