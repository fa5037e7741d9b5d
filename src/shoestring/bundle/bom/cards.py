"""Components of type machine-learning-model: original, students, rungs, cascade, each with its model card."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from shoestring.bundle.bom.facts import CASCADE, ORIGINAL, data_ref, rung_ref, student_ref
from shoestring.bundle.bom.figures import Figure, machine_words, number
from shoestring.domain.manifest import student_name
from shoestring.domain.score import Certificate

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from shoestring.domain.divergence import KlCertificate
    from shoestring.domain.evidence import Evidence
    from shoestring.domain.ladder import Rung
    from shoestring.domain.manifest import Manifest, Student
    from shoestring.domain.model import TensorSpec

LIKE_THE_SPLIT = "What is certified holds for data like the certification split, and for no other."
UNCERTIFIED = "Neither measured nor certified on the accelerator that it is for."
REFERENCE = "Computes the original's own function, and so carries no certificate."


def hashed(sha256: str) -> list[dict[str, str]]:
    """The one hash of a component."""
    return [{"alg": "SHA-256", "content": sha256}]


def properties(**values: str) -> list[dict[str, str]]:
    """Properties of our own, sorted by name."""
    return [{"name": f"shoestring:{name.replace('_', '-')}", "value": values[name]} for name in sorted(values)]


def original(manifest: Manifest, evidence: Evidence, sha256: str) -> dict[str, Any]:
    """The model that the user gave; it is not in the bundle."""
    card: dict[str, Any] = {"modelParameters": _parameters(manifest, evidence, manifest.input, manifest.output)}
    return {
        "type": "machine-learning-model",
        "bom-ref": ORIGINAL,
        "name": f"{manifest.name} (original)",
        "description": "The model as it was given to the workshop. It is not in the bundle.",
        "scope": "excluded",
        "hashes": hashed(sha256),
        "modelCard": card,
        "properties": properties(in_the_bundle="no", licence="not known: the workshop is not told it"),
    }


def student(manifest: Manifest, evidence: Evidence, given: Student, sha256: str) -> dict[str, Any]:
    """Another model that candidates were made from."""
    card: dict[str, Any] = {"modelParameters": _parameters(manifest, evidence, given.input, given.output)}
    return {
        "type": "machine-learning-model",
        "bom-ref": student_ref(given.name),
        "name": f"{given.name} (student)",
        "description": "Another model for the same inputs and classes. As it was given it is not in the bundle.",
        "scope": "excluded",
        "hashes": hashed(sha256),
        "modelCard": card,
        "properties": properties(in_the_bundle="no", licence="not known: the workshop is not told it"),
    }


def rung(manifest: Manifest, evidence: Evidence, given: Rung, sha256: str, figures: Sequence[Figure]) -> dict[str, Any]:
    """One variant: a file in the bundle, with what is known of it."""
    candidate, name = given.candidate, student_name(given.name)
    made_from = manifest.student(given.name)
    spec = (manifest.input, manifest.output) if made_from is None else (made_from.input, made_from.output)
    offered = {one.name: one for one in manifest.ladder.offered or ()}.get(given.name)
    held = given.certificate or given.kl_certificate
    limits = [LIKE_THE_SPLIT] if held is not None else [REFERENCE if offered is None else UNCERTIFIED]
    limits += _checked_on(held)
    limits += [] if offered is None else [offered.why]
    limits += [f"Made by the recipe's passes: {note}." for note in candidate.notes]
    card = {
        "modelParameters": _parameters(manifest, evidence, *spec),
        "quantitativeAnalysis": {"performanceMetrics": [_metric(figure) for figure in figures]},
        "considerations": _considerations(given, limits),
    }
    return {
        "type": "machine-learning-model",
        "bom-ref": rung_ref(given.name),
        "name": given.name,
        "description": candidate.recipe.why,
        "hashes": hashed(sha256),
        "modelCard": card,
        "pedigree": {
            "ancestors": [{"type": "machine-learning-model", "name": name or manifest.name}],
            "notes": f"Made by the recipe {candidate.recipe.name}; see the formulation.",
        },
        "properties": properties(
            chosen="yes" if given.name == manifest.ladder.chosen else "no",
            in_the_bundle="yes",
            licence="that of the model it was made from",
            measured_on=machine_words(evidence),
            precision=candidate.recipe.precision,
            runtime=f"{candidate.runtime} {candidate.runtime_version}",
            threads=str(given.threads),
        ),
    }


def cascade(manifest: Manifest, sha256: str, figures: Sequence[Figure]) -> dict[str, Any]:
    """Several rungs that run as one. Its hash is of what decides its answers: files, order, thresholds, measure."""
    found = manifest.ladder.cascade
    if found is None:
        raise ValueError("this ladder has no cascade")
    order = ", then ".join(stage.rung for stage in found.stages)
    return {
        "type": "machine-learning-model",
        "bom-ref": CASCADE,
        "name": "cascade",
        "description": f"{order}: each where the one before it was not sure enough ({found.measure}).",
        "hashes": hashed(sha256),
        "modelCard": {
            "quantitativeAnalysis": {"performanceMetrics": [_metric(figure) for figure in figures]},
            "considerations": {"technicalLimitations": [LIKE_THE_SPLIT, *_checked_on(found.certificate)]},
        },
    }


def _parameters(manifest: Manifest, evidence: Evidence, takes: TensorSpec, gives: TensorSpec) -> dict[str, Any]:
    found: dict[str, Any] = {
        "task": _task(manifest),
        "datasets": [{"ref": data_ref(split.name)} for split in evidence.splits],
        "inputs": [{"format": _words(takes)}],
        "outputs": [{"format": _words(gives)}],
    }
    family = _family(manifest, evidence)
    return found if family is None else {**found, "architectureFamily": family}


def _task(manifest: Manifest) -> str:
    if manifest.generation is not None:
        return "text-generation"
    return "image-classification" if manifest.head is None else "object-detection"


def _family(manifest: Manifest, evidence: Evidence) -> str | None:
    """Told by the head of a detector, or by what most probed layers are; None where neither tells."""
    if manifest.generation is not None:
        return f"transformer that writes text ({manifest.generation.transformer.architecture})"
    if manifest.head is not None:
        return f"detector with a {manifest.head.kind} head"
    operators = [probe.operator for probe in evidence.sensitivity]
    convolutions = sum(operator in ("Conv", "ConvTranspose") for operator in operators)
    return "convolutional network" if 2 * convolutions > len(operators) else None


def _words(spec: TensorSpec) -> str:
    shape = ", ".join("n" if length is None else str(length) for length in spec.shape)
    return f"{spec.name}: {spec.dtype} [{shape}]"


def _metric(figure: Figure) -> dict[str, Any]:
    found: dict[str, Any] = {"type": figure.kind, "value": number(figure.value), "slice": figure.slice}
    if figure.low is not None and figure.high is not None:
        found["confidenceInterval"] = {"lowerBound": number(figure.low), "upperBound": number(figure.high)}
    return found


def _considerations(given: Rung, limits: list[str]) -> Mapping[str, list[str]]:
    timing = given.candidate.cost.at(given.threads)
    pace = f"{timing.ratio_to_original:.3f} of the original's latency at {timing.threads} thread(s)"
    if given.kl_certificate is not None:
        kl = f"its KL to the original is at most {given.kl_certificate.max_kl:.3g} nats a token"
        return {"technicalLimitations": limits, "performanceTradeoffs": [f"{pace}, for which {kl}."]}
    if given.certificate is None:
        return {"technicalLimitations": limits, "performanceTradeoffs": [f"{pace}."]}
    drop = f"{given.certificate.metric} falls by at most {100 * given.certificate.max_drop:.2f} points"
    return {"technicalLimitations": limits, "performanceTradeoffs": [f"{pace}, for which {drop}."]}


def _checked_on(given: Certificate | KlCertificate | None) -> list[str]:
    """Integer answers differ between instruction sets, so a certificate speaks of some."""
    if given is None:
        return []
    found = [f"Certified on {given.runtime} {given.runtime_version} with {' '.join(given.isa) or 'no vector units'}."]
    also = (given.also or ()) if isinstance(given, Certificate) else ()
    return found + [f"Checked on {one.board} ({one.core}): {one.same} of {one.n} answers alike." for one in also]
