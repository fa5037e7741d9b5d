"""Everything inside a protobuf message, wherever it hides: subgraphs, functions, attributes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from shoestring.importers.require import Message, onnx

if TYPE_CHECKING:
    from collections.abc import Iterator


def inside(root: Message, kind: type[Any]) -> Iterator[tuple[Any, str]]:
    """Every message of type `kind` below `root`, itself included, with the names of what holds it.

    Walking by protobuf's own field list, rather than by the places we know, leaves no place to hide a tensor in.
    """
    stack: list[tuple[Message, str]] = [(root, "")]
    while stack:
        message, owner = stack.pop()
        if isinstance(message, kind):
            yield message, owner
        if isinstance(message, onnx.TensorProto):
            continue
        name = getattr(message, "name", "")
        here = f"{owner}/{name}" if owner and name else owner or name
        below: list[tuple[Message, str]] = []
        for field, value in message.ListFields():
            if field.message_type is None:
                continue
            items = [value] if isinstance(value, Message) else value
            below.extend((item, here) for item in items if isinstance(item, Message))
        stack.extend(reversed(below))


def nodes_inside(root: Message) -> Iterator[Any]:
    """Every node below `root`, in file order."""
    return (node for node, _ in inside(root, onnx.NodeProto))


def bodies(node: Any) -> list[Any]:
    """The subgraphs that a node owns directly."""
    found = [attribute.g for attribute in node.attribute if attribute.HasField("g")]
    return found + [graph for attribute in node.attribute for graph in attribute.graphs]


def reads(node: Any) -> set[str]:
    """Every tensor name that a node may read: its inputs, and all that its subgraphs name."""
    names = {name for name in node.input if name}
    for body in bodies(node):
        names.update(name for inner in nodes_inside(body) for name in inner.input if name)
        names.update(value.name for graph, _ in inside(body, onnx.GraphProto) for value in graph.output)
    return names
