"""Local functions: counted first, since a few nested ones can stand for billions of nodes, then inlined."""

from __future__ import annotations

from typing import Any

from shoestring.base.errors import ModelError
from shoestring.base.limits import MAX_GRAPH_NODES
from shoestring.importers.infer import first_line
from shoestring.importers.require import onnx
from shoestring.importers.walk import nodes_inside

_MAX_DEPTH = 64  # exporters nest modules about ten deep; the inliner recurses as deep as functions call each other

_Key = tuple[str, str, str]


def inline(model: Any) -> tuple[Any, str | None]:
    """The model without local functions, and a note when there were any.

    Raises:
        ModelError: functions that call themselves, nest too deep, or expand to too many nodes.
    """
    if not model.functions:
        return model, None
    functions = {_key(item): item for item in model.functions}
    if len(functions) != len(model.functions):
        raise ModelError("two local functions have the same name", hint="export the model again")
    count = _Expansion(functions).count(model.graph, ())
    if count > MAX_GRAPH_NODES:
        raise ModelError(
            f"its local functions expand to {count} nodes, more than the limit of {MAX_GRAPH_NODES}",
            hint="the file is hostile, or a loop was unrolled on export",
        )
    try:
        inlined = onnx.inliner.inline_local_functions(model)
    except RuntimeError as error:
        raise ModelError(
            f"its local functions cannot be inlined: {first_line(error)}", hint="export it without functions"
        ) from error
    return inlined, f"inlined {len(functions)} local functions"


def _key(item: Any) -> _Key:
    return (item.domain, item.name, item.overload)


class _Expansion:
    """How many nodes a graph has once every call is replaced by its body. Exact, in whole numbers of any size."""

    def __init__(self, functions: dict[_Key, Any]) -> None:
        self.functions = functions
        self.known: dict[_Key, int] = {}

    def count(self, body: Any, path: tuple[_Key, ...]) -> int:
        if len(path) > _MAX_DEPTH:
            raise ModelError(
                f"local functions call each other more than {_MAX_DEPTH} deep", hint="the file is damaged or hostile"
            )
        total = 0
        for node in nodes_inside(body):
            key = (node.domain, node.op_type, node.overload)
            total += self.called(key, path) if key in self.functions else 1
        return total

    def called(self, key: _Key, path: tuple[_Key, ...]) -> int:
        if key in path:
            raise ModelError(f"local function {key[1]!r} calls itself", hint="the file is damaged or hostile")
        if key not in self.known:
            self.known[key] = self.count(self.functions[key], (*path, key))
        return self.known[key]
