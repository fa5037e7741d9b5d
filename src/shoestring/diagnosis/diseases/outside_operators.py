"""Operators outside an accelerator's set."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from shoestring.compress.graph import Graph
from shoestring.compress.passes.lower_mean import LowerMean
from shoestring.diagnosis.accelerators import Accelerator, accelerators
from shoestring.diagnosis.examination import Examination
from shoestring.diagnosis.findings import Disease, Evidence, Finding, Item


def look(examined: Examination) -> Iterator[Item]:
    """For each row of accelerators.toml the operators that it does not run on codes."""
    for row in accelerators():
        found = _outside(examined, row)
        if row.name == "native" and not found and examined.native_refusal is not None:
            found = [Evidence(examined.model.source_name, examined.native_refusal, {"operators": 0.0})]
        if not found:
            continue
        asked = examined.aim.accelerator == row.name
        nodes = int(sum(one.figures["operators"] for one in found))
        kinds = ", ".join(f"{int(one.figures['operators'])} {one.where}" for one in found if one.figures["operators"])
        yield Finding(
            "harms" if asked else "note",
            f"{row.title}: {f'{nodes} operators outside its set ({kinds})' if nodes else 'the model is refused'}; "
            f"such a model or operator: {row.outside}",
            tuple(found),
            _cure(row),
        )


def _outside(examined: Examination, row: Accelerator) -> list[Evidence]:
    names: dict[str, list[str]] = {}
    # `shoestring fit` and `compile` start from a graph whose means over positions are pools
    for node in LowerMean().run(Graph(examined.graph.proto), {})[0].nodes:
        if node.op_type not in row.takes:
            names.setdefault(node.op_type, []).append(node.name)
    counts = Counter({kind: len(held) for kind, held in names.items()})
    return [
        Evidence(
            kind,
            f"{count} {kind}: {', '.join(names[kind][:3])}{' ...' if count > 3 else ''}",
            {"operators": float(count)},
        )
        for kind, count in counts.most_common()
    ]


def _cure(row: Accelerator) -> str:
    if row.name == "native":
        return "run the model on ONNX Runtime (`shoestring fit --runtimes onnxruntime`), or export it without them"
    if row.name == "edge-tpu":
        return "replace them before the training (ReLU for LeakyRelu), or move them behind the output of the model"
    return "compile the model with `shoestring compile`, which takes more of them on codes, or let them run in float"


DISEASE = Disease(
    id="outside-operators",
    name="operators outside an accelerator's set",
    what="An accelerator runs a fixed set of operators; any other one falls back to the processor, with "
    "conversions on both sides, "
    "or the model is refused.",
    needs="the graph",
    source="the sets and their sources are in diagnosis/accelerators.toml",
    look=look,
)
