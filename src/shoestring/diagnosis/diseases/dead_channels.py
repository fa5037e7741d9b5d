"""Output channels whose weights are nothing."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from shoestring.diagnosis.examination import Examination
from shoestring.diagnosis.findings import Disease, Evidence, Finding, Item
from shoestring.diagnosis.weights import Layer

DEAD = 1e-6  # of the layer's largest weight: what training with weight decay leaves of a channel nobody reads
SMALLEST_SCALE = 1e-30  # below it a float32 scale underflows when it is multiplied by another


def look(examined: Examination) -> Iterator[Item]:
    """Channels without weights, and scales that such channels were given."""
    broken = [one for layer in examined.layers for one in _broken_scales(layer)]
    spoilt = {one.where for one in broken}
    found = [one for layer in examined.layers if layer.name not in spoilt for one in _dead(layer)]
    if broken:
        yield Finding(
            "harms",
            f"{sum(one.figures['channels'] for one in broken):.0f} channels of {len(broken)} layers have a scale that "
            "is zero, not finite or too small to be multiplied",
            tuple(broken),
            "quantize again with `shoestring fit`, which floors the scale of channels without weights",
        )
    if found:
        found.sort(key=lambda one: -one.figures["share"])
        count = sum(one.figures["channels"] for one in found)
        total = sum(layer.channels for layer in examined.layers)
        yield Finding(
            "note",
            f"{count:.0f} of {total:,} output channels ({100 * count / total:.1f} %), in {len(found)} layers, have no "
            "weights to speak of; they cost time for a constant",
            tuple(found),
            "cut the channels out where the model is trained; `shoestring fit` floors their scale, other quantizers "
            "may divide by zero",
        )


def _dead(layer: Layer) -> Iterator[Evidence]:
    largest = np.abs(layer.rows()).max(axis=1)
    if not np.isfinite(largest).all() or largest.max() <= 0:
        return
    count = int(np.sum(largest <= DEAD * largest.max()))
    if count:
        words = f"{count} of {layer.channels} channels, largest weight {largest.min():.2g} beside {largest.max():.2g}"
        if layer.weight.scales is not None and layer.weight.scales.size == 1:
            words += "; the layer has one scale, which may have rounded them away"
        yield Evidence(layer.name, words, {"channels": float(count), "share": count / layer.channels})


def _broken_scales(layer: Layer) -> Iterator[Evidence]:
    scales = layer.weight.scales
    if scales is None:
        return
    bad = ~np.isfinite(scales) | (np.abs(scales) < SMALLEST_SCALE)
    if bad.any():
        words = f"{int(bad.sum())} of {scales.size} scales are zero, not finite or below {SMALLEST_SCALE:g}"
        yield Evidence(
            layer.name, words, {"channels": float(bad.sum()), "smallest_scale": float(np.abs(scales[bad]).min())}
        )


DISEASE = Disease(
    id="dead-channels",
    name="dead channels",
    what="Weight decay empties channels that nothing reads; their range is zero, so that a scale from it is zero too "
    "unless it is floored.",
    needs="weights",
    source='Mehta et al., "On Implicit Filter Level Sparsity in Convolutional Neural Networks", CVPR 2019',
    look=look,
)
