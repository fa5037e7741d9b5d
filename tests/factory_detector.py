"""A small real bundle of a detector: joined models, golden set, and evidence that speaks of objects."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

import tiny_detector as squares
from factory import BundleParts, make_ladder, make_manifest, npy_bytes, run_onnx
from factory_evidence import REFERENCE, RUNGS, make_evidence
from shoestring.base import canonical
from shoestring.domain.detection import Detections, Differences, Rule
from shoestring.domain.evidence import Evidence, Trace
from shoestring.domain.manifest import Blob, Golden
from shoestring.domain.model import TensorSpec
from shoestring.domain.preprocess import Preprocess
from shoestring.domain.score import DETECTION_AGREEMENT

SPEC = Preprocess(squares.SIZE, squares.SIZE)
OBJECTS = 2  # confident ones that the original sees in each image


def make_detector_evidence(seed: int = 0) -> Evidence:
    """Of a classifier without labels, each other answer taken for one object lost; every third invents one too."""
    found = make_evidence(seed, labelled=False, calibration=8, selection=30, certification=60, layers=3)
    original = {trace.split: trace.top for trace in found.traces if trace.candidate == "original"}
    traces = tuple(
        replace(
            trace,
            top=tuple((int(one[0] == other[0]),) for one, other in zip(trace.top, original[trace.split], strict=False)),
        )
        for trace in found.traces
    )
    differences = tuple(_differences(trace) for name in RUNGS for trace in traces if _of(trace, name))
    detections = Detections(Rule(), (OBJECTS,) * 60, differences)
    return replace(found, metric=DETECTION_AGREEMENT, traces=traces, detections=detections)


def _of(trace: Trace, name: str) -> bool:
    return (trace.candidate, trace.split) == (name, "certification")


def _differences(trace: Trace) -> Differences:
    lost = tuple(1 - one[0] for one in trace.top)
    invented = tuple(gone if place % 3 == 0 else 0 for place, gone in enumerate(lost))
    return Differences(trace.candidate, lost, invented, 0.9)


def make_detector_models(seed: int = 0) -> dict[str, bytes]:
    """ONNX bytes of each rung; weights of two of them are rounded to so many steps."""
    models = {}
    for name, levels in (("int8", 127), ("int8-float3", 1023), (REFERENCE, None)):
        weights = squares.make_weights(seed)
        for key in weights if levels else ():
            step = np.abs(weights[key]).max() / levels
            weights[key] = (np.round(weights[key] / step) * step if step else weights[key]).astype(np.float32)
        models[name] = squares.make_model(weights, joined=True).SerializeToString(deterministic=True)
    return models


def make_detector_parts(seed: int = 0, *, golden: int = 4, tolerance: float = 1e-3) -> BundleParts:
    """Everything for a small real bundle of a detector of coloured squares, 64 x 64 pixels.

    Args:
        seed: of weights, pictures and evidence.
        golden: number of golden inputs.
        tolerance: of every rung.
    """
    rng = np.random.default_rng(seed)
    images = np.stack([squares.make_scene(rng)[0] for _ in range(golden)])
    models = make_detector_models(seed)
    outputs = {name: run_onnx(model, images, SPEC, "image") for name, model in models.items()}
    evidence = make_detector_evidence(seed)
    files = [canonical.encode(evidence), npy_bytes(images), *models.values(), *map(npy_bytes, outputs.values())]
    blobs = {canonical.sha256_hex(data): data for data in files}
    artefacts = {name: (canonical.sha256_hex(model), len(model)) for name, model in models.items()}
    made = make_manifest(
        evidence,
        ladder=make_ladder(evidence, artefacts),
        labels=squares.CLASSES,
        size=squares.SIZE,
        golden=Golden(
            inputs=canonical.sha256_hex(npy_bytes(images)),
            outputs={name: canonical.sha256_hex(npy_bytes(value)) for name, value in outputs.items()},
            tolerance=dict.fromkeys(outputs, tolerance),
        ),
        blobs=tuple(Blob(sha256, len(blobs[sha256])) for sha256 in sorted(blobs)),
    )
    manifest = replace(
        made,
        name="squares",
        input=TensorSpec("image", "float32", (None, 3, squares.SIZE, squares.SIZE)),
        output=TensorSpec("detections", "float32", (None, squares.LENGTH)),
        preprocess=SPEC,
        head=squares.HEAD,
    )
    return BundleParts(manifest, blobs, evidence, models, images, outputs)


__all__ = ["OBJECTS", "SPEC", "make_detector_evidence", "make_detector_models", "make_detector_parts"]
