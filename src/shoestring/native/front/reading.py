"""From the bytes of an ONNX file to a `Graph`: batch of one, static shapes, constants computed, dead nodes dropped."""

from __future__ import annotations

from typing import Any

import numpy as np

from shoestring.base.errors import MissingExtraError, ModelError
from shoestring.native.form import Array
from shoestring.native.front.folding import Folded, fold
from shoestring.native.front.graph import Graph, Node, Shape

try:
    import onnx
    from google.protobuf.message import DecodeError
    from onnx import helper, numpy_helper, shape_inference
except ImportError as error:
    raise MissingExtraError("onnx", "fit") from error

OLDEST_OPSET = 11
DOMAINS = ("", "ai.onnx")
MAX_ROUNDS = 16
"""Of shape inference and folding; each lets shapes found by the last one fold more, real files need two or three."""

INPUT_DTYPES = ("float32", "uint8", "int8")


def read_graph(data: bytes, taken: tuple[str, ...] = INPUT_DTYPES) -> Graph:
    """Parse a file.

    Args:
        data: of an ONNX file without external data.
        taken: types that inputs may have.

    Raises:
        ModelError: not ONNX, too old, external data, an input of a type or shape that no program takes.
    """
    proto = _parse(data)
    opset = _opset(proto)
    constants = _constants(proto)
    free = _fix_batch(proto, constants, taken)
    nodes = _live([_node(node) for node in proto.graph.node], _names(proto.graph.output))
    folded = Folded(nodes, constants, {})
    shapes, dtypes = _infer(proto, constants)
    for _ in range(MAX_ROUNDS):
        before = len(folded.nodes)
        folded = fold(folded, shapes, opset)
        if len(folded.nodes) == before:
            break
        if any(name not in shapes for node in folded.nodes for name in node.outputs if name):
            shapes, dtypes = _infer(proto, folded.constants)
    outputs = _names(proto.graph.output)
    return Graph(
        tuple(_live(folded.nodes, outputs)),
        folded.constants,
        folded.quantized,
        shapes | {name: value.shape for name, value in folded.constants.items()},
        dtypes | {name: str(value.dtype) for name, value in folded.constants.items()},
        tuple(name for name in _names(proto.graph.input) if name not in constants),
        outputs,
        free,
        opset,
    )


def _parse(data: bytes) -> Any:
    try:
        proto = onnx.load_model_from_string(data)
    except (DecodeError, ValueError) as error:
        raise ModelError(f"not an ONNX file: {error}", hint="give a .onnx file") from None
    if not proto.graph.node or not proto.graph.output:
        raise ModelError("the ONNX file holds no graph", hint="export the model again")
    for item in proto.graph.initializer:
        if item.data_location == onnx.TensorProto.EXTERNAL:
            raise ModelError(
                f"the weight {item.name!r} lies outside the ONNX file", hint="shoestring import writes one file"
            )
    return proto


def _opset(proto: Any) -> int:
    versions = [int(item.version) for item in proto.opset_import if item.domain in DOMAINS]
    opset = max(versions, default=1)
    if opset < OLDEST_OPSET:
        raise ModelError(
            f"the model uses operator set {opset}; the oldest that can be compiled is {OLDEST_OPSET}",
            hint="shoestring import brings it up to date",
        )
    return opset


def _constants(proto: Any) -> dict[str, Array]:
    found = {}
    for item in proto.graph.initializer:
        try:
            found[item.name] = numpy_helper.to_array(item)
        except (ValueError, TypeError) as error:
            raise ModelError(f"the weight {item.name!r} cannot be read: {error}") from None
    return found


def _names(values: Any) -> tuple[str, ...]:
    return tuple(value.name for value in values)


def _node(proto: Any) -> Node:
    domain = "" if proto.domain in DOMAINS else f"{proto.domain}."
    attributes = {item.name: _attribute(item) for item in proto.attribute}
    name = proto.name or next((output for output in proto.output if output), "")
    return Node(domain + proto.op_type, name, tuple(proto.input), tuple(proto.output), attributes)


