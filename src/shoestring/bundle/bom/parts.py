"""The rest of a bill of materials: data, what depends on what, and how each rung was made."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from shoestring.bundle.bom.cards import hashed, properties
from shoestring.bundle.bom.facts import BUNDLE, CASCADE, EVIDENCE, GOLDEN, ORIGINAL, data_ref, rung_ref, student_ref
from shoestring.bundle.bom.tools import runtime_ref
from shoestring.domain.manifest import student_name

if TYPE_CHECKING:
    from collections.abc import Mapping

    from shoestring.domain.evidence import Evidence, Split
    from shoestring.domain.ladder import Rung
    from shoestring.domain.manifest import Manifest

_USES = {
    "calibration": "What ranges and rounding were set on.",
    "selection": "What candidates were chosen on.",
    "certification": "What certificates were made on; no choice has seen it.",
}


def data(manifest: Manifest, evidence: Evidence, hashes: Mapping[str, str]) -> list[dict[str, Any]]:
    """Splits, golden inputs and evidence, by hashes and counts: no name, path or pixel of an image."""
    what = "images" if manifest.preprocess is not None else "texts"
    splits = [_split(split, hashes[data_ref(split.name)], what) for split in evidence.splits]
    golden = _data(GOLDEN, "golden inputs", "dataset", "What a device replays before it trusts the bundle.")
    proof = _data(EVIDENCE, "evidence", "other", "What scores and certificates rest on: answers, splits, the machine.")
    return [*splits, {**golden, "hashes": hashed(hashes[GOLDEN])}, {**proof, "hashes": hashed(hashes[EVIDENCE])}]


def dependencies(manifest: Manifest, evidence: Evidence) -> list[dict[str, Any]]:
    """The bundle rests on its rungs; each rung on its runtime and the model it was made from."""
    rungs = manifest.ladder.runnable
    wanted = [rung_ref(rung.name) for rung in rungs] + [EVIDENCE, GOLDEN]
    found = [{"ref": rung_ref(rung.name), "dependsOn": sorted({*_needs(rung)})} for rung in rungs]
    found.append({"ref": EVIDENCE, "dependsOn": sorted({data_ref(split.name) for split in evidence.splits})})
    if manifest.ladder.cascade is not None:
        wanted.append(CASCADE)
        stages = {rung_ref(stage.rung) for stage in manifest.ladder.cascade.stages}
        found.append({"ref": CASCADE, "dependsOn": sorted(stages)})
    found.append({"ref": BUNDLE, "dependsOn": sorted(wanted)})
    return sorted(found, key=lambda item: str(item["ref"]))


def formulation(manifest: Manifest) -> list[dict[str, Any]]:
    """One workflow a rung: the recipe's passes with their options, from the original to the rung's file."""
    return [{"bom-ref": "formulation", "workflows": [_workflow(rung) for rung in manifest.ladder.runnable]}]


def _workflow(rung: Rung) -> dict[str, Any]:
    recipe, ref = rung.candidate.recipe, f"recipe:{rung.name}"
    steps: list[dict[str, Any]] = []
    for step in recipe.steps:
        options = {
            name: value if isinstance(value, str) else json.dumps(value) for name, value in sorted(step.options.items())
        }
        made: dict[str, Any] = {"name": step.name}
        steps.append({**made, "properties": properties(**options)} if options else made)
    found: dict[str, Any] = {
        "bom-ref": ref,
        "uid": ref,
        "name": recipe.name,
        "description": recipe.why,
        "taskTypes": ["build"],
        "inputs": [{"resource": {"ref": _source(rung)}}],
        "outputs": [{"type": "artifact", "resource": {"ref": rung_ref(rung.name)}}],
    }
    return {**found, "steps": steps} if steps else found


def _needs(rung: Rung) -> tuple[str, str]:
    return _source(rung), runtime_ref(rung.candidate.runtime, rung.candidate.runtime_version)


def _source(rung: Rung) -> str:
    name = student_name(rung.name)
    return ORIGINAL if name is None else student_ref(name)


def _split(split: Split, sha256: str, what: str) -> dict[str, Any]:
    use = _USES.get(split.name, f"{what.capitalize()}.")
    found = _data(data_ref(split.name), f"{split.name} split", "dataset", use)
    told = properties(
        hash_is_of=f"the list of the {what}' own SHA-256, in order",
        **{what: str(len(split.images))},
        in_the_bundle="no",
        labels="known" if split.labels is not None else "not known",
        licence="not known: the workshop is not told it",
    )
    return {**found, "scope": "excluded", "hashes": hashed(sha256), "properties": told}


def _data(ref: str, name: str, kind: str, words: str) -> dict[str, Any]:
    return {"type": "data", "bom-ref": ref, "name": name, "data": [{"type": kind, "name": name, "description": words}]}
