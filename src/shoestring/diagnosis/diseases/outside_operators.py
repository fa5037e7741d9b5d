"""Operators outside an accelerator's set."""

from __future__ import annotations

from collections.abc import Iterator

from shoestring.compress.graph import Graph
from shoestring.compress.passes.lower_mean import LowerMean
from shoestring.diagnosis.accelerators import Accelerator, accelerators
from shoestring.diagnosis.examination import Examination
from shoestring.diagnosis.findings import Disease, Evidence, Finding, Item, Severity

NAMED = 3  # nodes of each kind


def look(examined: Examination) -> Iterator[Item]:
    """For each row of accelerators.toml the operators that it does not run on codes."""
    # `shoestring fit` and `compile` start from a graph whose means over positions are pools
    nodes = LowerMean().run(Graph(examined.graph.proto), {})[0].nodes
    for row in accelerators():
        severity: Severity = "harms" if examined.aim.accelerator == row.name else "note"
        names: dict[str, list[str]] = {}
        for node in nodes:
            if node.op_type not in row.takes:
                names.setdefault(node.op_type, []).append(node.name)
        if names:
            kinds = sorted(names, key=lambda kind: -len(names[kind]))
            count = sum(len(held) for held in names.values())
            listed = ", ".join(f"{len(names[kind])} {kind}" for kind in kinds)
            yield Finding(
                severity,
                f"{count} operators are not in the set of {row.title} ({listed}): each {row.outside}",
                tuple(_evidence(kind, names[kind]) for kind in kinds),
                _cure(examined, row),
            )
        elif row.name == "native" and examined.native_refusal is not None:
            refusal = Evidence(examined.model.source_name, examined.native_refusal, {})
            yield Finding(severity, "`shoestring compile` refuses the model", (refusal,), _cure(examined, row))


def _evidence(kind: str, names: list[str]) -> Evidence:
    more = " ..." if len(names) > NAMED else ""
    return Evidence(kind, f"{', '.join(names[:NAMED])}{more}", {"operators": float(len(names))})


def _cure(examined: Examination, row: Accelerator) -> str:
    if row.name == "native":
        return "run the model on ONNX Runtime (`shoestring fit --runtimes onnxruntime`), or export it without them"
    if row.name == "edge-tpu":
        return "replace them before the training (ReLU for LeakyRelu), or move them behind the output of the model"
    if examined.native_refusal is not None:
        return "replace them before the training, or let them run in float"
    return "compile the model with `shoestring compile`, which takes more of them on codes, or let them run in float"


DISEASE = Disease(
    id="outside-operators",
    name="operators outside an accelerator's set",
    what="An accelerator runs a fixed set of operators; any other one falls back to the processor, with conversions "
    "on both sides, or the model is refused.",
    needs="the graph",
    source="the sets and their sources are in diagnosis/accelerators.toml",
    look=look,
)
