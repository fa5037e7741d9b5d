"""Nodes whose inputs are all constant are computed here, dequantized weights with a memory of their integers."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from shoestring.base.errors import MissingExtraError, ModelError
from shoestring.base.limits import MIB
from shoestring.native.form import Array
from shoestring.native.front.graph import Node, Quantized, Shape

try:
    from onnx import TensorProto, helper, numpy_helper
    from onnx.reference import ReferenceEvaluator
except ImportError as error:
    raise MissingExtraError("onnx", "fit") from error

SIGNED_SHIFT = 128
"""From a signed value to its code."""

MAX_FOLDED_BYTES = 64 * MIB
"""Of one result: a few nodes must not turn into gigabytes."""

_BROADCAST = frozenset(("Add", "Div", "Equal", "Max", "Min", "Mul", "Pow", "Sub", "Where"))
_MOVE = ("Concat", "Expand", "Flatten", "Gather", "Reshape", "Slice", "Split", "Squeeze", "Tile", "Transpose")
_MAKE = ("Cast", "Constant", "ConstantOfShape", "Identity", "Range", "Unsqueeze")
_COMPUTE = ("Ceil", "Clip", "Exp", "Floor", "Neg", "ReduceProd", "Reciprocal", "Sqrt")
_FOLDED = _BROADCAST.union(_MOVE, _MAKE, _COMPUTE)
# The reference implementations state no errors of their own: this is what such code raises on input it cannot handle.
_NOT_FOLDABLE = (ArithmeticError, AssertionError, AttributeError, LookupError, RuntimeError, TypeError, ValueError)
_CODES = ("uint8", "int8", "int16", "uint16", "int32")


@dataclass(frozen=True, eq=False)
class Folded:
    """Nodes that are left, all constants, and those that were dequantized."""

    nodes: list[Node]
    constants: dict[str, Array]
    quantized: dict[str, Quantized]


def fold(graph: Folded, shapes: dict[str, Shape], opset: int) -> Folded:
    """One round over the nodes in order. Nodes that cannot be computed stay, and are refused later by name."""
    constants, quantized, kept = dict(graph.constants), dict(graph.quantized), []
    for node in graph.nodes:
        made = _compute(node, constants, quantized, shapes, opset)
        if made is None:
            kept.append(node)
        else:
            constants.update(made)
    return Folded(kept, constants, quantized)


def _compute(
    node: Node, constants: dict[str, Array], quantized: dict[str, Quantized], shapes: dict[str, Shape], opset: int
) -> dict[str, Array] | None:
    """Outputs of a node by name, or None."""
    if node.op_type in ("Shape", "Size") and node.input(0) in shapes:
        return {node.outputs[0]: _shape(node, shapes[node.inputs[0]])}
    inputs = [constants.get(name) for name in node.inputs if name]
    if any(value is None for value in inputs):
        return None
    given = [value for value in inputs if value is not None]
    if node.op_type == "DequantizeLinear":
        written = dequantized(node, given)
        quantized[node.outputs[0]] = written
        return {node.outputs[0]: real_of(written)}
    if node.op_type == "QuantizeLinear":
        return {node.outputs[0]: _quantize(node, given)}
    if node.op_type not in _FOLDED or not _small(node, given):
        return None
    if node.op_type == "Transpose" and node.inputs[0] in quantized:
        quantized[node.outputs[0]] = _transposed(quantized[node.inputs[0]], node.attributes.get("perm"))
    return _reference(node, constants, opset)


def _shape(node: Node, shape: Shape) -> Array:
    if node.op_type == "Size":
        return np.array(math.prod(shape), np.int64)
    return np.array(shape[node.attributes.get("start", 0) : node.attributes.get("end", len(shape))], np.int64)


def affine_of(node: Node, inputs: list[Array], rank: int) -> tuple[Array, Array, int | None]:
    """Scale, zero point and axis of a QuantizeLinear or DequantizeLinear from its constant inputs.

    Raises:
        ModelError: blocked, or a scale that is not finite and above zero.
    """
    scale = inputs[1]
    zero = inputs[2] if len(inputs) > 2 else np.zeros(scale.shape, np.int64)
    if node.attributes.get("block_size", 0) or scale.ndim > 1:
        raise ModelError(f"{node} has scales for blocks; one scale, or one for each channel, can be compiled")
    good = np.isfinite(scale) & (scale >= np.finfo(np.float32).tiny)
    if scale.dtype != np.float32 or not good.all():
        wrong = scale.reshape(-1)[~good.reshape(-1)]
        named = wrong[0] if wrong.size else scale.dtype
        raise ModelError(f"{node} has the scale {named}; scales are normal float32 above zero")
    if zero.shape != scale.shape and zero.size != scale.size:
        raise ModelError(f"{node} has {scale.size} scales and {zero.size} zero points")
    if scale.size == 1:
        return scale.reshape(()), zero.reshape(()).astype(np.int64), None
    axis = int(node.attributes.get("axis", 1))
    if not -rank <= axis < rank:
        raise ModelError(f"{node} has the axis {axis}; its input has {rank} axes")
    return scale, zero.astype(np.int64), axis % rank


def activation_affine(
    node: Node, constant: Callable[[str], Array | None], dtypes: Mapping[str, str], rank: int
) -> tuple[float, int]:
    """Scale and zero point of a QuantizeLinear or DequantizeLinear of activations, of codes 0..255.

    Args:
        node: the operator.
        constant: value of a tensor, or None where it is computed.
        dtypes: of all tensors.
        rank: of its first input.

    Raises:
        ModelError: not constant, for channels, or of another type than uint8 and int8.
    """
    constants = [constant(name) for name in node.inputs[1:] if name]
    given = [value for value in constants if value is not None]
    if not given or len(given) != len(constants):
        raise ModelError("its scale or zero point is not constant")
    dtype = dtypes.get(node.outputs[0] if node.op_type == "QuantizeLinear" else node.inputs[0], "")
    if dtype not in ("uint8", "int8"):
        raise ModelError(f"its integers are {dtype or 'of no known type'}; they must be uint8 or int8")
    scale, zero, axis = affine_of(node, [np.empty(0), *given], rank)
    if axis is not None:
        raise ModelError(f"it has {scale.size} scales; activations have one")
    return float(scale), int(zero) + (SIGNED_SHIFT if dtype == "int8" else 0)


def dequantized(node: Node, inputs: list[Array]) -> Quantized:
    """What a DequantizeLinear of constants stands for. Raises ModelError."""
    codes = inputs[0]
    scale, zero, axis = affine_of(node, inputs, codes.ndim)
    if str(codes.dtype) not in _CODES:
        raise ModelError(f"{node} reads {codes.dtype}; {', '.join(_CODES)} can be compiled")
    if axis is not None and codes.shape[axis] != scale.size:
        raise ModelError(f"{node} has {scale.size} scales for {codes.shape[axis]} channels")
    return Quantized(codes, scale, zero, axis)


def along(values: Array, axis: int | None, rank: int) -> Array:
    """A vector of one value for each channel, ready to broadcast."""
    if axis is None:
        return values
    return np.asarray(values.reshape([-1 if i == axis else 1 for i in range(rank)]))


def real_of(written: Quantized) -> Array:
    """float32(code - zero) * scale."""
    rank = written.codes.ndim
    steps = written.codes.astype(np.int64) - along(written.zero, written.axis, rank)
    return np.asarray(steps.astype(np.float32) * along(written.scale, written.axis, rank), dtype=np.float32)


def _quantize(node: Node, inputs: list[Array]) -> Array:
    x = inputs[0]
    scale, zero, axis = affine_of(node, inputs, x.ndim)
    dtype = np.dtype(inputs[2].dtype if len(inputs) > 2 else np.uint8)
    if str(dtype) not in _CODES[:2] or x.dtype != np.float32:
        raise ModelError(f"{node} turns {x.dtype} into {dtype}; float32 into uint8 or int8 can be compiled")
    steps = np.rint(x / along(scale, axis, x.ndim)).astype(np.float64) + along(zero, axis, x.ndim)
    limits = np.iinfo(dtype)
    return np.clip(steps, limits.min, limits.max).astype(dtype)


def _transposed(written: Quantized, order: Any) -> Quantized:
    rank = written.codes.ndim
    axes = tuple(range(rank))[::-1] if order is None else tuple(order)
    axis = None if written.axis is None else axes.index(written.axis)
    return Quantized(np.transpose(written.codes, axes), written.scale, written.zero, axis)


def _small(node: Node, inputs: list[Array]) -> bool:
    """Whether the result stays below the limit, before anything is computed."""
    if node.op_type in ("ConstantOfShape", "Expand", "Tile") and inputs:
        factors = inputs[0] if node.op_type == "ConstantOfShape" else inputs[-1]
        grown = math.prod(max(1, int(n)) for n in factors.reshape(-1))
        count = grown if node.op_type == "ConstantOfShape" else inputs[0].size * grown
    elif node.op_type == "Range":
        start, limit, step = (float(value) for value in inputs)
        count = int(abs((limit - start) / step)) if step and np.isfinite(limit - start) else 1 << 62
    elif node.op_type in _BROADCAST:
        try:
            count = math.prod(np.broadcast_shapes(*(value.shape for value in inputs)))
        except ValueError:
            return False
    else:
        count = sum(value.size for value in inputs)
    return count * 8 <= MAX_FOLDED_BYTES


def _reference(node: Node, constants: dict[str, Array], opset: int) -> dict[str, Array] | None:
    """Outputs by onnx's own reference implementation, or None where it has none that works here."""
    names = [name for name in node.inputs if name]
    attributes = {
        name: numpy_helper.from_array(value) if isinstance(value, np.ndarray) else value
        for name, value in node.attributes.items()
    }
    try:
        proto = helper.make_node(node.op_type, list(node.inputs), list(node.outputs), **attributes)
        inputs = [
            helper.make_tensor_value_info(n, helper.np_dtype_to_tensor_dtype(constants[n].dtype), constants[n].shape)
            for n in dict.fromkeys(names)
        ]
        outputs = [helper.make_tensor_value_info(n, TensorProto.UNDEFINED, None) for n in node.outputs if n]
        graph = helper.make_graph([proto], "constant", inputs, outputs)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)])
        results = ReferenceEvaluator(model).run(None, {name: constants[name] for name in names})
    except _NOT_FOLDABLE:
        return None
    found = zip((name for name in node.outputs if name), results, strict=True)
    return {name: np.asarray(value) for name, value in found}
