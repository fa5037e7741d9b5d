"""A graph on the workbench: plain lists and dicts of protobuf messages, put together to a model only when asked.

Weights never enter the models that onnx's own C++ tools are given, beyond the small ones that decide shapes: each call
copies its model twice, and a copy of the weights each time would be most of the import.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from shoestring.base.errors import ModelError
from shoestring.importers.require import defs, helper, onnx
from shoestring.importers.walk import reads

if TYPE_CHECKING:
    from collections.abc import Iterable

SMALL_BYTES = 4096  # shapes, axes, scales: what shape inference and opset conversion look into
KEPT_METADATA = frozenset({"shoestring.yolo"})  # see darknet/heads.py
MIN_IR_VERSION = 8  # of opset 17, the lowest opset we write


@dataclass
class Draft:
    """What the passes of this room change.

    Args:
        opsets: version by domain; the default domain is "".
        inputs: graph inputs without weights.
        weights: initialisers by name.
        types: inferred types by tensor name; see `infer`.
        notes: what was done, in plain words.
        metadata: what stays of the source's metadata, by key: what we wrote ourselves and others read.
    """

    opsets: dict[str, int]
    inputs: list[Any]
    outputs: list[Any]
    nodes: list[Any]
    weights: dict[str, Any]
    types: dict[str, Any] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    metadata: dict[str, str] = field(default_factory=dict)

    @staticmethod
    def of(model: Any) -> Draft:
        """Take a model apart. Initialisers that old writers list as inputs too are weights, not inputs.

        Raises:
            ModelError: two initialisers of one name, or nothing to compute.
        """
        graph = model.graph
        weights = {tensor.name: tensor for tensor in graph.initializer}
        if len(weights) != len(graph.initializer):
            raise ModelError("two weights have the same name", hint="the file is damaged; export it again")
        inputs = [_plain(value) for value in graph.input if value.name not in weights]
        for what, items in (("inputs", inputs), ("outputs", graph.output), ("nodes", graph.node)):
            if not items:
                raise ModelError(f"the graph has no {what}", hint="the file is truncated, or not a model")
        opsets = {_domain(item.domain): item.version for item in model.opset_import}
        outputs, nodes = [_plain(value) for value in graph.output], list(graph.node)
        kept = {item.key: item.value for item in model.metadata_props if item.key in KEPT_METADATA}
        return Draft(opsets, inputs, outputs, nodes, weights, metadata=kept)

    @property
    def opset(self) -> int:
        return self.opsets[""]

    @property
    def output_names(self) -> set[str]:
        return {value.name for value in self.outputs}

    def readers(self) -> dict[str, int]:
        """How many nodes, or graph outputs, read each tensor."""
        counts: dict[str, int] = {}
        for node in self.nodes:
            for name in reads(node):
                counts[name] = counts.get(name, 0) + 1
        for name in self.output_names:
            counts[name] = counts.get(name, 0) + 1
        return counts

    def skeleton(self) -> Any:
        """A model for onnx's tools: large weights stand as inputs that have their type and shape."""
        large = [tensor for tensor in self.weights.values() if tensor.ByteSize() > SMALL_BYTES]
        small = [tensor for tensor in self.weights.values() if tensor.ByteSize() <= SMALL_BYTES]
        stand_ins = [helper.make_tensor_value_info(item.name, item.data_type, list(item.dims)) for item in large]
        return self._assemble([*self.inputs, *stand_ins], small, ())

    def model(self) -> Any:
        """The whole model, with the inferred type of every tensor in between."""
        made = [name for node in self.nodes for name in node.output if name and name not in self.output_names]
        values = [onnx.ValueInfoProto(name=name, type=self.types[name]) for name in made if name in self.types]
        made_of = self._assemble(self.inputs, self.weights.values(), values)
        helper.set_model_props(made_of, dict(sorted(self.metadata.items())))
        return made_of

    def _assemble(self, inputs: Iterable[Any], weights: Iterable[Any], values: Iterable[Any]) -> Any:
        graph = helper.make_graph(self.nodes, "model", inputs, self.outputs, weights, value_info=values)
        imports = [helper.make_opsetid(domain, version) for domain, version in sorted(self.opsets.items())]
        # Domains that onnx's table does not list are left out of the question; ours are all known by then.
        version = helper.find_min_ir_version_for(imports, ignore_unknown=True)
        return helper.make_model(graph, opset_imports=imports, ir_version=max(MIN_IR_VERSION, version))


def check_opset(model: Any) -> None:
    """Raise ModelError unless the default domain's opset is one we read, stated once."""
    newest = defs.onnx_opset_version()
    versions = {item.version for item in model.opset_import if _domain(item.domain) == ""}
    if len(versions) != 1:
        stated = ", ".join(str(version) for version in sorted(versions)) or "none"
        raise ModelError(f"the model must state one opset; it states {stated}", hint="the file is truncated or damaged")
    opset = versions.pop()
    if opset < MIN_OPSET:
        raise ModelError(
            f"the model has opset {opset}; the oldest that is read is {MIN_OPSET}", hint="export it with opset 17"
        )
    if opset > newest:
        raise ModelError(
            f"the model has opset {opset}; the installed onnx package knows up to {newest}",
            hint="update the onnx package, or export the model with an older opset",
        )


MIN_OPSET = 11


def _domain(name: str) -> str:
    """The default domain has two spellings."""
    return "" if name == "ai.onnx" else name


def _plain(value: Any) -> Any:
    """Name and type of a graph input or output; not its words."""
    return onnx.ValueInfoProto(name=value.name, type=value.type)
