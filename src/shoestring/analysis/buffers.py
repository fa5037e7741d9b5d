"""Which tensors need memory of their own, and which live in another's."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from shoestring.analysis.graphs import bodies, captured

if TYPE_CHECKING:
    from collections.abc import Iterable

    from shoestring.analysis.graphs import View

VIEWS = frozenset(("Reshape", "Flatten", "Squeeze", "Unsqueeze", "Identity"))


@dataclass(frozen=True)
class Buffers:
    """The home of each tensor that lives in another tensor's memory."""

    home: dict[str, str]

    def of(self, names: Iterable[str]) -> list[str]:
        """The buffers behind these tensors, each once."""
        return list(dict.fromkeys(self.home.get(name, name) for name in names))


def reads(view: View, node: Any) -> list[str]:
    """Activations that a node reads, those that its bodies take from around included."""
    inside = [name for _, body in bodies(node) for name in captured(body) if name in view.tensors]
    return view.activations([*node.input, *inside])


def buffers(view: View) -> Buffers:
    """Place every tensor of a graph.

    A view lies in its input. The float side of a DequantizeLinear is never written: readers take the integers. The
    float side of a QuantizeLinear is never written when nothing else reads it: its producer writes the integers.
    """
    readers: dict[str, int] = {}
    for node in view.nodes:
        for name in reads(view, node):
            readers[name] = readers.get(name, 0) + 1
    made = {name for node in view.nodes for name in node.output if name}
    home: dict[str, str] = {}
    for node in view.nodes:
        if not node.input or not node.output or node.input[0] in view.stored:
            continue
        source, target = node.input[0], node.output[0]
        if node.op_type in VIEWS or (node.op_type == "DequantizeLinear" and target not in view.pinned):
            home[target] = home.get(source, source)
        elif node.op_type == "QuantizeLinear":
            if source in home and _same_type(view, home[source], target):
                home[target] = home[source]
            elif source in made and source not in home and source not in view.pinned and readers[source] == 1:
                home[source] = target
    return Buffers(home)


def _same_type(view: View, first: str, second: str) -> bool:
    return view.tensors[first].dtype == view.tensors[second].dtype if {first, second} <= view.tensors.keys() else False


def peak_bytes(view: View, placed: Buffers) -> int:
    """Largest sum of live buffers over the execution order.

    A buffer lives from the node that writes it to the last that reads it; inputs from the start, outputs to the end. A
    node's inputs and outputs live together. Inside a body, what lives around it counts too.
    """
    last: dict[str, int] = {}
    for index, node in enumerate(view.nodes):
        for name in placed.of([*reads(view, node), *view.activations(node.output)]):
            last[name] = index
    last.update(dict.fromkeys(placed.of(view.activations(sorted(view.pinned))), len(view.nodes)))
    live = {
        name: view.size_bytes(name) for name in placed.of(view.activations(value.name for value in view.graph.input))
    }
    total = peak = sum(live.values())
    made = {name for node in view.nodes for name in node.output}  # what a body takes from around it lives there
    for index, node in enumerate(view.nodes):
        for name in placed.of(view.activations(node.output)):
            if name in made and name not in live:
                live[name] = view.size_bytes(name)
                total += live[name]
        inside = [view.body(body) for _, body in bodies(node)]
        peak = max(peak, total + max((peak_bytes(body, buffers(body)) for body in inside), default=0))
        for name in [name for name in live if last.get(name, -1) <= index]:
            total -= live.pop(name)
    return peak
