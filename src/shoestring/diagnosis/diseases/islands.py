"""int8 islands that cost more in conversions than they gain."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from shoestring.diagnosis.accelerators import accelerator_named
from shoestring.diagnosis.examination import INTEGER_FORMS, Examination
from shoestring.diagnosis.findings import Disease, Evidence, Finding, Item, Unexamined

if TYPE_CHECKING:
    import onnx

    from shoestring.compress.graph import Graph

BREAK_EVEN = 8.0
"""MACs for each converted element below which an island loses. Reckoned, not measured: on AVX2 a float MAC takes 1/16
cycle and an 8-bit one about 1/40, and a conversion (load, multiply, round, pack, store) about 1/3 cycle an element."""


@dataclass
class Island:
    """Operators on codes that hang together.

    Args:
        nodes: their names, in execution order.
        macs: of all of them.
        converted: elements quantized from, or dequantized for, float operators; the model's own inputs and outputs are
            converted in any case and are left out.
        conversions: how many tensors those are.
    """

    nodes: list[str] = field(default_factory=list)
    macs: int = 0
    converted: int = 0
    conversions: int = 0


def look(examined: Examination) -> Iterator[Item]:
    """Conversions at the borders of each island beside the products inside it."""
    kinds = {node.op_type for node in examined.graph.nodes}
    if kinds & INTEGER_FORMS:
        yield Unexamined(f"islands of {', '.join(sorted(kinds & INTEGER_FORMS))}: their borders are not followed")
        return
    if "QuantizeLinear" not in kinds:
        return
    if examined.no_shapes is not None:
        yield Unexamined(f"the shapes are not known: {examined.no_shapes}")
        return
    found = islands(examined)
    losing = [one for one in found if one.conversions and one.macs < BREAK_EVEN * one.converted]
    if not losing:
        return
    losing.sort(key=lambda one: one.macs / one.converted if one.converted else math.inf)
    empty = any(one.macs == 0 for one in losing)
    yield Finding(
        "harms" if empty else "may harm",
        f"{len(losing)} of {len(found)} islands of integer operators do fewer than {BREAK_EVEN:g} MACs for "
        "each element that is "
        f"converted at their borders; {sum(one.conversions for one in losing)} tensors are converted for them",
        tuple(_evidence(one) for one in losing),
        "leave these operators in float, or quantize their neighbours too; `shoestring fit` quantizes only operators "
        "whose inputs already are codes, and measures whether it pays",
    )


def _evidence(island: Island) -> Evidence:
    each = island.macs / max(island.converted, 1)
    words = (
        f"{len(island.nodes)} operator(s) from {island.nodes[0]!r}: {island.macs:,} MACs, {island.conversions} "
        f"conversions of {island.converted:,} elements, {each:.3g} MACs an element"
    )
    figures = {
        "operators": float(len(island.nodes)),
        "macs": float(island.macs),
        "conversions": float(island.conversions),
        "converted_elements": float(island.converted),
    }
    return Evidence(island.nodes[0], words, figures)


def islands(examined: Examination) -> list[Island]:
    """The islands of a model in QuantizeLinear/DequantizeLinear form, in execution order."""
    graph = examined.graph
    integer = {node.name: node for node in graph.nodes if _on_codes(graph, node)}
    group = {name: name for name in integer}

    def root(name: str) -> str:
        while group[name] != name:
            name = group[name]
        return name

    for node in integer.values():
        for name in node.input:
            maker = _maker_of_codes(graph, name)
            if maker is not None and maker.name in integer:
                first, second = root(maker.name), root(node.name)
                group[second] = first
    found: dict[str, Island] = {}
    for node in graph.nodes:
        if node.name in integer:
            island = found.setdefault(root(node.name), Island())
            island.nodes.append(node.name)
            island.macs += examined.macs.get(node.name, 0)
    _count_borders(examined, integer, {name: found[root(name)] for name in integer})
    return list(found.values())


def _count_borders(examined: Examination, integer: dict[str, onnx.NodeProto], home: dict[str, Island]) -> None:
    """Add each conversion between float and codes to the island that it is made for, once a tensor."""
    graph = examined.graph
    outputs = set(graph.outputs)
    seen: set[tuple[str, int]] = set()
    for node in integer.values():
        island = home[node.name]
        for name in node.input:
            quantizer = _quantizer_behind(graph, name)
            if quantizer is None or quantizer.input[0] in graph.inputs:
                continue
            maker = _through_activation(graph, quantizer.input[0])
            if (maker is None or maker.name not in integer) and (name, id(island)) not in seen:
                seen.add((name, id(island)))
                _convert(examined, island, name)
        for name in _dequantized(graph, node):
            readers = graph.consumers.get(name, [])
            leaves = [reader for reader in readers if reader.name not in integer and reader.op_type != "QuantizeLinear"]
            if leaves and name not in outputs and (name, id(island)) not in seen:
                seen.add((name, id(island)))
                _convert(examined, island, name)


def _convert(examined: Examination, island: Island, name: str) -> None:
    island.converted += math.prod(examined.shapes.get(name, ()))
    island.conversions += 1


def _on_codes(graph: Graph, node: onnx.NodeProto) -> bool:
    """Whether engines run the node on codes: one of ONNX Runtime's integer operators, all data dequantized."""
    if node.op_type not in accelerator_named("onnxruntime").operators:
        return False
    data = [name for name in node.input if name and name not in graph.weights and not _constant(graph, name)]
    if not data or not all(_quantizer_behind(graph, name) is not None for name in data):
        return False
    return bool(_dequantized(graph, node)) or node.op_type in ("Gemm", "MatMul")


def _constant(graph: Graph, name: str) -> bool:
    node = graph.producers.get(name)
    return node is not None and all(one in graph.weights for one in node.input if one)


def _quantizer_behind(graph: Graph, name: str) -> onnx.NodeProto | None:
    """The QuantizeLinear whose codes are dequantized to `name`."""
    node = graph.producers.get(name)
    if node is None or node.op_type != "DequantizeLinear":
        return None
    maker = graph.producers.get(node.input[0])
    return maker if maker is not None and maker.op_type == "QuantizeLinear" else None


def _maker_of_codes(graph: Graph, name: str) -> onnx.NodeProto | None:
    quantizer = _quantizer_behind(graph, name)
    return None if quantizer is None else _through_activation(graph, quantizer.input[0])


def _through_activation(graph: Graph, name: str) -> onnx.NodeProto | None:
    """The node that makes `name`; one behind a ReLU or Clip, which the quantizer's range takes over."""
    node = graph.producers.get(name)
    if node is not None and node.op_type in ("Relu", "Clip"):
        return graph.producers.get(node.input[0])
    return node


def _dequantized(graph: Graph, node: onnx.NodeProto) -> list[str]:
    """Float tensors made from the codes of the node's output."""
    found = []
    left = list(graph.consumers.get(node.output[0], []))
    left += [
        inner
        for reader in left
        if reader.op_type in ("Relu", "Clip")
        for inner in graph.consumers.get(reader.output[0], [])
    ]
    for reader in left:
        if reader.op_type == "QuantizeLinear":
            inner = graph.consumers.get(reader.output[0], [])
            found += [one.output[0] for one in inner if one.op_type == "DequantizeLinear"]
    return found


DISEASE = Disease(
    id="islands",
    name="int8 islands that cost more in conversions than they gain",
    what="Where float and integer operators alternate, every border converts a whole tensor; an island with few "
    "products inside is slower than the float operators it replaced.",
    needs="a quantized model with known shapes",
    source="reckoned from instruction widths; the break-even of 8 MACs an element is not a measurement",
    look=look,
)
