"""Constants become weights, and what depends on constants alone is computed once, here."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from shoestring.base.limits import MIB
from shoestring.importers.claims import BITS
from shoestring.importers.infer import infer, known_shape
from shoestring.importers.require import defs, helper, numpy_helper, onnx, shape_inference
from shoestring.importers.walk import bodies

if TYPE_CHECKING:
    from shoestring.importers.draft import Draft

MAX_FOLDED_BYTES = 64 * MIB  # of one result: the largest embedding table of a phone's model, and no more
MAX_FOLDED_TOTAL_BYTES = 256 * MIB  # a few nodes must not turn into gigabytes
MAX_ROUNDS = 16  # each round lets shapes found by the last one fold more; real exports need two or three

_RANDOM = (
    "Bernoulli",
    "Multinomial",
    "RandomNormal",
    "RandomNormalLike",
    "RandomUniform",
    "RandomUniformLike",
    "Dropout",
)
# Folding a DequantizeLinear would turn one byte a weight back into four.
_QUANTIZERS = ("QuantizeLinear", "DequantizeLinear", "DynamicQuantizeLinear")
# Here the reference and the runtimes are known to differ in value; the runtime's answer is the one to keep.
_DISPUTED = ("Resize", "Attention", "DFT", "STFT")
_NEVER_FOLDED = frozenset((*_RANDOM, *_QUANTIZERS, *_DISPUTED, "Constant"))
_TYPES = frozenset(
    onnx.TensorProto.DataType.Value(name)
    for name in [
        "FLOAT",
        "FLOAT16",
        "DOUBLE",
        "BOOL",
        "INT8",
        "INT16",
        "INT32",
        "INT64",
        "UINT8",
        "UINT16",
        "UINT32",
        "UINT64",
    ]
)
# The reference implementations are Python over numpy and state no errors of their own: this is what such code raises on
# an input that it does not handle. A node that cannot be folded stays in the graph, and a note says so.
NOT_FOLDABLE = (ArithmeticError, AssertionError, AttributeError, LookupError, RuntimeError, TypeError, ValueError)


def lift_constants(draft: Draft) -> None:
    """Turn the Constant nodes of the top level into weights; one that is itself a graph output stays."""
    kept = []
    for node in draft.nodes:
        tensor = None if node.op_type != "Constant" or node.output[0] in draft.output_names else _constant(node)
        if tensor is None:
            kept.append(node)
        else:
            tensor.name = node.output[0]
            draft.weights[tensor.name] = tensor
    draft.nodes = kept


def _constant(node: Any) -> Any | None:
    """The value of a Constant node as a tensor; None for forms that we leave alone."""
    for attribute in node.attribute:
        value = helper.get_attribute_value(attribute)
        if attribute.name == "value":
            return value
        if attribute.name in ("value_float", "value_floats"):
            return numpy_helper.from_array(np.asarray(value, np.float32))
        if attribute.name in ("value_int", "value_ints"):
            return numpy_helper.from_array(np.asarray(value, np.int64))
    return None


def fold(draft: Draft) -> None:
    """Infer shapes and compute constant nodes until nothing changes. Fills `draft.types`."""
    count, budget_bytes = 0, MAX_FOLDED_TOTAL_BYTES
    refused: set[str] = set()
    for _ in range(MAX_ROUNDS):
        infer(draft)
        kept, before = [], count
        for node in draft.nodes:
            results = _results(draft, node, budget_bytes, refused)
            if results is None:
                kept.append(node)
                continue
            count += 1
            budget_bytes -= sum(len(tensor.raw_data) for tensor in results)
            draft.weights.update({tensor.name: tensor for tensor in results})
        draft.nodes = kept
        if count == before:
            break
    if count:
        draft.notes.append(f"folded {count} constant nodes")
    if refused:
        draft.notes.append(f"could not fold constant nodes of type {', '.join(sorted(refused))}")


def _results(draft: Draft, node: Any, budget_bytes: int, refused: set[str]) -> list[Any] | None:
    """The outputs of a node that is constant, as tensors; None when it is not, or is too large."""
    if node.domain != "" or node.op_type in _NEVER_FOLDED or draft.output_names.intersection(node.output):
        return None
    if node.op_type == "Shape":
        return _shape(draft, node)
    feeds = {name: draft.weights.get(name) for name in node.input if name}
    if bodies(node) or not all(tensor is not None and tensor.data_type in _TYPES for tensor in feeds.values()):
        return None
    types = _output_types(draft, node, feeds)
    if types is None or _bytes(types) > min(MAX_FOLDED_BYTES, budget_bytes):
        return None
    try:
        arrays = _evaluate(draft, node, feeds)
    except NOT_FOLDABLE:
        refused.add(node.op_type)
        return None
    if [_signature(array) for array in arrays] != [_promised(kind) for kind in types]:
        refused.add(node.op_type)
        return None
    names = [name for name in node.output if name]
    return [numpy_helper.from_array(array, name) for name, array in zip(names, arrays, strict=True)]


def _shape(draft: Draft, node: Any) -> list[Any] | None:
    """A Shape node's answer, when the part of the shape that it asks for is known."""
    shape = known_shape(draft, node.input[0])
    if shape is None:
        return None
    ends = {attribute.name: attribute.i for attribute in node.attribute}
    part = shape[slice(ends.get("start"), ends.get("end"))]
    return None if None in part else [numpy_helper.from_array(np.asarray(part, np.int64), node.output[0])]


