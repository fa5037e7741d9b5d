"""Probabilities inside the graph."""

from __future__ import annotations

from collections.abc import Iterator

from shoestring.diagnosis.ends import MOVES, SQUASHES, before_outputs
from shoestring.diagnosis.examination import Examination
from shoestring.diagnosis.findings import Disease, Evidence, Finding, Item


def look(examined: Examination) -> Iterator[Item]:
    """A Softmax, LogSoftmax or Sigmoid that makes an output, and whether it is quantized behind."""
    plain: list[Evidence] = []
    quantized: list[Evidence] = []
    through = MOVES | {"DequantizeLinear", "QuantizeLinear"}
    exact = {node.name for _, node in before_outputs(examined.graph, MOVES)}
    for output, node in before_outputs(examined.graph, through):
        if node.op_type not in SQUASHES:
            continue
        held = Evidence(node.name, f"{output!r} is made by {node.op_type}", {})
        (plain if node.name in exact else quantized).append(held)
    cure = (
        "export the model with its logits as output; the order of the classes is the same, and the rest "
        "is one line on the device"
    )
    if quantized:
        yield Finding(
            "may harm",
            f"{len(quantized)} output(s) are probabilities in 8 bits: all below 1/512 are zero, and sure classes tie",
            tuple(quantized),
            cure,
        )
    if plain:
        yield Finding(
            "note", f"{len(plain)} output(s) are probabilities, which quantize worse than logits", tuple(plain), cure
        )


DISEASE = Disease(
    id="softmax-inside",
    name="a softmax inside the graph before the output",
    what="Probabilities crowd near zero and one, where 8 even steps tell nothing apart; exponentials also run in "
    "float on most accelerators.",
    needs="the graph",
    source="even steps of 1/255 on [0, 1]",
    look=look,
)
