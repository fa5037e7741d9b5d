"""Activations that a quantizer leaves in float."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from shoestring.compress.layers import plan
from shoestring.diagnosis.examination import Examination
from shoestring.diagnosis.findings import Disease, Evidence, Finding, Item

HARD = frozenset(
    {
        "Sigmoid",
        "HardSigmoid",
        "HardSwish",
        "Gelu",
        "Erf",
        "Mish",
        "Elu",
        "Selu",
        "Celu",
        "LeakyRelu",
        "PRelu",
        "Softplus",
        "Tanh",
    }
)
"""Element by element, and neither a range nor a piece of one, as ReLU and Clip are."""


def look(examined: Examination) -> Iterator[Item]:
    """Activations on the way from one weighted layer to another that no integer operator takes over."""
    graph = examined.graph
    if examined.quantized:
        left = [node for node in graph.nodes if node.op_type in HARD and not _between_codes(examined, node.output[0])]
    else:
        planned = {layer.node.name for layer in plan(graph, frozenset())}
        left = [node for node in graph.nodes if node.op_type in HARD and node.name not in planned]
    ends = set(graph.outputs)
    left = [node for node in left if node.output[0] not in ends]
    if not left or not examined.layers:
        return
    counts = Counter(node.op_type for node in left)
    kinds = ", ".join(f"{count} {kind}" for kind, count in counts.most_common())
    elements = {node.name: _elements(examined, node.output[0]) for node in left}
    left.sort(key=lambda node: -elements[node.name])
    yield Finding(
        "may harm",
        f"{len(left)} activations ({kinds}) run in float between {len(examined.layers)} layers, "
        f"{sum(elements.values()):,} elements each way",
        tuple(
            Evidence(
                node.name,
                f"{node.op_type} on {elements[node.name]:,} elements",
                {"elements": float(elements[node.name])},
            )
            for node in left
        ),
        _cure(examined),
    )


def _cure(examined: Examination) -> str:
    if examined.native_refusal is not None:
        return (
            "train with ReLU or ReLU6 in their place, or let `shoestring fit` measure whether 8 bits pay in this model"
        )
    return (
        "compile the model with `shoestring compile`, which turns activations between codes into tables of 256 bytes, "
        "or train with ReLU or ReLU6"
    )


def _between_codes(examined: Examination, tensor: str) -> bool:
    """Whether the tensor is quantized at once, so that an engine or a table can do the step on codes."""
    readers = examined.graph.consumers.get(tensor, [])
    return bool(readers) and all(reader.op_type == "QuantizeLinear" for reader in readers)


def _elements(examined: Examination, tensor: str) -> int:
    count = 1
    for size in examined.shapes.get(tensor, (0,)):
        count *= size
    return count


DISEASE = Disease(
    id="float-activations",
    name="activations left in float",
    what="GELU, ELU, Mish and their like cannot be written as a range; where the quantizer leaves them in float, every "
    "one costs two conversions of its tensor. Leaky ReLU, SiLU and hard swish it takes.",
    needs="the graph",
    source="shoestring, compress/layers.py: what its quantizer takes",
    look=look,
)
