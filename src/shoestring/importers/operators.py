"""Which operators a model uses, and whether they are ours to read."""

from __future__ import annotations

from collections import Counter
from typing import Any

from shoestring.base.errors import ModelError
from shoestring.importers.require import defs
from shoestring.importers.walk import nodes_inside

_DOMAINS = ("", "ai.onnx.ml")
_QUANTIZED = frozenset(
    [
        "QuantizeLinear",
        "DequantizeLinear",
        "DynamicQuantizeLinear",
        "QLinearConv",
        "QLinearMatMul",
        "ConvInteger",
        "MatMulInteger",
    ]
)
_MAX_NAMED = 8


def check_operators(model: Any) -> None:
    """Hold every node, those of subgraphs included, to the operators of ONNX itself. Changes `ai.onnx` to "".

    Raises:
        ModelError: names the operators that are not standard at the model's opset.
    """
    versions = {item.domain: item.version for item in model.opset_import}
    versions[""] = versions.get("", versions.get("ai.onnx", 0))
    unknown: Counter[str] = Counter()
    for node in nodes_inside(model.graph):
        loose = [attribute.name for attribute in node.attribute if attribute.ref_attr_name]
        if loose:
            raise ModelError(
                f"node {node.name!r} takes {loose[0]!r} from a function that it does not stand in",
                hint="the file is damaged; export it again",
            )
        if node.domain == "ai.onnx":
            node.domain = ""
        known = node.domain in _DOMAINS and node.domain in versions
        if not (known and defs.has(node.op_type, versions[node.domain], node.domain)):
            unknown[f"{node.domain or 'ai.onnx'}.{node.op_type}"] += 1
    if unknown:
        named = ", ".join(f"{name} ({count})" for name, count in sorted(unknown.items())[:_MAX_NAMED])
        more = f" and {len(unknown) - _MAX_NAMED} more" if len(unknown) > _MAX_NAMED else ""
        raise ModelError(
            f"the model uses operators that are not standard ONNX at opset {versions['']}: {named}{more}",
            hint="export it without custom operators and before any optimisation for one runtime",
        )


def quantized_note(nodes: list[Any]) -> str | None:
    """A note when the model is quantized already, else None."""
    found = Counter(inner.op_type for node in nodes for inner in nodes_inside(node) if inner.op_type in _QUANTIZED)
    if not found:
        return None
    return "already quantized: holds " + ", ".join(f"{count} {name}" for name, count in sorted(found.items()))
