"""Synthetic nouns that tests share: realistic in size and shape, consistent within themselves, seeded.

Whatever can be derived is derived: counts come from the traces, hashes from the bytes. A test that wants something
broken takes a sound noun and breaks one thing with `dataclasses.replace`.
"""

from __future__ import annotations

import io
import json
import math
from dataclasses import dataclass, replace

import numpy as np

from factory_evidence import (
    FEW_LABELS,
    KINDS,
    LABELS,
    MAX_DROP,
    REFERENCE,
    RUNGS,
    RUNTIME,
    RUNTIME_VERSION,
    Kind,
    count_pairs,
    make_evidence,
    make_hash,
    make_machine,
)
from shoestring.base import canonical
from shoestring.domain.budget import Budget
from shoestring.domain.cost import Cost, Timing
from shoestring.domain.evidence import Evidence
from shoestring.domain.ladder import Candidate, Ladder, Rejected, Rung
from shoestring.domain.manifest import FORMAT, Blob, Golden, Manifest
from shoestring.domain.model import TensorSpec
from shoestring.domain.preprocess import Preprocess
from shoestring.domain.recipe import Recipe
from shoestring.domain.score import Certificate, Paired, Score

__all__ = [
    "FEW_LABELS",
    "KINDS",
    "LABELS",
    "MAX_DROP",
    "REFERENCE",
    "RUNGS",
    "RUNTIME",
    "RUNTIME_VERSION",
    "BundleParts",
    "Kind",
    "count_pairs",
    "make_bundle_parts",
    "make_candidate",
    "make_certificate",
    "make_cost",
    "make_evidence",
    "make_hash",
    "make_images",
    "make_ladder",
    "make_machine",
    "make_manifest",
    "make_onnx",
    "make_preprocess",
    "make_score",
    "npy_bytes",
    "run_onnx",
    "swap_blob",
]


def make_cost(ratio: float = 1.0, size_bytes: int = 9_100_000) -> Cost:
    """Costs of a model that takes 4.2 ms on one thread, times `ratio`."""

    def timing(threads: int, median_ms: float) -> Timing:
        low, high = 0.97, 1.06
        return Timing(
            threads=threads,
            median_ms=round(median_ms, 4),
            low_ms=round(low * median_ms, 4),
            high_ms=round(high * median_ms, 4),
            runs=200,
            ratio_to_original=round(ratio, 4),
            ratio_low=round(low * ratio, 4),
            ratio_high=round(high * ratio, 4),
        )

    timings = (timing(1, 4.2 * ratio), timing(4, 1.6 * ratio))
    return Cost(timings=timings, peak_rss_bytes=88_000_000 + 3 * size_bytes, size_bytes=size_bytes)


def make_score(paired: Paired, metric: str, split: str = "selection") -> Score:
    """A score with a normal-theory interval: only its shape matters to the tests that read it."""
    spread = 1.96 * math.sqrt(paired.wins + paired.losses + 1) / paired.n
    return Score(
        metric=metric,
        split=split,
        paired=paired,
        value=paired.variant_hits / paired.n,
        original=paired.original_hits / paired.n,
        drop_low=max(-1.0, paired.drop - spread),
        drop_high=min(1.0, paired.drop + spread),
        confidence=0.95,
    )


def make_candidate(evidence: Evidence, kind: Kind, artefact_sha256: str, size_bytes: int | None = None) -> Candidate:
    """The candidate of `kind`, scored by the selection traces of `evidence`."""
    depths = {evidence.metric: 1}
    classes = len(evidence.trace("original", "selection").top[0])
    if evidence.metric == "top-1" and classes == 5:
        depths["top-5"] = 5
    scores = tuple(
        make_score(count_pairs(evidence, kind.name, "selection", depth), metric) for metric, depth in depths.items()
    )
    size = kind.size_bytes if size_bytes is None else size_bytes
    return Candidate(
        recipe=Recipe(kind.name, kind.precision, kind.steps, kind.why),
        runtime=RUNTIME,
        runtime_version=RUNTIME_VERSION,
        artefact_sha256=artefact_sha256,
        cost=make_cost(kind.ratio, size),
        scores=scores,
        notes=("3 layers left in float",) if kind.precision == "int8-mixed" else (),
    )


def make_certificate(evidence: Evidence, candidate: Candidate, max_drop: float = MAX_DROP) -> Certificate:
    """A certificate from the certification traces; its p-value is the normal approximation's."""
    paired = count_pairs(evidence, candidate.name, "certification")
    z = (max_drop - paired.drop) * paired.n / math.sqrt(paired.wins + paired.losses + 1)
    return Certificate(
        metric=evidence.metric,
        max_drop=max_drop,
        confidence=0.95,
        method="a paired test of the certified margin, Holm over the ladder",
        paired=paired,
        p_value=0.5 * math.erfc(z / math.sqrt(2)),
        artefact_sha256=candidate.artefact_sha256,
        runtime=candidate.runtime,
        runtime_version=candidate.runtime_version,
        isa=evidence.machine.isa,
    )


