"""Depthwise weights with one scale for all channels."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from shoestring.diagnosis.examination import Examination
from shoestring.diagnosis.findings import Disease, Evidence, Finding, Item
from shoestring.diagnosis.weights import Layer

POOR = 7  # largest code of a channel: three bits and a sign are left of eight


def look(examined: Examination) -> Iterator[Item]:
    """Quantized depthwise layers whose weight has a single scale, and how few codes their channels use."""
    found = [one for layer in examined.layers if layer.depthwise for one in _poor(layer)]
    if found:
        found.sort(key=lambda one: -one.figures["poor_channels"])
        poor = sum(one.figures["poor_channels"] for one in found)
        yield Finding(
            "harms" if poor else "may harm",
            f"{len(found)} depthwise layers have one scale for all channels; {poor:.0f} channels use no "
            f"code above {POOR} of 127",
            tuple(found),
            "quantize with one scale a channel, as `shoestring fit` does",
        )


def _poor(layer: Layer) -> Iterator[Evidence]:
    rows = layer.code_rows()
    if rows is None or layer.weight.scales is None or layer.weight.scales.size != 1 or layer.channels == 1:
        return
    largest = np.abs(rows).max(axis=1)
    poor = int(np.sum((largest > 0) & (largest <= POOR)) + np.sum(largest == 0))
    words = (
        f"{poor} of {layer.channels} channels with codes up to {POOR}; medians of the largest code: "
        f"{np.median(largest):.0f}"
    )
    yield Evidence(layer.name, words, {"poor_channels": float(poor), "channels": float(layer.channels)})


DISEASE = Disease(
    id="depthwise-one-scale",
    name="one scale for the weights of a depthwise layer",
    what="Each channel of a depthwise layer is a filter of its own; one scale for all leaves the small "
    "ones a handful of codes.",
    needs="8-bit weights",
    source='Krishnamoorthi, "Quantizing deep convolutional networks for efficient inference", 2018',
    look=look,
)
