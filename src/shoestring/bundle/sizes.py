"""What each file of a bundle is, and what storing it takes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from shoestring.bundle.stored import stored_bytes

if TYPE_CHECKING:
    from shoestring.domain.manifest import Manifest

AS_IT_IS = "as it is"


@dataclass(frozen=True)
class Size:
    """One blob, for people.

    Args:
        what: its part in the bundle: a rung's name, `evidence`, `golden inputs`, `golden outputs of` a rung.
        form: `as it is`, `deflate` or `planes`.
        size_bytes: of the content.
        stored_bytes: in the bundle.
    """

    what: str
    form: str
    size_bytes: int
    stored_bytes: int


def roles(manifest: Manifest) -> dict[str, str]:
    """What each blob is in the bundle, by SHA-256, in a few words."""
    golden = manifest.golden
    found = {manifest.evidence: "evidence", golden.inputs: "golden inputs"}
    found |= {sha256: f"golden outputs of {name}" for name, sha256 in golden.outputs.items()}
    if manifest.bom is not None:
        found[manifest.bom] = "bill of materials"
    if manifest.text is not None:
        found[manifest.text.tokenizer] = "tokenizer"
    return found | {rung.candidate.artefact_sha256: rung.name for rung in manifest.ladder.runnable}


def sizes(manifest: Manifest) -> tuple[Size, ...]:
    """Every blob of a sound manifest: rungs in the order of the ladder, then the rest by name."""
    names, order = roles(manifest), [rung.name for rung in manifest.ladder.runnable]
    found = [
        Size(
            names[blob.sha256],
            AS_IT_IS if blob.stored is None else blob.stored.encoding,
            blob.size_bytes,
            stored_bytes(blob),
        )
        for blob in manifest.blobs
    ]
    return tuple(
        sorted(found, key=lambda size: (order.index(size.what) if size.what in order else len(order), size.what))
    )
