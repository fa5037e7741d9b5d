"""Where each operator of a model runs on a chip, and what would bring the others over."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from shoestring.analysis.layers import layers
from shoestring.legalise.caching import Caching, caching
from shoestring.legalise.codes import IN_FLOATS, is_quantized, on_codes
from shoestring.legalise.rewrites import REWRITES
from shoestring.legalise.site import Site, look_at
from shoestring.legalise.table import rows
from shoestring.legalise.target import BETWEEN, Target

if TYPE_CHECKING:
    from collections.abc import Mapping

    from shoestring.analysis.graphs import View
    from shoestring.compress.graph import Graph
    from shoestring.domain.model import Layer

PROCESSOR = "cpu"
FOLLOWS = "follows an operator that runs on the processor: the graph is cut once"


@dataclass(frozen=True)
class Placed:
    """One operator.

    Args:
        name: of the node.
        operator: of ONNX.
        place: the engine's name, or `cpu`.
        why: it is not on the accelerator; empty where it is.
        doubt: why the maker's compiler may decide otherwise; empty where nothing says so.
        cures: rewrites that fit it and keep what it computes.
        macs: multiply-accumulates for one example.
        parameters: weights and biases.
    """

    name: str
    operator: str
    place: str
    why: str
    doubt: str
    cures: tuple[str, ...]
    macs: int
    parameters: int


@dataclass(frozen=True)
class Plan:
    """Where a model would run.

    Args:
        chip: its name.
        engine: the accelerator's.
        title: of the accelerator.
        parting: what becomes of a model with an operator that the accelerator lacks, one of `operators.PARTINGS`.
        opset: of the model.
        highest_opset: that the accelerator's tools read; None where nobody says.
        operators: in execution order, without those that only move between floats and codes.
        crossings: tensors that pass between accelerator and processor.
        crossing_bytes: of them, for one example, as the accelerator holds them.
        caching: which weights stay on the chip; None where its memory is not known.
        peak_elements: values that the widest layer reads and writes.
    """

    chip: str
    engine: str
    title: str
    parting: str
    opset: int
    highest_opset: int | None
    operators: tuple[Placed, ...]
    crossings: tuple[str, ...]
    crossing_bytes: int
    caching: Caching | None
    peak_elements: int

    @property
    def mapped(self) -> tuple[Placed, ...]:
        """Operators on the accelerator."""
        return tuple(one for one in self.operators if one.place == self.engine)

    @property
    def outside(self) -> tuple[Placed, ...]:
        """Operators that the accelerator lacks; not those that only follow one."""
        return tuple(one for one in self.operators if one.why and one.why != FOLLOWS)

    @property
    def first_outside(self) -> Placed | None:
        return next(iter(self.outside), None)

    @property
    def refused(self) -> bool:
        """Whether the accelerator's tools would refuse the model as it is."""
        late = self.highest_opset is not None and self.opset > self.highest_opset
        return self.parting == "refuse" and (bool(self.outside) or late)

    @property
    def mapped_macs(self) -> int:
        return sum(one.macs for one in self.mapped)

    @property
    def macs(self) -> int:
        return sum(one.macs for one in self.operators)


def plan(graph: Graph, target: Target) -> Plan:
    """Place every operator of a graph.

    An operator is on the accelerator when the maker's list takes it and, where the compiler cuts the graph once,
    nothing that it depends on left the accelerator before. A float graph for a chip of codes is judged by the operators
    it would have once quantized; of a quantized one, what was left in floats stays off.

    Args:
        graph: with static shapes but for a free batch.
        target: what the accelerator asks for.

    Raises:
        ModelError: shapes that cannot be inferred.
    """
    graph = graph.copy()
    view = look_at(graph)
    costs = {layer.name: layer for layer in layers(view, set())}
    lost: set[str] = set()
    codes = target.weight_bytes == 1 and is_quantized(graph)
    placed = []
    for index, node in enumerate(graph.nodes):
        if all(name in view.stored for name in node.output):
            continue
        site = Site(graph, view, node)
        why = target.why_not(site) or ""
        if not why and codes and node.op_type not in BETWEEN and not on_codes(graph, node):
            why = IN_FLOATS
        if not why and target.takes.parting == "once" and lost.intersection(node.input):
            why = FOLLOWS
        if why:
            lost.update(node.output)
        if node.op_type in BETWEEN and why in ("", FOLLOWS):
            continue
        placed.append(_placed(site, target, why, costs[node.name or f"{node.op_type}_{index}"]))
    crossings = _crossings(graph, view, lost)
    return Plan(
        chip=target.chip.name,
        engine=target.engine,
        title=target.accelerator.title,
        parting=target.takes.parting,
        opset=graph.opset,
        highest_opset=target.takes.opset,
        operators=tuple(placed),
        crossings=crossings,
        crossing_bytes=sum(view.tensors[name].count for name in crossings if name in view.tensors)
        * target.weight_bytes,
        caching=caching(target, [one.parameters for one in placed if one.place == target.engine], _peak(costs)),
        peak_elements=_peak(costs),
    )


def cures(site: Site) -> tuple[str, ...]:
    """Rewrites that fit a node and keep what it computes, the preferred first."""
    fitting = [row for row in rows() if row.takes == site.node.op_type and row.exact != "no"]
    return tuple(row.name for row in fitting if REWRITES[row.name](site) is not None)


def _placed(site: Site, target: Target, why: str, layer: Layer) -> Placed:
    node = site.node
    return Placed(
        name=layer.name,
        operator=node.op_type,
        place=PROCESSOR if why else target.engine,
        why=why,
        doubt="" if why else target.takes.doubts.get(node.op_type, ""),
        cures=cures(site) if why not in ("", FOLLOWS) else (),
        macs=layer.macs,
        parameters=layer.parameters,
    )


def _crossings(graph: Graph, view: View, lost: set[str]) -> tuple[str, ...]:
    """Computed tensors that one side makes and the other reads, in order."""
    found = []
    for node in graph.nodes:
        away = bool(lost.intersection(node.output))
        for name in node.input:
            made = name in graph.producers and name not in view.stored
            if made and (name in lost) != away and name not in found:
                found.append(name)
    return tuple(found)


def _peak(costs: Mapping[str, Layer]) -> int:
    """Elements that the widest layer reads and writes, from bytes of fp32: activations that must be there at once."""
    return max((layer.read_bytes + layer.written_bytes for layer in costs.values()), default=0) // 4
