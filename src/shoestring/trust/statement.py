"""What is signed about a bundle: an in-toto Statement v1 (github.com/in-toto/attestation, spec/v1/statement.md).

Its subject is the manifest by its hash, and the manifest names every other byte of the bundle by hash. The predicate
repeats what people ask of a signature without opening the bundle. All of it follows from the manifest and there is no
time stamp, so everybody who signs a bundle signs the same bytes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from shoestring.base import canonical

if TYPE_CHECKING:
    from shoestring.domain.manifest import Manifest

PAYLOAD_TYPE = "application/vnd.in-toto+json"
STATEMENT_TYPE = "https://in-toto.io/Statement/v1"
PREDICATE_TYPE = "urn:shoestring:bundle:1"


def statement(manifest: Manifest, subject: str, sha256: str) -> bytes:
    """Canonical bytes of the statement.

    Args:
        manifest: of the bundle.
        subject: name of the manifest's entry.
        sha256: of that entry.
    """
    return canonical.encode(
        {
            "_type": STATEMENT_TYPE,
            "subject": [{"name": subject, "digest": {"sha256": sha256}}],
            "predicateType": PREDICATE_TYPE,
            "predicate": {
                "name": manifest.name,
                "created_by": manifest.created_by,
                "source_sha256": manifest.source_sha256,
                "artefacts": {rung.name: rung.candidate.artefact_sha256 for rung in manifest.ladder.runnable},
                "budget": canonical.plain(manifest.budget),
            },
        }
    )
