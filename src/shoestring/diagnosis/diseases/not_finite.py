"""Numbers that are none."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from shoestring.diagnosis.examination import Examination
from shoestring.diagnosis.findings import Disease, Evidence, Finding, Item, Unexamined


def look(examined: Examination) -> Iterator[Item]:
    """NaN or infinity in the weights of layers, and with images in activations."""
    found = []
    for layer in examined.layers:
        parts = (("weights", layer.weight.values), ("biases", layer.bias))
        for what, array in parts:
            count = 0 if array is None else int(np.sum(~np.isfinite(array)))
            if count:
                found.append(
                    Evidence(
                        layer.name, f"{count} {what} of {layer.name!r} are NaN or infinite", {"values": float(count)}
                    )
                )
    for name, span in examined.seen.spans.items() if examined.seen is not None else ():
        channels = int(np.sum(~np.isfinite(span.lows) | ~np.isfinite(span.highs)))
        if channels:
            words = f"activation {name!r} is NaN or infinite in {channels} channels on the images"
            found.append(Evidence(name, words, {"channels": float(channels)}))
    if found:
        yield Finding(
            "harms",
            f"{len(found)} tensors hold NaN or infinity",
            tuple(found),
            "go back to a checkpoint before the training diverged, or remove the division or logarithm that makes them",
        )
    if examined.seen is None:
        yield Unexamined(f"activations: {examined.no_images}")


DISEASE = Disease(
    id="not-finite",
    name="NaN or infinity",
    what="One NaN makes every answer NaN, and a range with infinity in it has no scale.",
    needs="weights; images for the activations",
    source="IEEE 754-2019",
    look=look,
)
