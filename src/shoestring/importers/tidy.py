"""What is left once the work is done: nothing dead, nothing unnamed, no words from the exporter."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shoestring.importers.require import Message
from shoestring.importers.walk import bodies, nodes_inside, reads

if TYPE_CHECKING:
    from shoestring.importers.draft import Draft

_WORDS = ("doc_string", "metadata_props", "device_configurations")


def prune(draft: Draft) -> None:
    """Remove nodes and weights that no output depends on."""
    needed = draft.output_names
    kept = []
    for node in reversed(draft.nodes):
        if needed.intersection(node.output):
            kept.append(node)
            needed |= reads(node)
    dead = len(draft.nodes) - len(kept)
    draft.nodes = kept[::-1]
    draft.weights = {name: tensor for name, tensor in draft.weights.items() if name in needed}
    draft.opsets = {domain: version for domain, version in draft.opsets.items() if domain in _domains(draft)}
    if dead:
        draft.notes.append(f"removed {dead} dead nodes")


def name_nodes(draft: Draft) -> None:
    """Give every node, in subgraphs too, a name that no other has. Names that are unique already stay."""
    every = [inner for node in draft.nodes for inner in nodes_inside(node)]
    taken = {node.name for node in every}
    seen: set[str] = set()
    for index, node in enumerate(every):
        if node.name and node.name not in seen:
            seen.add(node.name)
            continue
        base = node.name or f"{node.op_type}_{index}"
        name, tries = base, 0
        while name in taken or name in seen:
            tries += 1
            name = f"{base}_{tries}"
        node.name = name
        seen.add(name)


def drop_words(draft: Draft) -> None:
    """Drop documentation and metadata, which hold the exporter's file names and stack traces, and stale types."""
    for node in draft.nodes:
        for inner in nodes_inside(node):
            _clear(inner)
            for attribute in inner.attribute:
                _clear(attribute)
            for body in bodies(inner):
                _clear(body)
                del body.value_info[:]
    for tensor in draft.weights.values():
        _clear(tensor)


def _clear(message: Message) -> None:
    known = message.DESCRIPTOR.fields_by_name
    for name in _WORDS:
        if name in known:
            message.ClearField(name)


def _domains(draft: Draft) -> set[str]:
    return {"", *(inner.domain for node in draft.nodes for inner in nodes_inside(node))}
