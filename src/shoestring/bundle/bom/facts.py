"""What a bill of materials claims about a bundle: which hash each part has, and which figures each rung.

The maker writes these facts among its words; the reader takes them from manifest and evidence again and compares. Words
may change from version to version, facts may not.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from shoestring.base.canonical import digest
from shoestring.bundle.bom.figures import Figure, cascade_figures, rung_figures
from shoestring.domain.cascade import identity

if TYPE_CHECKING:
    from shoestring.domain.evidence import Evidence
    from shoestring.domain.manifest import Manifest

BUNDLE, ORIGINAL, EVIDENCE, GOLDEN, CASCADE = "bundle", "original", "evidence", "golden-inputs", "cascade"


def rung_ref(name: str) -> str:
    """What a rung is called within the bill."""
    return f"rung:{name}"


def student_ref(name: str) -> str:
    """Likewise the model of a student, as the user gave it."""
    return f"student:{name}"


def data_ref(split: str) -> str:
    """Likewise a split of the images."""
    return f"data:{split}"


def part_hashes(manifest: Manifest, evidence: Evidence) -> dict[str, str]:
    """SHA-256 of every part that the bill must name, by what it is called there.

    Of a split it is the hash of the canonical list of its images' hashes: it tells whether two bundles saw the same
    images, and nothing of what they show.
    """
    found = {ORIGINAL: manifest.source_sha256, EVIDENCE: manifest.evidence, GOLDEN: manifest.golden.inputs}
    found |= {student_ref(student.name): student.source_sha256 for student in manifest.students}
    found |= {rung_ref(rung.name): rung.candidate.artefact_sha256 for rung in manifest.ladder.runnable}
    found |= {data_ref(split.name): digest(split.images) for split in evidence.splits}
    cascade = manifest.ladder.cascade
    if cascade is not None:
        found[CASCADE] = identity(cascade.measure, cascade.stages)
    return found


def part_figures(manifest: Manifest) -> dict[str, tuple[Figure, ...]]:
    """Figures of every part that has some, by what it is called in the bill."""
    found = {rung_ref(rung.name): rung_figures(rung) for rung in manifest.ladder.runnable}
    if manifest.ladder.cascade is not None:
        found[CASCADE] = cascade_figures(manifest.ladder.cascade)
    return found
