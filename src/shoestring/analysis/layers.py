"""One layer for each node: its MACs, its weights, and the bytes it moves."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from shoestring.analysis.buffers import Buffers, buffers
from shoestring.analysis.graphs import FLOATS, bodies
from shoestring.analysis.macs import macs
from shoestring.domain.model import Layer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from shoestring.analysis.graphs import View

# Where an operator's stored inputs steer it rather than being learnt. None: all of them.
_SETTINGS: dict[str, frozenset[int] | None] = {
    "Clip": None,
    "Resize": None,
    "Pad": None,
    "Dropout": None,
    "QuantizeLinear": None,
    "DynamicQuantizeLinear": None,
    "DequantizeLinear": frozenset({1, 2}),
    "QLinearConv": frozenset({1, 2, 4, 5, 6, 7}),
    "QLinearMatMul": frozenset({1, 2, 4, 5, 6, 7}),
    "ConvInteger": frozenset({2, 3}),
    "MatMulInteger": frozenset({2, 3}),
}
_INTEGER_LAYERS = frozenset(("QLinearConv", "QLinearMatMul", "ConvInteger", "MatMulInteger"))


def layers(view: View, owned: set[str], prefix: str = "") -> Iterator[Layer]:
    """The layers of a graph and, after each node, of its bodies.

    Args:
        view: the graph.
        owned: names of weights that a layer has already; extended.
        prefix: of the layers' names.
    """
    placed = buffers(view)
    for index, node in enumerate(view.nodes):
        name = prefix + (node.name or f"{node.op_type}_{index}")
        yield _layer(view, placed, node, name, owned)
        for label, body in bodies(node):
            yield from layers(view.body(body), owned, f"{name}/{label}/")


def _layer(view: View, placed: Buffers, node: Any, name: str, owned: set[str]) -> Layer:
    computed = view.activations(node.output)
    read = placed.of(view.activations(node.input)) if computed else []
    # A buffer that is both read and written is a view: nothing moves.
    written = [buffer for buffer in placed.of(computed) if buffer not in read]
    moves = bool(written)
    parameters, weight_bytes = _weights(view, node, name, owned) if computed else (0, 0)
    return Layer(
        name=name,
        operator=node.op_type,
        macs=macs(view, node) if computed else 0,
        parameters=parameters,
        weight_bytes=weight_bytes,
        read_bytes=sum(view.size_bytes(buffer) for buffer in read) if moves else 0,
        written_bytes=sum(view.size_bytes(buffer) for buffer in written),
        output_shape=_shape(view, node),
    )


def _weights(view: View, node: Any, prefix: str, owned: set[str]) -> tuple[int, int]:
    """Parameters and stored bytes of the weights that this node is the first to read."""
    learnt: set[str] = set()
    behind: set[str] = set()
    settings = _SETTINGS.get(node.op_type, frozenset())
    for index, name in enumerate(node.input):
        if name not in view.stored:
            continue
        stored = view.stored[name]
        behind |= stored.bytes_of
        kind = view.tensors.get(name)
        counts = kind is not None and (kind.dtype in FLOATS or node.op_type in _INTEGER_LAYERS)
        if counts and settings is not None and index not in settings:
            learnt |= stored.weights
    new = behind - owned
    owned |= new
    return sum(view.tensors[name].count for name in learnt & new), sum(view.size_bytes(name) for name in new)


def _shape(view: View, node: Any) -> tuple[int, ...]:
    """Of the first output; empty where it depends on the data, as it is for a single number."""
    first = view.tensors.get(node.output[0]) if node.output else None
    return () if first is None or first.shape is None else first.shape
