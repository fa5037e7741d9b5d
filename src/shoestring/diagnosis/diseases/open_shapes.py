"""Shapes that are not known before an image comes."""

from __future__ import annotations

from collections.abc import Iterator

from shoestring.diagnosis.examination import Examination
from shoestring.diagnosis.findings import Disease, Evidence, Finding, Item


def look(examined: Examination) -> Iterator[Item]:
    """Inputs with free dimensions beyond the first, and batches fixed above one."""
    found, batches = [], []
    for spec in examined.model.inputs:
        shape = " x ".join("?" if size is None else str(size) for size in spec.shape)
        free = [axis for axis, size in enumerate(spec.shape) if size is None and axis > 0]
        if free:
            found.append(Evidence(spec.name, f"input {spec.name!r} is {shape}", {"free_dimensions": float(len(free))}))
        elif len(spec.shape) == 4 and spec.shape[0] is not None and spec.shape[0] > 1:
            batches.append(Evidence(spec.name, f"input {spec.name!r} is {shape}", {"batch": float(spec.shape[0])}))
    if not found and examined.no_shapes is not None:
        found.append(Evidence(examined.model.source_name, examined.no_shapes, {}))
    if found:
        yield Finding(
            "may harm",
            "the size of the input is open: memory cannot be planned, and compilers and accelerators refuse the model",
            tuple(found),
            "export the model with a fixed size of its input; the batch may stay free",
        )
    if batches:
        size = batches[0].figures["batch"]
        yield Finding(
            "may harm",
            f"the batch is fixed at {size:.0f}: one image costs as much as {size:.0f}",
            tuple(batches),
            "export the model with a batch of one, or a free one",
        )


DISEASE = Disease(
    id="open-shapes",
    name="dynamic shapes, or a large fixed batch",
    what="A device answers one image at a time in memory planned beforehand.",
    needs="the graph",
    source="static shapes are required by `shoestring compile` and by the Edge TPU compiler",
    look=look,
)