def _output_types(draft: Draft, node: Any, feeds: dict[str, Any]) -> list[Any] | None:
    """Types of all outputs when each is a tensor of known size, so that the size is known before it is computed."""
    schema = defs.get_schema(node.op_type, draft.opset, "")
    kinds = {name: helper.make_tensor_type_proto(item.data_type, list(item.dims)) for name, item in feeds.items()}
    imports = [helper.make_opsetid(domain, version) for domain, version in draft.opsets.items()]
    try:
        found = shape_inference.infer_node_outputs(schema, node, kinds, feeds, opset_imports=imports)
    except (shape_inference.InferenceError, RuntimeError):
        return None
    types = [found.get(name) for name in node.output if name]
    sized = all(
        kind is not None
        and kind.tensor_type.elem_type in _TYPES
        and kind.tensor_type.HasField("shape")
        and all(dim.HasField("dim_value") for dim in kind.tensor_type.shape.dim)
        for kind in types
    )
    return types if types and sized else None


def _bytes(types: list[Any]) -> int:
    return sum(
        math.prod(dim.dim_value for dim in kind.tensor_type.shape.dim) * BITS[kind.tensor_type.elem_type] // 8
        for kind in types
    )


def _signature(array: Any) -> tuple[Any, tuple[int, ...]]:
    return array.dtype, array.shape


def _promised(kind: Any) -> tuple[Any, tuple[int, ...]]:
    tensor = kind.tensor_type
    return helper.tensor_dtype_to_np_dtype(tensor.elem_type), tuple(dim.dim_value for dim in tensor.shape.dim)


def _evaluate(draft: Draft, node: Any, feeds: dict[str, Any]) -> list[Any]:
    inputs = [helper.make_tensor_value_info(name, item.data_type, list(item.dims)) for name, item in feeds.items()]
    outputs = [onnx.ValueInfoProto(name=name) for name in node.output if name]
    imports = [helper.make_opsetid(domain, version) for domain, version in draft.opsets.items()]
    model = helper.make_model(helper.make_graph([node], "constant", inputs, outputs), opset_imports=imports)
    arrays = {name: numpy_helper.to_array(item) for name, item in feeds.items()}
    with np.errstate(all="ignore"):
        results = onnx.reference.ReferenceEvaluator(model).run(None, arrays)
    return [np.asarray(array, order="C") for array in results]
