"""Rungs for a chip's accelerator that is not at hand: offered with what can be said, and marked as not measured.

The Edge TPU gets the 8-bit candidate as full-integer TFLite with the same scales; LiteRT's CPU kernels answer in its
place. A Jetson Nano gets the original in a form that TensorRT 8.2 reads; ONNX Runtime answers in its place with every
tensor rounded to fp16. Their costs are predicted, nothing is certified, and the golden set decides on the device.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from shoestring.analysis import features_of
from shoestring.base.canonical import encode, sha256_hex
from shoestring.base.errors import ChildError, EngineError, MissingExtraError, ModelError
from shoestring.bundle.bom import with_bom
from shoestring.compress.candidates import REFERENCE
from shoestring.domain.estimate import NoClaim
from shoestring.domain.evidence import Trace
from shoestring.domain.ladder import Candidate, Offered, Rung
from shoestring.domain.manifest import Blob
from shoestring.fitting.accelerator_costs import Ask, edge_tpu_cost, tensorrt_cost
from shoestring.fitting.accelerator_files import EDGE_TPU, TENSORRT, Made, edge_tpu, tensorrt
from shoestring.fitting.accelerator_scores import golden_outputs, scores
from shoestring.legalise import target_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from shoestring.domain.cost import Cost
    from shoestring.domain.ladder import Ladder
    from shoestring.fitting.candidates import Artefact
    from shoestring.fitting.elsewhere import Elsewhere
    from shoestring.fitting.outcome import Fitted
    from shoestring.fitting.workbench import Workbench
    from shoestring.legalise import Target

_MAKERS: dict[str, Callable[[Workbench, Target, Mapping[str, Artefact]], Made]] = {
    "edge-tpu": edge_tpu,
    "tensorrt-8-2": tensorrt,
}
_COSTS: dict[str, Callable[[Ask, int, Cost], Cost | NoClaim]] = {EDGE_TPU: edge_tpu_cost, TENSORRT: tensorrt_cost}


def extend(fitted: Fitted, bench: Workbench, there: Elsewhere | None, made: Mapping[str, Artefact]) -> Fitted:
    """The fit with a rung for the chip's accelerator; as it is where there is none, or where it cannot be made.

    Args:
        fitted: whose ladder is proven.
        bench: of the fit.
        there: the chip that costs are predicted for; None for this machine.
        made: ONNX artefacts by name.

    Returns:
        The fit, with a note where no rung could be made.
    """
    target = None if there is None else target_of(there.chip)
    maker = None if target is None else _MAKERS.get(target.takes.name)
    if there is None or target is None or maker is None:
        return fitted
    try:
        one = maker(bench, target, made)
        ask = Ask(there, bench.model, features_of(bench.model))
        offered, data, trace = _offer(fitted, bench, ask, one)
    except (ModelError, EngineError, MissingExtraError, ChildError) as error:
        return replace(fitted, notes=(*fitted.notes, f"no rung for the {target.accelerator.title}: {error.message}"))
    return _with(fitted, offered, data, trace, one)


def _offer(fitted: Fitted, bench: Workbench, ask: Ask, one: Made) -> tuple[Offered, bytes, Trace]:
    """The rung with its estimated cost and its stand-in's scores; its golden outputs; what was answered.

    Raises:
        ModelError: nothing supports a cost.
    """
    reference = _reference(fitted.ladder)
    cost = _COSTS[one.runtime](ask, one.shipped.stat().st_size, reference.cost)
    if isinstance(cost, NoClaim):
        raise ModelError(f"no cost is claimed: {cost.why}")
    asked = sha256_hex(one.asked.read_bytes())
    trace = bench.trace(one.name, one.asked, asked, "selection", one.stand_in)
    candidate = Candidate(
        recipe=one.recipe,
        runtime=one.runtime,
        runtime_version=one.version,
        artefact_sha256=sha256_hex(one.shipped.read_bytes()),
        cost=cost,
        scores=scores(bench, trace, reference.score.metric),
        notes=one.notes,
    )
    golden = golden_outputs(bench, fitted, one.asked, one.stand_in)
    from shoestring.runtimes import registry

    stand_in = f"{one.stand_in} {registry.get(one.stand_in).version()}"
    return Offered(Rung(candidate, 1, None), stand_in, one.why), golden, trace


def _reference(ladder: Ladder) -> Candidate:
    """The candidate that computes the original's own function, on the ladder or beside it."""
    every = [*(rung.candidate for rung in ladder.rungs), *(item.candidate for item in ladder.rejected)]
    return next(candidate for candidate in every if candidate.name == REFERENCE)


def _with(fitted: Fitted, offered: Offered, golden: bytes, trace: Trace, one: Made) -> Fitted:
    """Manifest, evidence and files with the offered rung."""
    from shoestring.fitting.accelerator_scores import tolerance

    manifest, name, sha256 = fitted.manifest, offered.name, offered.rung.candidate.artefact_sha256
    evidence = replace(fitted.evidence, traces=(*fitted.evidence.traces, trace))
    blobs = {key: value for key, value in fitted.blobs.items() if key != manifest.evidence}
    blobs |= {sha256: one.shipped, sha256_hex(golden): golden, sha256_hex(encode(evidence)): encode(evidence)}
    sizes = {blob.sha256: blob.size_bytes for blob in manifest.blobs}
    sizes |= {key: len(value) for key, value in blobs.items() if isinstance(value, bytes)}
    sizes[sha256] = one.shipped.stat().st_size
    ladder = replace(manifest.ladder, offered=(*(manifest.ladder.offered or ()), offered))
    outputs = {**manifest.golden.outputs, name: sha256_hex(golden)}
    allowed = {**manifest.golden.tolerance, name: tolerance(golden)}
    made = replace(
        manifest,
        ladder=ladder,
        golden=replace(manifest.golden, outputs=outputs, tolerance=allowed),
        evidence=sha256_hex(encode(evidence)),
        blobs=tuple(Blob(key, sizes[key]) for key in sorted(blobs)),
    )
    made, blobs = with_bom(made, evidence, blobs)
    words = f"{name} is offered for the accelerator, not measured here and not certified: {offered.why}"
    return replace(fitted, manifest=made, evidence=evidence, blobs=blobs, notes=(*fitted.notes, words))


__all__ = ["extend"]