def _attribute(item: Any) -> Any:
    value = helper.get_attribute_value(item)
    if isinstance(value, bytes):
        return value.decode(errors="replace")
    if isinstance(value, onnx.TensorProto):
        return numpy_helper.to_array(value)
    if item.type in (onnx.AttributeProto.INTS, onnx.AttributeProto.FLOATS):
        return tuple(value)
    return value


def _fix_batch(proto: Any, constants: dict[str, Array], taken: tuple[str, ...]) -> frozenset[str]:
    """Set free first axes to 1, forget what the file says of tensors it computes; the names of free ports.

    Raises:
        ModelError: an input whose type or shape no program takes; all of them are named.
    """
    free, refused = set(), []
    for value in proto.graph.input:
        if value.name in constants:
            continue
        tensor = value.type.tensor_type
        dtype = _dtype(tensor.elem_type)
        if dtype not in taken:
            refused.append(f"input {value.name!r} is {dtype or 'no tensor'}; inputs are one of {taken}")
        if not tensor.HasField("shape"):
            refused.append(f"input {value.name!r} has no shape")
            continue
        sides = tensor.shape.dim
        if len(sides) > 0 and not sides[0].HasField("dim_value"):
            free.add(value.name)
            sides[0].dim_value = 1
        found = [side.dim_value if side.HasField("dim_value") else side.dim_param or "?" for side in sides]
        if any(not isinstance(side, int) or side < 1 for side in found):
            refused.append(f"input {value.name!r} has the shape {found}; all axes but the first must be fixed")
        elif len(found) > 2 and found[0] != 1:
            refused.append(f"input {value.name!r} has a batch of {found[0]}; a program takes one")
    if refused:
        raise ModelError("; ".join(refused), hint="export the model with fixed shapes and a free batch or one of 1")
    for value in proto.graph.output:
        tensor = value.type.tensor_type
        sides = tensor.shape.dim
        # An output without a stated shape leaves its first axis as free as the inputs do.
        stated = tensor.HasField("shape") and (len(sides) == 0 or sides[0].HasField("dim_value"))
        if free and not stated:
            free.add(value.name)
        value.ClearField("type")
    del proto.graph.value_info[:]
    return frozenset(free)


def _dtype(element: int) -> str:
    """Numpy's name of an ONNX element type, empty for none."""
    try:
        return str(np.dtype(helper.tensor_dtype_to_np_dtype(element)))
    except (KeyError, ValueError, TypeError):
        return ""


def _infer(proto: Any, constants: dict[str, Array]) -> tuple[dict[str, Shape], dict[str, str]]:
    """Shapes and types of all tensors that onnx can tell; constants found since are written into the file for it."""
    known = {item.name for item in proto.graph.initializer}
    for name, value in constants.items():
        if name not in known:
            proto.graph.initializer.append(numpy_helper.from_array(np.ascontiguousarray(value), name))
    made = {name for name in constants if name not in known}
    kept = [node for node in proto.graph.node if not made.issuperset(node.output)]
    del proto.graph.node[:]
    proto.graph.node.extend(kept)
    try:
        inferred = shape_inference.infer_shapes(proto, strict_mode=False, data_prop=True)
    except (shape_inference.InferenceError, ValueError, RuntimeError) as error:
        raise ModelError(f"the shapes of the model cannot be told: {error}") from None
    shapes: dict[str, Shape] = {}
    dtypes: dict[str, str] = {}
    for value in (*inferred.graph.value_info, *inferred.graph.input, *inferred.graph.output):
        tensor = value.type.tensor_type
        dtypes[value.name] = _dtype(tensor.elem_type)
        sides = tensor.shape.dim
        if tensor.HasField("shape") and all(side.HasField("dim_value") and side.dim_value > 0 for side in sides):
            shapes[value.name] = tuple(int(side.dim_value) for side in sides)
    return shapes, dtypes


def _live(nodes: list[Node], outputs: tuple[str, ...]) -> list[Node]:
    """The nodes that some output depends on."""
    needed, kept = set(outputs), []
    for node in reversed(nodes):
        if needed.intersection(node.outputs):
            kept.append(node)
            needed.update(name for name in node.inputs if name)
    return kept[::-1]
