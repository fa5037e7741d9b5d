"""Which operators may take 16-bit floats, by ONNX's schemas, and the rewrite that puts Casts where widths meet."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx

from shoestring.compress.graph import Graph, make_node

if TYPE_CHECKING:
    from collections.abc import Collection

FLOAT = onnx.TensorProto.FLOAT
NAMES = {"fp16": "tensor(float16)", "bf16": "tensor(bfloat16)"}
LEFT_ALONE = frozenset({"Cast", "Constant", "ConstantOfShape", "QuantizeLinear", "DequantizeLinear"})
"""Make or take floats by an attribute, or belong to integer layers."""


@functools.cache
def _narrow_parameters(operator: str, opset: int, kind: str) -> tuple[frozenset[str], bool] | None:
    """Type names of the operator's parameters that may be `kind`; and whether its first output is among them."""
    try:
        schema = onnx.defs.get_schema(operator, opset, "")
    except onnx.defs.SchemaError:
        return None
    allowed = {item.type_param_str for item in schema.type_constraints if NAMES[kind] in item.allowed_type_strs}
    wide = {item.type_param_str for item in schema.type_constraints if "tensor(float)" in item.allowed_type_strs}
    outputs = [item.type_str for item in schema.outputs]
    return frozenset(allowed & wide), bool(outputs) and outputs[0] in allowed & wide


def able(graph: Graph, kind: str) -> set[str]:
    """Names of the operators whose results may be `kind` in the graph's operator set."""
    floats = float_tensors(graph)
    return {node.name for node in graph.nodes if _can_narrow(node, graph.opset, kind, floats)}


def _can_narrow(node: onnx.NodeProto, opset: int, kind: str, floats: set[str]) -> bool:
    if node.domain not in ("", "ai.onnx") or node.op_type in LEFT_ALONE:
        return False
    if any(item.type in (onnx.AttributeProto.GRAPH, onnx.AttributeProto.GRAPHS) for item in node.attribute):
        return False
    found = _narrow_parameters(node.op_type, opset, kind)
    made = sum(name in floats for name in node.output)
    # Statistics that LayerNormalization hands out beside its result keep a width of their own.
    return found is not None and found[1] and (made == 1 or (made > 1 and node.op_type == "Split"))


def float_tensors(graph: Graph) -> set[str]:
    """Names of all float32 tensors that nodes make, that come in, or that are stored."""
    inferred = onnx.shape_inference.infer_shapes(onnx.ModelProto.FromString(graph.to_bytes())).graph
    values = [*inferred.value_info, *inferred.input, *inferred.output]
    found = {value.name for value in values if value.type.tensor_type.elem_type == FLOAT}
    return found | {name for name, value in graph.weights.items() if value.dtype == np.float32}


class Widths:
    """Rewrites a graph in place.

    Args:
        graph: float32.
        element: ONNX element type of 16 bits.
        dtype: the same in numpy.
    """

    def __init__(self, graph: Graph, element: int, dtype: np.dtype[Any]) -> None:
        self.graph = graph
        self.element, self.dtype = element, dtype
        self.kind = "fp16" if element == onnx.TensorProto.FLOAT16 else "bf16"
        self.source = list(graph.nodes)
        self.floats = float_tensors(graph)
        self.narrow: set[str] = set()
        self.casts: dict[tuple[str, bool], str] = {}
        self.nodes: list[onnx.NodeProto] = []

    def rewrite(self, taken: Collection[str], *, keep_io: bool) -> None:
        """Let the operators named in `taken` work in 16 bits; `keep_io` leaves the graph's inputs and outputs wide."""
        if not keep_io:
            self._narrow_io(self.graph.proto.graph.input)
            self.narrow |= {name for name in self.graph.inputs if name in self.floats}
        for node in self.source:
            schema = _narrow_parameters(node.op_type, self.graph.opset, self.kind) if node.name in taken else None
            types = _types(node, self.graph.opset) if schema is not None else {}
            for index, name in enumerate(node.input):
                if name in self.floats:
                    narrow = schema is not None and types.get(index, "") in schema[0]
                    node.input[index] = self._as(name, narrow)
            self.nodes.append(node)
            if schema is not None:
                self.narrow |= {name for name in node.output if name in self.floats}
        self._outputs(keep_io)
        self.graph.nodes = self.nodes
        self.graph.reindex()

    def _as(self, name: str, narrow: bool) -> str:
        """The tensor in the wanted width; a Cast is made on first use, a constant is stored anew."""
        if (name in self.narrow) == narrow:
            return name
        key = (name, narrow)
        if key not in self.casts:
            made = f"{name}/{self.kind if narrow else 'fp32'}"
            self.casts[key] = made
            if name in self.graph.weights:
                self.graph.weights[made] = self.graph.weights[name].astype(self.dtype)
            else:
                self.nodes.append(make_node("Cast", [name], [made], made, to=int(self.element if narrow else FLOAT)))
        return self.casts[key]

    def _outputs(self, keep_io: bool) -> None:
        """Outputs keep their names: what makes one in the other width gets a new name and a Cast behind it."""
        for name in self.graph.outputs:
            if name not in self.floats or (name in self.narrow) != keep_io:
                continue
            inner = f"{name}/{self.kind if keep_io else 'fp32'}/inner"
            for node in self.nodes:
                for part in (node.input, node.output):
                    for index, used in enumerate(part):
                        if used == name:
                            part[index] = inner
            target = int(FLOAT if keep_io else self.element)
            self.nodes.append(make_node("Cast", [inner], [name], f"{name}/out", to=target))
        if not keep_io:
            self._narrow_io(self.graph.proto.graph.output)

    def _narrow_io(self, values: Any) -> None:
        for value in values:
            if value.type.tensor_type.elem_type == FLOAT:
                value.type.tensor_type.elem_type = self.element


def _types(node: onnx.NodeProto, opset: int) -> dict[int, str]:
    """Type parameter of each input; the last formal one repeats where it is variadic."""
    formal = onnx.defs.get_schema(node.op_type, opset, "").inputs
    return {index: formal[min(index, len(formal) - 1)].type_str for index in range(len(node.input))} if formal else {}