def make_ladder(
    evidence: Evidence | None = None, artefacts: dict[str, tuple[str, int]] | None = None, chosen: str = "int8"
) -> Ladder:
    """Three rungs, cheapest first, and four rejected candidates with reasons.

    Args:
        evidence: that the scores and certificates come from.
        artefacts: hash and size of each rung's model file; others get a hash of their name.
        chosen: name of the rung.
    """
    evidence = evidence or make_evidence()
    artefacts = artefacts or {}
    rungs, rejected = [], []
    for kind in KINDS:
        sha256, size_bytes = artefacts.get(kind.name, (make_hash(kind.name), kind.size_bytes))
        candidate = make_candidate(evidence, kind, sha256, size_bytes)
        if kind.rejected is not None:
            rejected.append(Rejected(candidate, kind.rejected))
            continue
        certificate = None if kind.name == REFERENCE else make_certificate(evidence, candidate)
        rungs.append(Rung(candidate, threads=1, certificate=certificate))
    return Ladder(rungs=tuple(rungs), rejected=tuple(rejected), chosen=chosen)


def make_preprocess(size: int = 96) -> Preprocess:
    """Square colour images, stretched, normalised as ImageNet's are."""
    return Preprocess(height=size, width=size, mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225))


def make_manifest(
    evidence: Evidence | None = None,
    *,
    ladder: Ladder | None = None,
    labels: tuple[str, ...] = LABELS,
    size: int = 96,
    batch: int | None = None,
    golden: Golden | None = None,
    blobs: tuple[Blob, ...] | None = None,
) -> Manifest:
    """A sound manifest. Without `golden` and `blobs` it names files that nobody has, of plausible sizes."""
    evidence = evidence or make_evidence(labels=labels)
    ladder = ladder or make_ladder(evidence)
    body = canonical.encode(evidence)
    if golden is None:
        outputs = {rung.name: make_hash(f"golden {rung.name}") for rung in ladder.rungs}
        golden = Golden(make_hash("golden inputs"), outputs, {rung.name: 1e-3 for rung in ladder.rungs})
    if blobs is None:
        sizes = {canonical.sha256_hex(body): len(body), golden.inputs: 32 * size * size * 3 + 128}
        sizes |= {sha256: 32 * 4 * len(labels) + 128 for sha256 in golden.outputs.values()}
        sizes |= {rung.candidate.artefact_sha256: rung.candidate.cost.size_bytes for rung in ladder.rungs}
        blobs = tuple(Blob(sha256, sizes[sha256]) for sha256 in sorted(sizes))
    return Manifest(
        format=FORMAT,
        name="mobilenet-cifar10",
        created_by="shoestring 0.1.0",
        source_sha256=make_hash("source"),
        input=TensorSpec("input", "float32", (batch, 3, size, size)),
        output=TensorSpec("logits", "float32", (batch, len(labels))),
        preprocess=make_preprocess(size),
        labels=labels,
        budget=Budget(max_drop=MAX_DROP, latency_ms=5.0, threads=1),
        ladder=ladder,
        golden=golden,
        evidence=canonical.sha256_hex(body),
        blobs=blobs,
    )


@dataclass(frozen=True)
class BundleParts:
    """What `pack` takes, and what it was made of.

    Args:
        blobs: every file by its hash.
        models: ONNX bytes of each rung.
        golden_images: uint8 (n, 8, 8, 3).
        golden_outputs: float32 (n, 4) of each rung.
    """

    manifest: Manifest
    blobs: dict[str, bytes]
    evidence: Evidence
    models: dict[str, bytes]
    golden_images: np.ndarray
    golden_outputs: dict[str, np.ndarray]


