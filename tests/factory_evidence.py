"""Synthetic evidence: splits, answers of candidates, sensitivities. Tests import it through `factory`."""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass

import numpy as np

from shoestring.domain.cost import Machine
from shoestring.domain.evidence import Evidence, Sensitivity, Split, Trace
from shoestring.domain.recipe import Step
from shoestring.domain.score import Paired

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
