"""Numbers that 16-bit floats cannot hold."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from shoestring.diagnosis.examination import Examination
from shoestring.diagnosis.findings import Disease, Evidence, Finding, Item, Unexamined

LARGEST = 65_504.0


def look(examined: Examination) -> Iterator[Item]:
    """Weights, and with images activations, beyond the largest half-precision number."""
    if examined.quantized:
        return
    found = []
    for name, array in examined.graph.weights.items():
        if array.dtype.kind != "f" or array.dtype == np.float16 or not array.size:
            continue
        finite = array[np.isfinite(array)]
        largest = float(np.abs(finite).max()) if finite.size else 0.0
        if largest > LARGEST:
            found.append(Evidence(name, f"weight {name!r} holds {largest:.4g}", {"magnitude": largest}))
    for name, span in examined.seen.spans.items() if examined.seen is not None else ():
        if np.isfinite(span.magnitude) and span.magnitude > LARGEST:
            found.append(
                Evidence(name, f"activation {name!r} reaches {span.magnitude:.4g}", {"magnitude": span.magnitude})
            )
    if found:
        found.sort(key=lambda one: -one.figures["magnitude"])
        yield Finding(
            "may harm",
            f"{len(found)} tensors exceed {LARGEST:,.0f} and become infinite in fp16",
            tuple(found),
            "keep these tensors in fp32 or bf16, or scale them down where the model is exported; do not take the "
            "rung fp16-weights without its score",
        )
    if examined.seen is None:
        yield Unexamined(f"activations: {examined.no_images}")


DISEASE = Disease(
    id="fp16-overflow",
    name="overflow in fp16",
    what="Half precision ends at 65,504; a mask of -1e9 or a large activation becomes infinite, and "
    "infinity less infinity is NaN.",
    needs="weights of a float model; images for the activations",
    source='IEEE 754-2019, binary16; Micikevicius et al., "Mixed Precision Training", ICLR 2018',
    look=look,
)
