"""Synthetic nouns that tests share: realistic in size and shape, consistent within themselves, seeded.

Whatever can be derived is derived: counts come from the traces, hashes from the bytes. A test that wants something
broken takes a sound noun and breaks one thing with `dataclasses.replace`.
"""

from __future__ import annotations

import hashlib
import io
import json
import math
from dataclasses import dataclass, replace

import numpy as np

from shoestring.base import canonical
from shoestring.domain.budget import Budget
from shoestring.domain.cost import Cost, Machine, Timing
from shoestring.domain.evidence import Evidence, Sensitivity, Split, Trace
from shoestring.domain.ladder import Candidate, Ladder, Rejected, Rung
from shoestring.domain.manifest import FORMAT, Blob, Golden, Manifest
from shoestring.domain.model import TensorSpec
from shoestring.domain.preprocess import Preprocess
from shoestring.domain.recipe import Recipe, Step
from shoestring.domain.score import Certificate, Paired, Score

LABELS = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
FEW_LABELS = ("cat", "dog", "ship", "truck")

RUNTIME = "onnxruntime"
RUNTIME_VERSION = "1.26.0"
MAX_DROP = 0.02
REFERENCE = "fp32"
RUNGS = ("int8", "int8-float3", REFERENCE)  # cheapest first


@dataclass(frozen=True)
class Kind:
    """How one synthetic candidate behaves.

    Args:
        losses: fraction of the images the original answers right that it answers wrong.
        wins: fraction of the others that it mends.
        ratio: its latency relative to the original's.
        rejected: why it is not on the ladder, or None.
    """

    name: str
    precision: str
    steps: tuple[Step, ...]
    why: str
    losses: float
    wins: float
    ratio: float
    size_bytes: int
    rejected: str | None = None


def _static(method: str, floats: tuple[str, ...] = ()) -> tuple[Step, ...]:
    options = {"calibration": method, "per_channel": True, "float_layers": floats}
    return (Step("fuse", {}), Step("quantize-static", options))


KINDS = (
    Kind("int8", "int8", _static("minmax"), "8-bit weights and activations: smallest", 0.010, 0.05, 0.38, 2_400_000),
    Kind(
        "int8-float3",
        "int8-mixed",
        _static("minmax", ("/features/0/Conv", "/features/1/Conv", "/head/Gemm")),
        "the three layers that hurt most stay in float",
        0.004,
        0.03,
        0.47,
        2_900_000,
    ),
    Kind(REFERENCE, "fp32", (Step("fuse", {}),), "the original's own function, optimised", 0.0, 0.0, 0.98, 9_100_000),
    Kind(
        "int8-dynamic",
        "int8",
        (Step("quantize-dynamic", {}),),
        "8-bit weights, activations quantized on the fly",
        0.010,
        0.03,
        1.12,
        2_450_000,
        "slower than the reference: 4.7 ms against 4.2 ms",
    ),
    Kind(
        "int8-entropy",
        "int8",
        _static("entropy"),
        "ranges that lose least information",
        0.070,
        0.05,
        0.38,
        2_400_000,
        "drop of 5.7 pt on the selection split, more than 2 pt",
    ),
    Kind(
        "int8-percentile",
        "int8",
        _static("percentile"),
        "ranges without outliers",
        0.015,
        0.02,
        0.39,
        2_400_000,
        "dominated by int8: dearer and no more accurate",
    ),
    Kind(
        "fp16-weights",
        "fp16-weights",
        (Step("weights-to-fp16", {}),),
        "half the size, same arithmetic",
        0.0,
        0.0,
        1.01,
        4_600_000,
        "dominated by fp32 in latency: 4.3 ms against 4.2 ms",
    ),
)


def make_hash(text: str) -> str:
    """A hash that stands for something the test has no bytes of."""
    return hashlib.sha256(text.encode()).hexdigest()


def make_machine() -> Machine:
    """A mini-PC."""
    return Machine(
        name="Intel(R) N100",
        arch="x86_64",
        isa=("avx2", "avx_vnni", "fma"),
        cores=4,
        memory_bytes=8_000_000_000,
        system="Linux 6.8, glibc 2.39",
    )


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


