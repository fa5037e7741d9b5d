"""The shape of a node's results, asked of onnx as soon as the node is written: the next operator builds on it."""

from __future__ import annotations

import math
from typing import Any

from shoestring.base.errors import ModelError
from shoestring.importers.infer import first_line
from shoestring.importers.require import checker, defs, helper, shape_inference
from shoestring.importers.tflite.tensors import MAX_ELEMENTS

OPSET = 17
_SMALL_BYTES = 4096  # axes, sizes, shapes: what inference looks into
_IMPORTS = [helper.make_opsetid("", OPSET)]


def infer_node(node: Any, types: dict[str, Any], weights: dict[str, Any]) -> dict[str, Any]:
    """Types of a node's outputs.

    Args:
        types: of all tensors so far.
        weights: those of them that are constant.

    Raises:
        ModelError: its inputs do not fit together, or a result is too large or has no known shape.
    """
    inputs = {name: types[name] for name in node.input if name}
    small = {name: weights[name] for name in inputs if name in weights and weights[name].ByteSize() <= _SMALL_BYTES}
    schema = defs.get_schema(node.op_type, OPSET, "")
    try:
        found = shape_inference.infer_node_outputs(schema, node, inputs, small, opset_imports=_IMPORTS)
    except (checker.ValidationError, shape_inference.InferenceError, RuntimeError) as error:
        raise ModelError(
            f"{node.name}: its shapes do not fit together: {first_line(error)}", hint="the file is damaged"
        ) from error
    for name in node.output:
        kind = found.get(name)
        if kind is None or not _is_static(kind) or math.prod(dims_of(kind)) > MAX_ELEMENTS:
            raise ModelError(
                f"{node.name}: its result has no known shape, or more than {MAX_ELEMENTS:,} values",
                hint="convert the model with a fixed input size",
            )
    return {name: found[name] for name in node.output}


def _is_static(kind: Any) -> bool:
    tensor = kind.tensor_type
    return tensor.HasField("shape") and all(dim.HasField("dim_value") for dim in tensor.shape.dim)


def dims_of(kind: Any) -> tuple[int, ...]:
    """The shape in a type whose shape is known."""
    return tuple(dim.dim_value for dim in kind.tensor_type.shape.dim)
