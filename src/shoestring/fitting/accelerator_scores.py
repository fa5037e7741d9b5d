"""Scores and golden outputs of a rung whose accelerator is not at hand, by the runtime that stands in for it."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import numpy as np

from shoestring.domain.score import Score
from shoestring.evaluate.metrics import paired
from shoestring.evaluate.statistics import drop_interval
from shoestring.fitting.assemble import INT8_TOLERANCE, npy_bytes
from shoestring.fitting.candidates import INTERVAL_CONFIDENCE, split_labels
from shoestring.inputs.image import tensor
from shoestring.runtimes import registry

if TYPE_CHECKING:
    from pathlib import Path

    from shoestring.domain.evidence import Trace
    from shoestring.fitting.outcome import Fitted
    from shoestring.fitting.workbench import Workbench


def scores(bench: Workbench, trace: Trace, metric: str) -> tuple[Score, ...]:
    """On the selection split, paired with the original's.

    Args:
        bench: of the fit.
        trace: what the stand-in answered on every image of the split.
        metric: `top-1` or `agreement`.
    """
    original = bench.trace("original", bench.model.path, bench.model.sha256, "selection")
    counts = paired(original.top, trace.top, split_labels(bench, "selection"))
    low, high = drop_interval(counts, metric, INTERVAL_CONFIDENCE)
    return (
        Score(
            metric=metric,
            split="selection",
            paired=counts,
            value=counts.variant_hits / counts.n,
            original=counts.original_hits / counts.n,
            drop_low=low,
            drop_high=high,
            confidence=INTERVAL_CONFIDENCE,
        ),
    )


def golden_outputs(bench: Workbench, fitted: Fitted, asked: Path, stand_in: str) -> bytes:
    """The stand-in's float32 outputs on the golden inputs, one at a time, as an .npy file."""
    spec, name = bench.model.inputs[0], bench.model.outputs[0].name
    fixed = spec.shape[0] or 1
    answers = []
    with registry.get(stand_in).load(asked, 1) as session:
        for image in np.load(_stored(fitted.blobs[fitted.manifest.golden.inputs]), allow_pickle=False):
            batch = tensor(np.repeat(image[None], fixed, axis=0), bench.spec)
            answers.append(session.run({spec.name: batch})[name][:1])
    return npy_bytes(np.concatenate(answers).astype(np.float32))


def tolerance(golden: bytes) -> float:
    """Largest allowed difference of an output on the accelerator: that of 8-bit rungs, whose rounding differs too."""
    outputs = np.load(io.BytesIO(golden), allow_pickle=False)
    return float(INT8_TOLERANCE * (outputs.max() - outputs.min()))


def _stored(blob: bytes | Path) -> Any:
    return io.BytesIO(blob) if isinstance(blob, bytes) else blob
