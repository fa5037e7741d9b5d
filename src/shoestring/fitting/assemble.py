"""Manifest, evidence and golden set of a finished ladder."""

from __future__ import annotations

import importlib.metadata
import io
import platform
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from shoestring._version import __version__
from shoestring.base import disk
from shoestring.base.canonical import digest, encode, sha256_hex
from shoestring.base.limits import GOLDEN_INPUTS
from shoestring.bundle.bom import with_bom
from shoestring.domain.budget import Budget
from shoestring.domain.evidence import Evidence, Reading, Sensitivity, Split, Trace
from shoestring.domain.ladder import Ladder, Rung
from shoestring.domain.manifest import FORMAT, Blob, Golden, Manifest
from shoestring.fitting import board, elsewhere, students
from shoestring.fitting.candidates import (
    Artefact,
    describe_measurement,
    runtime_versions,
    selection_trace,
    split_labels,
    thread_counts,
    traces,
)
from shoestring.fitting.outcome import Fitted
from shoestring.fitting.sessions import blame, open_session
from shoestring.fitting.sights import confident_images, detections
from shoestring.fitting.workbench import Workbench
from shoestring.heads.check import flat_length
from shoestring.inputs.image import tensor

Array = npt.NDArray[Any]
GOLDEN_POOL = 96  # images looked at to find GOLDEN_INPUTS whose answer is no near tie
GOLDEN_BYTES, LEAST_GOLDEN = 2_000_000, 2  # of a detector's outputs for each rung, and images at least
FLOAT_TOLERANCE = 1e-3  # of the outputs' range: sums in another order
INT8_TOLERANCE = 2e-2  # of the outputs' range: a rounding step that falls the other way, passed on through the layers


def assemble(
    bench: Workbench,
    made: Mapping[str, Artefact],
    ladder: Ladder,
    metric: str,
    budget: Budget,
    sensitivity: tuple[Sensitivity, ...],
    seed: int,
    notes: tuple[str, ...],
    readings: tuple[Reading, ...] = (),
) -> Fitted:
    """Everything that a bundle of this ladder holds.

    Args:
        bench: model, images, splits, machine.
        made: artefacts by candidate name.
        ladder: certified.
        metric: that was certified.
        budget: as asked.
        sensitivity: worst layer first.
        seed: of the splits.
        notes: for the user.
        readings: of the cascade's stages.
    """
    evidence = replace(
        make_evidence(bench, made, ladder, metric, budget, sensitivity, seed),
        readings=readings,
        detections=None if bench.head is None else detections(bench, [made[rung.name] for rung in ladder.rungs]),
    )
    runnable = ladder.runnable
    blobs: dict[str, bytes | Path] = {made[rung.name].shipped.sha256: made[rung.name].shipped.path for rung in runnable}
    golden, golden_blobs = make_golden(bench, made, runnable)
    for data in (encode(evidence), *golden_blobs):
        blobs[sha256_hex(data)] = data
    manifest = Manifest(
        format=FORMAT,
        name=Path(bench.model.source_name).stem,
        created_by=f"shoestring {__version__}",
        source_sha256=bench.model.source_sha256,
        input=bench.model.inputs[0],
        output=bench.model.outputs[0],
        preprocess=bench.spec,
        labels=bench.dataset.names,
        budget=budget,
        ladder=ladder,
        golden=golden,
        evidence=sha256_hex(encode(evidence)),
        blobs=tuple(Blob(name, _size(blobs[name])) for name in sorted(blobs)),
        students=students.describe(bench),
        head=bench.head,
    )
    manifest, blobs = with_bom(manifest, evidence, blobs)
    return Fitted(manifest, evidence, blobs, notes)


def make_evidence(
    bench: Workbench,
    made: Mapping[str, Artefact],
    ladder: Ladder,
    metric: str,
    budget: Budget,
    sensitivity: tuple[Sensitivity, ...],
    seed: int,
) -> Evidence:
    """Splits, traces of every candidate on selection and of every rung on certification, machine and versions.

    The trace of a candidate whose scoring was stopped ends where its score does.
    """
    kept: list[Trace] = []
    scored = [*(rung.candidate for rung in ladder.rungs), *(item.candidate for item in ladder.rejected)]
    counts = {candidate.name: candidate.score.paired.n for candidate in scored}
    kept.append(bench.trace("original", bench.model.path, bench.model.sha256, "selection"))
    kept += [selection_trace(bench, artefact, counts[artefact.name]) for artefact in made.values()]
    first = True
    for rung in ladder.rungs:
        original, variant = traces(bench, made[rung.name], "certification")
        kept += [original, variant] if first else [variant]
        first = False
    splits = tuple(
        Split(name, tuple(bench.dataset.hashes[i] for i in getattr(bench.splits, name)), split_labels(bench, name))
        for name in ("calibration", "selection", "certification")
    )
    versions = {
        "shoestring": __version__,
        "python": platform.python_version(),
        "numpy": np.__version__,
        "onnx": importlib.metadata.version("onnx"),
        "scipy": importlib.metadata.version("scipy"),
        **runtime_versions(made),
    }
    return Evidence(
        metric,
        splits,
        tuple(kept),
        sensitivity,
        bench.machine,
        versions,
        _measurement(bench, made, budget),
        seed,
        measured_on=None if bench.aim is None else bench.aim.machine,
    )


