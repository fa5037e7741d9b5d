"""The bill of materials of a bundle, in CycloneDX 1.6 (ECMA-424), as plain JSON from manifest and evidence alone.

No clock and no chance: the same bundle gives the same bytes. The serial number is an UUID of the content (RFC 9562,
version 5), so that two bills with one serial are one bill. The bundle's own hash is not in it: it is in the bundle.
"""

from __future__ import annotations

import uuid
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from shoestring.base.canonical import encode, sha256_hex
from shoestring.bundle.bom import cards, parts, tools
from shoestring.bundle.bom.facts import BUNDLE, CASCADE, ORIGINAL, part_figures, part_hashes, rung_ref, student_ref
from shoestring.domain.manifest import Blob

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from shoestring.domain.evidence import Evidence
    from shoestring.domain.manifest import Manifest

SPECIFICATION = "1.6"
SCHEMA = f"http://cyclonedx.org/schema/bom-{SPECIFICATION}.schema.json"
SPACE = uuid.uuid5(uuid.NAMESPACE_URL, SCHEMA)
"""What serial numbers are taken within."""


def make_bom(manifest: Manifest, evidence: Evidence) -> dict[str, Any]:
    """The bill as CycloneDX has it.

    Args:
        manifest: of the bundle; what it says of blobs and of an older bill does not matter.
        evidence: that the manifest names.

    Returns:
        JSON values; `base.canonical.encode` makes the bytes that are stored.
    """
    hashes, figures = part_hashes(manifest, evidence), part_figures(manifest)
    models = [cards.original(manifest, evidence, hashes[ORIGINAL])]
    models += [cards.student(manifest, evidence, one, hashes[student_ref(one.name)]) for one in manifest.students]
    for rung in manifest.ladder.runnable:
        ref = rung_ref(rung.name)
        models.append(cards.rung(manifest, evidence, rung, hashes[ref], figures[ref]))
    if manifest.ladder.cascade is not None:
        models.append(cards.cascade(manifest, hashes[CASCADE], figures[CASCADE]))
    bom: dict[str, Any] = {
        "$schema": SCHEMA,
        "bomFormat": "CycloneDX",
        "specVersion": SPECIFICATION,
        "version": 1,
        "metadata": {
            "component": _subject(manifest, evidence),
            "lifecycles": [{"phase": "post-build"}],
            "tools": {"components": tools.workshop(evidence)},
        },
        "components": [*models, *parts.data(manifest, evidence, hashes), *tools.runtimes(manifest)],
        "dependencies": parts.dependencies(manifest, evidence),
        "formulation": parts.formulation(manifest),
    }
    return {**bom, "serialNumber": serial(bom)}


def serial(bom: Mapping[str, Any]) -> str:
    """The serial number that belongs to a bill; one that it has already does not count."""
    content = encode({key: value for key, value in bom.items() if key != "serialNumber"})
    return uuid.uuid5(SPACE, sha256_hex(content)).urn


def with_bom(
    manifest: Manifest, evidence: Evidence, blobs: Mapping[str, bytes | Path]
) -> tuple[Manifest, dict[str, bytes | Path]]:
    """The manifest and the files with the bill that belongs to them, in the place of an older one.

    Args:
        manifest: finished but for that; lists exactly `blobs`.
        evidence: that it names.
        blobs: content by hash.
    """
    data = encode(make_bom(manifest, evidence))
    name = sha256_hex(data)
    kept: dict[str, bytes | Path] = {key: value for key, value in blobs.items() if key != manifest.bom}
    listed = [blob for blob in manifest.blobs if blob.sha256 not in (manifest.bom, name)]
    made = sorted([*listed, Blob(name, len(data))], key=lambda blob: blob.sha256)
    return replace(manifest, bom=name, blobs=tuple(made)), {**kept, name: data}


def _subject(manifest: Manifest, evidence: Evidence) -> dict[str, Any]:
    return {
        "type": "machine-learning-model",
        "bom-ref": BUNDLE,
        "name": manifest.name,
        "description": "One model in several variants, from cheap to dear, with what is proven of each.",
        "properties": cards.properties(
            chosen=manifest.ladder.chosen,
            classes=str(len(manifest.labels)) if manifest.labels else "not known",
            created_by=manifest.created_by,
            measurement=evidence.measurement,
            metric=evidence.metric,
            not_known="licences of models and data; who trained the model, on what and for which use; ethical review",
        ),
    }