def make_onnx(seed: int = 0, *, batch: int | None = None, levels: int | None = None, size: int = 8) -> bytes:
    """A real classifier of (batch, 3, size, size) float32 into 4 logits: Conv, Relu, GlobalAveragePool, Gemm.

    Args:
        batch: None leaves it free.
        levels: weights are rounded to this many steps up to their largest magnitude, as int8 does with 127.
    """
    from onnx import TensorProto, helper, numpy_helper

    rng = np.random.default_rng(seed)
    classes, channels = len(FEW_LABELS), 6
    weights = {
        "conv.w": rng.normal(0, 0.5, (channels, 3, 3, 3)),
        "conv.b": rng.normal(0, 0.1, channels),
        "head.w": rng.normal(0, 1.5, (channels, classes)),
        "head.b": rng.normal(0, 0.1, classes),
    }
    if levels is not None:
        for name in ("conv.w", "head.w"):
            step = np.abs(weights[name]).max() / levels
            weights[name] = np.round(weights[name] / step) * step
    graph = helper.make_graph(
        [
            helper.make_node("Conv", ["input", "conv.w", "conv.b"], ["conv"], name="conv", pads=[1, 1, 1, 1]),
            helper.make_node("Relu", ["conv"], ["relu"], name="relu"),
            helper.make_node("GlobalAveragePool", ["relu"], ["pool"], name="pool"),
            helper.make_node("Flatten", ["pool"], ["flat"], name="flat"),
            helper.make_node("Gemm", ["flat", "head.w", "head.b"], ["logits"], name="head"),
        ],
        "tiny",
        [helper.make_tensor_value_info("input", TensorProto.FLOAT, [batch or "n", 3, size, size])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, [batch or "n", classes])],
        [numpy_helper.from_array(value.astype(np.float32), name) for name, value in weights.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    return model.SerializeToString(deterministic=True)


def run_onnx(model: bytes, images: np.ndarray, spec: Preprocess, name: str = "input") -> np.ndarray:
    """float32 (n, classes) of uint8 (n, h, w, c), one image at a time, with the formula of `Preprocess`."""
    import onnxruntime

    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    scaled = (images.astype(np.float32) * np.float32(spec.scale) - np.float32(spec.mean)) / np.float32(spec.std)
    batch = np.ascontiguousarray(scaled.transpose(0, 3, 1, 2), dtype=np.float32)
    return np.concatenate([session.run(None, {name: batch[i : i + 1]})[0] for i in range(len(batch))])


def make_images(count: int, seed: int = 0, size: int = 8) -> np.ndarray:
    """uint8 (count, size, size, 3): a colour each with some noise, so that the tiny models tell them apart."""
    rng = np.random.default_rng(seed + 1)
    colours = rng.integers(0, 256, (count, 1, 1, 3))
    return np.clip(colours + rng.integers(-30, 31, (count, size, size, 3)), 0, 255).astype(np.uint8)


def npy_bytes(array: np.ndarray) -> bytes:
    """The bytes of `numpy.save`."""
    stream = io.BytesIO()
    np.save(stream, array, allow_pickle=False)
    return stream.getvalue()


def make_bundle_parts(
    seed: int = 0,
    *,
    batch: int | None = None,
    golden: int = 8,
    calibration: int = 8,
    selection: int = 30,
    certification: int = 60,
    tolerance: float = 1e-3,
) -> BundleParts:
    """Everything for a small real bundle: three ONNX models of 8x8x3 into 4 classes, golden set, evidence.

    Args:
        batch: of the models; None leaves it free.
        golden: number of golden inputs.
        calibration: images in that split; likewise `selection` and `certification`.
        tolerance: of every rung.
    """
    spec = make_preprocess(8)
    images = make_images(golden, seed)
    models = {
        "int8": make_onnx(seed, batch=batch, levels=127),
        "int8-float3": make_onnx(seed, batch=batch, levels=1023),
        REFERENCE: make_onnx(seed, batch=batch),
    }
    outputs = {name: run_onnx(model, images, spec) for name, model in models.items()}
    evidence = make_evidence(
        seed,
        labels=FEW_LABELS,
        calibration=calibration,
        selection=selection,
        certification=certification,
        layers=5,
    )
    files = [canonical.encode(evidence), npy_bytes(images), *models.values(), *map(npy_bytes, outputs.values())]
    blobs = {canonical.sha256_hex(data): data for data in files}
    artefacts = {name: (canonical.sha256_hex(model), len(model)) for name, model in models.items()}
    golden_set = Golden(
        inputs=canonical.sha256_hex(npy_bytes(images)),
        outputs={name: canonical.sha256_hex(npy_bytes(value)) for name, value in outputs.items()},
        tolerance=dict.fromkeys(outputs, tolerance),
    )
    manifest = make_manifest(
        evidence,
        ladder=make_ladder(evidence, artefacts),
        labels=FEW_LABELS,
        size=8,
        batch=batch,
        golden=golden_set,
        blobs=tuple(Blob(sha256, len(blobs[sha256])) for sha256 in sorted(blobs)),
    )
    return BundleParts(manifest, blobs, evidence, models, images, outputs)


def swap_blob(parts: BundleParts, old: str, data: bytes) -> tuple[Manifest, dict[str, bytes]]:
    """What an attacker does who knows the format: another content for blob `old`, and every hash and size mended."""
    new = canonical.sha256_hex(data)
    blobs = {name: content for name, content in parts.blobs.items() if name != old} | {new: data}
    text = canonical.encode(parts.manifest).decode().replace(old, new)
    manifest = canonical.convert(json.loads(text), Manifest, ValueError)
    rungs = tuple(
        replace(rung, candidate=replace(rung.candidate, cost=replace(rung.candidate.cost, size_bytes=len(data))))
        if rung.candidate.artefact_sha256 == new
        else rung
        for rung in manifest.ladder.rungs
    )
    listed = tuple(Blob(name, len(blobs[name])) for name in sorted(blobs))
    return replace(manifest, ladder=replace(manifest.ladder, rungs=rungs), blobs=listed), blobs
