"""The files of rungs for accelerators: full-integer TFLite for the Edge TPU, a model that TensorRT 8.2 reads."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from shoestring.base import disk
from shoestring.base.canonical import sha256_hex
from shoestring.base.errors import ChildError, ModelError
from shoestring.compress.candidates import REFERENCE
from shoestring.compress.graph import Graph
from shoestring.domain.ladder import HOME_RUNTIME, candidate_name
from shoestring.domain.recipe import Recipe
from shoestring.fitting.sources import sources_digest
from shoestring.legalise import legalise, plan
from shoestring.legalise.codes import close_outputs
from shoestring.legalise.edgetpu import compile_model, find_compiler

if TYPE_CHECKING:
    from collections.abc import Mapping

    from shoestring.fitting.candidates import Artefact
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


def edge_tpu(bench: Workbench, target: Target, made: Mapping[str, Artefact]) -> Made:
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
        disk.remove(found.path)

    question = {"compiled": sha256_hex(path.read_bytes()), "compiler": compiler}
    made = bench.cache.file("edgetpu", question, ".tflite", write)
    words = bench.cache.noun("notes", {**question, "for": EDGE_TPU}, tuple[str, ...], lambda: tuple(said))
    return made, "; ".join(words)


def tensorrt(bench: Workbench, target: Target, made: Mapping[str, Artefact]) -> Made:
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
