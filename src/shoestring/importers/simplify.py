"""Identity and Dropout do nothing at inference: their readers read what they read."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from shoestring.importers.require import numpy_helper, onnx
from shoestring.importers.walk import bodies, inside, nodes_inside

if TYPE_CHECKING:
    from shoestring.importers.draft import Draft

_TRAINING_MODE_SINCE = 12  # of Dropout's third input; before it Dropout never acts at inference


def remove_noops(draft: Draft) -> None:
    """Drop every Identity and inference-mode Dropout whose name is not needed."""
    body_outputs = _body_outputs(draft)
    pinned = draft.output_names | body_outputs
    made = {name for node in draft.nodes for name in node.output if name}
    readers = draft.readers()
    aliases: dict[str, str] = {}  # a removed output -> what is read instead
    renamed: dict[str, str] = {}  # a node's output -> the graph output that takes its name
    kept, removed = [], Counter[str]()
    for node in draft.nodes:
        if not _does_nothing(draft, node, readers):
            kept.append(node)
            continue
        source, target = aliases.get(node.input[0], node.input[0]), node.output[0]
        if target not in pinned:
            aliases[target] = source
        elif target not in body_outputs and source in made and source not in pinned and source not in renamed:
            renamed[source] = target
        else:
            kept.append(node)
            continue
        removed[node.op_type] += 1
    for node in kept:
        _rename(node, aliases, renamed)
    draft.nodes = kept
    for operator, count in sorted(removed.items()):
        draft.notes.append(f"removed {count} {operator}")


def _does_nothing(draft: Draft, node: Any, readers: dict[str, int]) -> bool:
    if node.domain != "" or not node.input:
        return False
    if node.op_type == "Identity":
        return True
    if node.op_type != "Dropout" or any(name in readers for name in node.output[1:]):
        return False
    if draft.opset < _TRAINING_MODE_SINCE or len(node.input) < 3 or not node.input[2]:
        return True
    mode = draft.weights.get(node.input[2])
    return mode is not None and not numpy_helper.to_array(mode).any()


def _body_outputs(draft: Draft) -> set[str]:
    graphs = (graph for node in draft.nodes for body in bodies(node) for graph, _ in inside(body, onnx.GraphProto))
    return {value.name for graph in graphs for value in graph.output}


def _rename(node: Any, aliases: dict[str, str], renamed: dict[str, str]) -> None:
    for inner in nodes_inside(node):
        for index, name in enumerate(inner.input):
            new = aliases.get(name, name)
            new = renamed.get(new, new)
            if new != name:
                inner.input[index] = new
    for index, name in enumerate(node.output):
        if name in renamed:
            node.output[index] = renamed[name]