def make_evidence(
    seed: int = 0,
    *,
    labels: tuple[str, ...] = LABELS,
    labelled: bool = True,
    calibration: int = 100,
    selection: int = 300,
    certification: int = 900,
    layers: int = 50,
) -> Evidence:
    """Three splits, traces of the original and of every candidate, sensitivities worst first.

    Args:
        labels: class names.
        labelled: whether the splits know their labels; without them the metric is agreement.
        calibration: images in that split; likewise `selection` and `certification`.
        layers: how many were probed.
    """
    rng = np.random.default_rng(seed)
    splits, traces = [], []
    for name, count in (("calibration", calibration), ("selection", selection), ("certification", certification)):
        truth = rng.integers(0, len(labels), count)
        images = tuple(sorted(make_hash(f"{seed} {name} {i}") for i in range(count)))
        splits.append(Split(name, images, tuple(map(int, truth)) if labelled else None))
        if name == "calibration":
            continue
        original = _original_top(rng, truth, len(labels))
        traces.append(Trace("original", name, original))
        for kind in KINDS:
            if name == "selection" or kind.rejected is None:
                traces.append(Trace(kind.name, name, _variant_top(rng, truth, original, kind)))
    return Evidence(
        metric="top-1" if labelled else "agreement",
        splits=tuple(splits),
        traces=tuple(traces),
        sensitivity=_sensitivity(rng, layers),
        machine=make_machine(),
        versions={"numpy": "2.3.0", "onnxruntime": RUNTIME_VERSION, "python": "3.11.9", "shoestring": "0.1.0"},
        measurement="candidates interleaved over 20 rounds of 10 runs after warm-up until flat within 2 %",
        seed=seed,
    )


def _original_top(rng: np.random.Generator, truth: np.ndarray, classes: int) -> tuple[tuple[int, ...], ...]:
    rows = []
    for label in truth:
        order = [int(i) for i in rng.permutation(classes)]
        if rng.random() < 0.93:
            order.remove(int(label))
            order.insert(0, int(label))
        rows.append(tuple(order[:5]))
    return tuple(rows)


def _variant_top(
    rng: np.random.Generator, truth: np.ndarray, original: tuple[tuple[int, ...], ...], kind: Kind
) -> tuple[tuple[int, ...], ...]:
    rows = []
    for label, row in zip(truth, original, strict=True):
        right, draw = row[0] == label, rng.random()
        if right and draw < kind.losses:
            row = (row[1], row[0], *row[2:])
        elif not right and draw < kind.wins:
            row = (int(label), *[i for i in row if i != label])[: len(row)]
        rows.append(row)
    return tuple(rows)


def _sensitivity(rng: np.random.Generator, layers: int) -> tuple[Sensitivity, ...]:
    kl = np.sort(np.exp(rng.normal(-7.0, 1.8, layers)))[::-1]
    return tuple(
        Sensitivity(
            layer=f"/features/{i}/Conv" if i % 7 else f"/blocks/{i}/Gemm",
            operator="Conv" if i % 7 else "Gemm",
            kl=float(f"{value:.6g}"),
            sqnr_db=float(f"{10 * math.log10(1 / value) + 5:.5g}"),
        )
        for i, value in enumerate(kl)
    )


def count_pairs(evidence: Evidence, candidate: str, split: str, depth: int = 1) -> Paired:
    """Counts of `candidate` against the original, by the definition of `Paired`."""
    truth = evidence.split(split).labels
    original, variant = evidence.trace("original", split).top, evidence.trace(candidate, split).top
    if truth is None:
        same = sum(a[0] == b[0] for a, b in zip(original, variant, strict=True))
        return Paired(len(original), len(original), same, 0, len(original) - same)
    before = [label in row[:depth] for label, row in zip(truth, original, strict=True)]
    after = [label in row[:depth] for label, row in zip(truth, variant, strict=True)]
    wins = sum(b and not a for a, b in zip(before, after, strict=True))
    losses = sum(a and not b for a, b in zip(before, after, strict=True))
    return Paired(len(before), sum(before), sum(after), wins, losses)


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


def run_onnx(model: bytes, images: np.ndarray, spec: Preprocess) -> np.ndarray:
    """float32 (n, classes) of uint8 (n, h, w, c), one image at a time, with the formula of `Preprocess`."""
    import onnxruntime

    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    scaled = (images.astype(np.float32) * np.float32(spec.scale) - np.float32(spec.mean)) / np.float32(spec.std)
    batch = np.ascontiguousarray(scaled.transpose(0, 3, 1, 2), dtype=np.float32)
    return np.concatenate([session.run(None, {"input": batch[i : i + 1]})[0] for i in range(len(batch))])


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
