"""Batch norms that could not be folded."""

from __future__ import annotations

from collections.abc import Iterator

from shoestring.diagnosis.examination import Examination
from shoestring.diagnosis.findings import Disease, Evidence, Finding, Item


def look(examined: Examination) -> Iterator[Item]:
    """BatchNormalization nodes that are still there after the import, which folds those behind a layer of their own."""
    graph = examined.graph
    found = []
    for node in graph.nodes:
        if node.op_type == "BatchNormalization":
            maker = graph.producers.get(node.input[0])
            behind = maker.op_type if maker is not None else "the input"
            found.append(
                Evidence(
                    node.name,
                    f"behind {behind}, {len(graph.consumers.get(node.input[0], []))} readers of its input",
                    {},
                )
            )
    if found:
        yield Finding(
            "may harm",
            f"{len(found)} batch norms stay in float: none follows a Conv or Gemm whose result it alone reads",
            tuple(found),
            "move each batch norm directly behind a convolution in the training code (or fold it into the "
            "convolution that follows), and export again",
        )


DISEASE = Disease(
    id="batch-norm-left",
    name="batch norm not folded",
    what="The import folds a batch norm into the layer before it; one that stands elsewhere (before the convolution, "
    "behind a sum) stays a float operator between integer ones.",
    needs="the graph",
    source='Jacob et al., "Quantization and Training of Neural Networks", CVPR 2018, section 3.2',
    look=look,
)
