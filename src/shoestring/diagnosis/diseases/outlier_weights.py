"""Single weights that take the steps from all others."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from shoestring.diagnosis.examination import Array, Examination
from shoestring.diagnosis.findings import Disease, Evidence, Finding, Item
from shoestring.diagnosis.weights import Layer

LOST = 0.5  # share of a channel's weights that round to zero beside the largest
LEAST = 16  # weights a channel; below it half of them is chance
PART = 0.05  # of the channel's energy in the weights that round to zero: less is no loss
LIMIT = 127


def look(examined: Examination) -> Iterator[Item]:
    """Channels in which one large weight rounds most of the others, and some of their sum of squares, to zero."""
    found = [one for layer in examined.layers if layer.weight.codes is None for one in _outliers(layer)]
    if found:
        found.sort(key=lambda one: -one.figures["channels"])
        yield Finding(
            "may harm",
            f"{sum(one.figures['channels'] for one in found):.0f} channels in {len(found)} layers hold an outlier "
            "that rounds half of the other weights to zero",
            tuple(found),
            "let `shoestring fit` leave these layers in float (rungs int8-float...), or clip the outlier and train on",
        )


def _outliers(layer: Layer) -> Iterator[Evidence]:
    rows = layer.rows().astype(np.float64)
    if rows.shape[1] < LEAST or not np.isfinite(rows).all():
        return
    bad = spoilt_rows(rows)
    if bad.any():
        where = int(np.argmax(bad))
        magnitudes = np.abs(rows[where])
        words = (
            f"{int(bad.sum())} of {layer.channels} channels; in channel {where} the largest weight is "
            f"{magnitudes.max():.3g}, "
        )
        words += f"the median {np.median(magnitudes):.2g}"
        figures = {
            "channels": float(bad.sum()),
            "largest": float(magnitudes.max()),
            "median": float(np.median(magnitudes)),
        }
        yield Evidence(layer.name, words, figures)


def spoilt_rows(rows: Array) -> Array:
    """Rows that lose most of their weights, and PART of their energy, when rounded with a scale of their own."""
    magnitudes = np.abs(rows)
    steps = magnitudes.max(axis=1, keepdims=True) / LIMIT
    alive = magnitudes > 0  # weights that pruning set to zero are no loss
    gone = alive & (magnitudes < steps / 2)
    share = gone.sum(axis=1) / np.maximum(alive.sum(axis=1), 1)
    rest = np.sum(magnitudes**2, axis=1) - magnitudes.max(axis=1) ** 2
    energy = np.sum(np.where(gone, magnitudes, 0) ** 2, axis=1) / np.maximum(rest, 1e-300)
    return np.asarray((share > LOST) & (energy > PART))


DISEASE = Disease(
    id="outlier-weights",
    name="outlier weights",
    what="The scale of a channel follows its largest weight; one outlier rounds the others to zero.",
    needs="float weights",
    source='Nagel et al., "A White Paper on Neural Network Quantization", 2021',
    look=look,
)
