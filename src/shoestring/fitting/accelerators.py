"""Rungs for a chip's accelerator that is not at hand: offered with what can be said, and marked as not measured.

The Edge TPU gets the 8-bit candidate as full-integer TFLite with the same scales; LiteRT's CPU kernels answer in its
place. A Jetson Nano gets the original in a form that TensorRT 8.2 reads; ONNX Runtime answers in its place with every
tensor rounded to fp16. Their costs are predicted, nothing is certified, and the golden set decides on the device.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from shoestring.analysis import features_of
from shoestring.base import disk
from shoestring.base.canonical import encode, sha256_hex
from shoestring.base.errors import ChildError, EngineError, MissingExtraError, ModelError
from shoestring.compress.candidates import REFERENCE
from shoestring.compress.graph import Graph
from shoestring.domain.estimate import NoClaim
from shoestring.domain.evidence import Trace
from shoestring.domain.ladder import HOME_RUNTIME, Candidate, Offered, Rung, candidate_name
from shoestring.domain.manifest import Blob
from shoestring.domain.recipe import Recipe
from shoestring.fitting.accelerator_costs import Ask, edge_tpu_cost, tensorrt_cost
from shoestring.fitting.accelerator_scores import golden_outputs, scores
from shoestring.fitting.sources import sources_digest
from shoestring.legalise import legalise, plan, target_of
from shoestring.legalise.codes import close_outputs
from shoestring.legalise.edgetpu import compile_model, find_compiler

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from shoestring.domain.cost import Cost
    from shoestring.domain.ladder import Ladder
    from shoestring.fitting.candidates import Artefact
    from shoestring.fitting.elsewhere import Elsewhere
    from shoestring.fitting.outcome import Fitted
    from shoestring.fitting.workbench import Workbench
    from shoestring.legalise import Target

EDGE_TPU, TENSORRT = "edgetpu", "tensorrt"
LITERT = "litert"
INTEGER = "int8"
"""Name and precision of the candidate that holds codes throughout."""

TENSORRT_VERSION = "8.2"
HALF = Recipe(
    "fp16",
    "fp16",
    (),
    "the GPU does twice as many fp16 operations a second as fp32, and has no int8 units",
)


@dataclass(frozen=True)
class Made:
    """A rung to be offered, before its cost and scores are known.

    Args:
        recipe: how it was made.
        runtime: of the accelerator.
        version: of that runtime, as far as known.
        shipped: the file that a bundle holds.
        asked: the file that is run here in its place.
        stand_in: the runtime that runs it here.
        notes: of its making.
        why: for `Offered`.
    """

    recipe: Recipe
    runtime: str
    version: str
    shipped: Path
    asked: Path
    stand_in: str
    notes: tuple[str, ...]
    why: str

    @property
    def name(self) -> str:
        return candidate_name(self.recipe, self.runtime)


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


def _edge_tpu(bench: Workbench, target: Target, made: Mapping[str, Artefact]) -> Made:
    """Raises ModelError: there is no 8-bit candidate, or a part of it stays on the processor."""
    from shoestring.convert.tflite import convert

    source = made.get(INTEGER)
    if source is None:
        raise ModelError("there is no candidate that is 8-bit throughout")
    graph = Graph.load(source.path)
    closed = close_outputs(graph, lambda: bench.feed(bench.splits.calibration))
    found = plan(graph, target)
    if found.outside:
        first = found.outside[0]
        cure = f"; shoestring legalise {bench.model.source_name} --chip {target.chip.name}" if first.cures else ""
        raise ModelError(f"{len(found.outside)} operators stay on the processor: {first.why}{cure}")
    data = graph.to_bytes()
    question = {"convert": sources_digest("convert"), "native": sources_digest("native"), "model": sha256_hex(data)}
    said = [f"{name} is given out on 8-bit codes" for name in closed]

    def write(out: Path) -> None:
        converted = convert(data, INTEGER, integer=True)
        said.extend(converted.notes)
        disk.write_bytes(out, converted.data)

    path = bench.cache.file("edgetpu", question, ".tflite", write)
    notes = bench.cache.noun("notes", {**question, "for": EDGE_TPU}, tuple[str, ...], lambda: tuple(said))
    shipped, compiled = _compiled(bench, path)
    why = f"{len(found.operators)} operators are forecast to map; scores are of LiteRT on a processor, {compiled}"
    return Made(source.recipe, EDGE_TPU, "not at hand", shipped, path, LITERT, (*source.notes, *notes), why)


def _compiled(bench: Workbench, path: Path) -> tuple[Path, str]:
    """What is shipped, and what is to be said of it."""
    compiler = find_compiler()
    if compiler is None:
        return path, "the file is still to be compiled with edgetpu_compiler"
    said: list[str] = []

    def write(out: Path) -> None:
        found = compile_model(path, out.parent, compiler)
        said.append(f"edgetpu_compiler {found.version} mapped {found.mapped} of {found.total} operators")
        if found.path is None:  # compile_model sets it whenever it returns
            raise ChildError("edgetpu_compiler wrote nothing")
        disk.write_bytes(out, found.path.read_bytes())
        found.path.unlink()

    question = {"compiled": sha256_hex(path.read_bytes()), "compiler": compiler}
    made = bench.cache.file("edgetpu", question, ".tflite", write)
    words = bench.cache.noun("notes", {**question, "for": EDGE_TPU}, tuple[str, ...], lambda: tuple(said))
    return made, "; ".join(words)


def _tensorrt(bench: Workbench, target: Target, made: Mapping[str, Artefact]) -> Made:
    """Raises ModelError: TensorRT 8.2 would refuse the model, or fp16 cannot be tried here."""
    from shoestring.compress.passes import PASSES

    source = made[REFERENCE]
    legal = legalise(Graph.load(source.path), target)
    found = plan(legal.graph, target)
    if found.refused:
        raise ModelError(f"TensorRT {TENSORRT_VERSION} would refuse the model: {found.outside[0].why}")
    half = PASSES["half"]
    refusal = half.requires(Graph.load(source.path), {})
    if refusal is not None:
        raise ModelError(f"fp16 cannot be tried here: {refusal}")
    question = {**bench.basis, "legalise": sources_digest("legalise"), "model": source.sha256, "chip": target.chip.name}
    shipped = bench.cache.file("tensorrt", question, ".onnx", lambda out: disk.write_bytes(out, legal.graph.to_bytes()))
    said: list[str] = []

    def write(out: Path) -> None:
        graph, notes = half.run(Graph.load(source.path), {}, bench.workshop)
        said.extend(notes)
        disk.write_bytes(out, graph.to_bytes())

    asked = bench.cache.file("tensorrt", {**question, "images": bench.calibration_digest}, ".half.onnx", write)
    notes = bench.cache.noun("notes", {**question, "for": TENSORRT}, tuple[str, ...], lambda: tuple(said))
    words = (
        f"operator set {legal.graph.opset} for TensorRT {TENSORRT_VERSION}; scores are of ONNX Runtime with tensors "
        "rounded to fp16; the engine is still to be built on the board with trtexec"
    )
    return Made(HALF, TENSORRT, TENSORRT_VERSION, shipped, asked, HOME_RUNTIME, (*legal.notes, *notes), words)


_MAKERS: dict[str, Callable[[Workbench, Target, Mapping[str, Artefact]], Made]] = {
    "edge-tpu": _edge_tpu,
    "tensorrt-8-2": _tensorrt,
}
_COSTS: dict[str, Callable[[Ask, int, Cost], Cost | NoClaim]] = {EDGE_TPU: edge_tpu_cost, TENSORRT: tensorrt_cost}


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
    words = f"{name} is offered for the accelerator, not measured here and not certified: {offered.why}"
    return replace(fitted, manifest=made, evidence=evidence, blobs=blobs, notes=(*fitted.notes, words))


__all__ = ["extend"]