def _measurement(bench: Workbench, made: Mapping[str, Artefact], budget: Budget) -> str:
    """How costs came about: measured here, measured on a board, or predicted."""
    aim = bench.aim
    if aim is None:
        return describe_measurement(dict(made), thread_counts(bench, budget))
    if aim.machine is not None:
        return board.describe(aim, describe_measurement(dict(made), board.thread_counts(aim, budget)))
    return elsewhere.describe(aim.chip, describe_measurement(dict(made), thread_counts(bench, Budget())))


def make_golden(
    bench: Workbench, made: Mapping[str, Artefact], rungs: Sequence[Rung]
) -> tuple[Golden, tuple[bytes, ...]]:
    """Inputs whose answers are no near tie on any rung, and what each rung answers, one example at a time."""
    pool = golden_pool(bench)
    pixels = np.concatenate(list(bench.dataset.batches(pool, bench.spec, len(pool))))
    outputs: dict[str, Array] = {}
    tolerance: dict[str, float] = {}
    clear = np.ones(len(pool), dtype=bool)
    for rung in rungs:
        own = bench.of(rung.name)
        answers = golden_answers(own, made[rung.name], pool, own.seen(pixels), rung.threads)
        part = INT8_TOLERANCE if rung.candidate.recipe.precision.startswith("int8") else FLOAT_TOLERANCE
        tolerance[rung.name] = float(part * (answers.max() - answers.min()))
        if bench.head is None:
            best = np.sort(answers, axis=1)
            clear &= best[:, -1] - best[:, -2] > 2 * tolerance[rung.name]
        outputs[rung.name] = answers
    chosen = np.flatnonzero(clear)[:GOLDEN_INPUTS]
    if len(chosen) == 0:
        chosen = np.arange(min(GOLDEN_INPUTS, len(pool)))
    stored = {name: npy_bytes(answers[chosen]) for name, answers in outputs.items()}
    inputs = npy_bytes(pixels[chosen])
    golden = Golden(sha256_hex(inputs), {name: sha256_hex(data) for name, data in stored.items()}, tolerance)
    return golden, (inputs, *stored.values())


def golden_pool(bench: Workbench) -> tuple[int, ...]:
    """Images of the selection split that golden inputs are taken from.

    Of a classifier GOLDEN_POOL, of which those are taken whose answer is clear. Of a detector those that it sees most
    in, as many as GOLDEN_BYTES hold the outputs of: one picture has many boxes, and a raw head takes a megabyte.
    """
    if bench.head is None:
        return bench.splits.selection[:GOLDEN_POOL]
    count = max(LEAST_GOLDEN, min(GOLDEN_INPUTS, GOLDEN_BYTES // (4 * flat_length(bench.head))))
    seen = confident_images(bench, "selection")
    order = sorted(range(len(seen)), key=lambda place: (-seen[place], place))
    return tuple(bench.splits.selection[place] for place in order[:count])


def golden_answers(bench: Workbench, artefact: Artefact, pool: Sequence[int], pixels: Array, threads: int) -> Array:
    """Float32 outputs (n, classes) of an artefact on the pool; kept."""
    images = digest([bench.dataset.hashes[i] for i in pool])
    question = {**bench.basis_on(artefact.runtime), "artefact": artefact.sha256, "images": images, "threads": threads}

    def write(target: Path) -> None:
        bench.progress(f"golden answers of {artefact.name}", 0, 0)
        disk.write_bytes(target, npy_bytes(_one_by_one(bench, artefact, pixels, threads)))

    answers: Array = np.load(bench.cache.file("golden", question, ".npy", write), allow_pickle=False)
    return answers


def _one_by_one(bench: Workbench, artefact: Artefact, pixels: Array, threads: int) -> Array:
    """Float32 outputs (n, classes), each from a run of its own, as a device makes them."""
    spec, answers = bench.model.inputs[0], []
    fixed = spec.shape[0] or 1
    with (
        blame(artefact.name, artefact.runtime),
        open_session(artefact.runtime, artefact.path, threads) as session,
    ):
        for image in pixels:
            batch = tensor(np.repeat(image[None], fixed, axis=0), bench.spec)
            answers.append(session.run({spec.name: batch})[bench.model.outputs[0].name][:1])
    return np.concatenate(answers).astype(np.float32)


def npy_bytes(array: Array) -> bytes:
    """The array as an .npy file."""
    stream = io.BytesIO()
    np.save(stream, np.ascontiguousarray(array), allow_pickle=False)
    return stream.getvalue()


def _size(blob: bytes | Path) -> int:
    return len(blob) if isinstance(blob, bytes) else blob.stat().st_size
