"""Every node of a graph by its handler, and why some have none: the walk that the compiler and the converters share."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol, TypeVar

from shoestring.base.errors import ModelError
from shoestring.native.front.graph import Graph, Node


class Made(Protocol):
    """What a walk builds."""

    absorbed: set[Node]
    producers: dict[str, Node]

    def known(self, tensor: str) -> bool:
        """Whether a tensor has been made, or is constant."""
        ...


B = TypeVar("B", bound=Made)

# Attributes and input counts of a file can be anything; this is what code that reads them raises.
_MALFORMED = (ArithmeticError, LookupError, TypeError, ValueError)


def visit(
    graph: Graph, built: B, handlers: Mapping[str, Callable[[B, Node], None]], unknown: Callable[[str], str]
) -> list[str]:
    """Hand every node that no other has absorbed to its handler.

    Args:
        graph: nodes in order.
        built: filled by the handlers.
        handlers: by operator; each raises ModelError for what it cannot take.
        unknown: what is to be said of an operator without a handler.

    Returns:
        Nodes with their reasons. One behind a refused one is left alone: it has nothing to read.
    """
    refused = []
    for node in graph.nodes:
        if node in built.absorbed:
            continue
        handler = handlers.get(node.op_type)
        reason = unknown(node.op_type) if handler is None else _try(built, node, handler)
        if reason is not None:
            refused.append(f"{node}: {reason}")
    return refused


def _try(built: B, node: Node, handler: Callable[[B, Node], None]) -> str | None:
    missing = [name for name in node.inputs if name and not built.known(name)]
    if missing:
        nowhere = [name for name in missing if name not in built.producers]
        return f"its input {nowhere[0]!r} is made by no node" if nowhere else None
    try:
        handler(built, node)
    except ModelError as error:
        return error.message
    except _MALFORMED as error:
        return f"it is malformed ({type(error).__name__}: {error})"
    return None


__all__ = ["visit"]
