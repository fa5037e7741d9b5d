"""Manifest, evidence and golden texts of a finished ladder of an encoder."""

from __future__ import annotations

import importlib.metadata
import platform
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from shoestring._version import __version__
from shoestring.base.canonical import encode, sha256_hex
from shoestring.base.limits import GOLDEN_INPUTS
from shoestring.bundle.bom import with_bom
from shoestring.domain.budget import Budget
from shoestring.domain.evidence import Evidence, Split
from shoestring.domain.ladder import Ladder
from shoestring.domain.manifest import FORMAT, Blob, Golden, Manifest
from shoestring.domain.model import TensorSpec
from shoestring.domain.text import GoldenTexts
from shoestring.fitting.assemble import FLOAT_TOLERANCE, INT8_TOLERANCE, npy_bytes
from shoestring.fitting.candidates import Artefact, runtime_versions
from shoestring.fitting.outcome import Fitted
from shoestring.fitting.sessions import blame, open_session
from shoestring.fitting.text.bench import TextBench
from shoestring.fitting.text.scoring import Scorer, all_traces
from shoestring.inputs.text import run_texts

Array = npt.NDArray[Any]
SPLITS = ("calibration", "selection", "certification")
GOLDEN_POOL = 96  # texts looked at to find GOLDEN_INPUTS whose answer is no near tie


def assemble(
    scorer: Scorer,
    ladder: Ladder,
    budget: Budget,
    output: TensorSpec,
    measurement: str,
    seed: int,
    tokenizer: bytes,
    notes: tuple[str, ...],
) -> Fitted:
    """Everything that a bundle of this ladder holds.

    Args:
        scorer: with the artefacts and their answers.
        ladder: certified.
        budget: as asked.
        output: of every rung.
        measurement: how costs were taken, in words.
        seed: of the splits.
        tokenizer: the `tokenizer.json`.
        notes: for the user.
    """
    bench, made = scorer.bench, scorer.made
    evidence = Evidence(
        metric=scorer.metric,
        splits=tuple(
            Split(name, tuple(bench.texts.hashes[i] for i in getattr(bench.splits, name)), bench.split_labels(name))
            for name in SPLITS
        ),
        traces=all_traces(scorer, [rung.name for rung in ladder.rungs]),
        sensitivity=(),
        machine=bench.machine,
        versions=_versions(made),
        measurement=measurement,
        seed=seed,
    )
    blobs: dict[str, bytes | Path] = {made[rung.name].sha256: made[rung.name].path for rung in ladder.rungs}
    golden, golden_blobs = make_golden(scorer, ladder)
    for data in (encode(evidence), tokenizer, *golden_blobs):
        blobs[sha256_hex(data)] = data
    manifest = Manifest(
        format=FORMAT,
        name=Path(bench.model.source_name).stem,
        created_by=f"shoestring {__version__}",
        source_sha256=bench.model.source_sha256,
        input=bench.spec.ids,
        output=output,
        preprocess=None,
        labels=bench.texts.names if scorer.metric == "top-1" else (),
        budget=budget,
        ladder=ladder,
        golden=golden,
        evidence=sha256_hex(encode(evidence)),
        blobs=tuple(Blob(name, _size(blobs[name])) for name in sorted(blobs)),
        text=bench.spec,
    )
    manifest, blobs = with_bom(manifest, evidence, blobs)
    return Fitted(manifest, evidence, blobs, notes)


def make_golden(scorer: Scorer, ladder: Ladder) -> tuple[Golden, tuple[bytes, ...]]:
    """Texts of the selection split whose class is no near tie on any rung, and what each rung answers to each."""
    bench = scorer.bench
    pool = bench.split_texts("selection")[:GOLDEN_POOL]
    outputs: dict[str, Array] = {}
    tolerance: dict[str, float] = {}
    clear = np.ones(len(pool), dtype=bool)
    for rung in ladder.rungs:
        answers = _answers(bench, scorer.made[rung.name], pool, rung.threads)
        part = INT8_TOLERANCE if rung.candidate.recipe.precision.startswith("int8") else FLOAT_TOLERANCE
        tolerance[rung.name] = float(part * (answers.max() - answers.min()))
        if bench.spec.kind == "classification":
            best = np.sort(answers, axis=1)
            clear &= best[:, -1] - best[:, -2] > 2 * tolerance[rung.name]
        outputs[rung.name] = answers
    chosen = np.flatnonzero(clear)[:GOLDEN_INPUTS]
    if len(chosen) == 0:
        chosen = np.arange(min(GOLDEN_INPUTS, len(pool)))
    stored = {name: npy_bytes(answers[chosen]) for name, answers in outputs.items()}
    inputs = encode(GoldenTexts(tuple(pool[place] for place in chosen)))
    golden = Golden(sha256_hex(inputs), {name: sha256_hex(data) for name, data in stored.items()}, tolerance)
    return golden, (inputs, *stored.values())


def _answers(bench: TextBench, one: Artefact, texts: Sequence[str], threads: int) -> Array:
    """Each text in a run of its own, at the rung's own thread count, as a device runs it."""
    bench.progress(f"golden answers of {one.name}", 0, 0)
    with blame(one.name, one.runtime), open_session(one.runtime, one.path, threads) as session:
        output = session.outputs[0].name
        return run_texts(bench.reader, lambda feeds: session.run(feeds)[output], texts, batch_tokens=1)


def _versions(made: Mapping[str, Artefact]) -> dict[str, str]:
    packages = ("onnx", "scipy", "tokenizers")
    return {
        "shoestring": __version__,
        "python": platform.python_version(),
        "numpy": np.__version__,
        **{name: importlib.metadata.version(name) for name in packages},
        **runtime_versions(made),
    }


def _size(blob: bytes | Path) -> int:
    return len(blob) if isinstance(blob, bytes) else blob.stat().st_size
