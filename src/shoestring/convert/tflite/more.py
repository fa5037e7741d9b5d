"""Nodes that compiled programs do not have, for transformers above all: norms, GELU, means over any axes, powers."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from shoestring.base.errors import ModelError
from shoestring.convert.tflite.more_ops import Extreme, LayerNorm, Lookup, Power, Reduce
from shoestring.native.form import Array, Binary, Op, Unary
from shoestring.native.front import moves, pools
from shoestring.native.front.builder import Builder
from shoestring.native.front.graph import Node
from shoestring.native.front.translate import HANDLERS, Handler

F = np.float32
ROOT_TOLERANCE = 1e-5
"""Relative, of a written square root of two or its inverse."""

FUNCTIONS: dict[str, Any] = {"ReduceMean": "mean", "ReduceSum": "sum", "ReduceMax": "max", "ReduceMin": "min"}


def _real(builder: Builder, node: Node, op_type: type[Op], names: tuple[str, ...], **fields: Any) -> None:
    """Emit an operator of floats whose result is the node's."""
    made = builder.new(node.outputs[0], builder.shape(node.outputs[0]), None)
    sources = [builder.real(name) for name in names]
    builder.reals[node.outputs[0]] = builder.emit(op_type, node.name, sources, made, **fields)


def layer_norm(builder: Builder, node: Node) -> None:
    """LayerNormalization with constant scale and shift."""
    if len([name for name in node.outputs if name]) > 1:
        raise ModelError("its mean and deviation are read; export it with one output")
    rank = len(builder.shape(node.inputs[0]))
    axis = int(node.attributes.get("axis", -1)) % rank
    scale = builder.constant(node.inputs[1])
    shift = builder.constant(node.input(2))
    if scale is None or (node.input(2) and shift is None):
        raise ModelError("its scale or shift is not constant; export them as weights")
    epsilon = float(node.attributes.get("epsilon", 1e-5))
    _real(builder, node, LayerNorm, node.inputs[:1], axis=axis, epsilon=epsilon, scale=scale, shift=shift)


def reduce(builder: Builder, node: Node) -> None:
    """ReduceMean over an image as the compiler reads it; every other reduction as one of floats."""
    if node.op_type == "ReduceMean":
        try:
            pools.reduce_mean(builder, node)
        except ModelError:
            pass  # not over an image: it is written as it stands
        else:
            return
    rank = len(builder.shape(node.inputs[0]))
    axes = _axes(builder, node, rank)
    keep = bool(node.attributes.get("keepdims", 1))
    _real(builder, node, Reduce, node.inputs[:1], function=FUNCTIONS[node.op_type], axes=axes, keep=keep)


def _axes(builder: Builder, node: Node, rank: int) -> tuple[int, ...]:
    given = node.attributes.get("axes")
    if given is None:
        value = builder.constant(node.input(1))
        if node.input(1) and value is None:
            raise ModelError("its axes are not constant; export it with fixed axes")
        given = range(rank) if value is None or value.size == 0 else [int(n) for n in value.reshape(-1)]
    return tuple(sorted(int(axis) % rank for axis in given))


def power(builder: Builder, node: Node) -> None:
    """Pow with a constant exponent; a square is a product."""
    exponent = builder.constant(node.inputs[1])
    if exponent is None or exponent.size != 1:
        raise ModelError("its exponent is not one constant; rewrite it with exp and log")
    value = float(exponent.reshape(-1)[0])
    if value == 2.0:
        _real(builder, node, Binary, (node.inputs[0], node.inputs[0]), kind="mul")
    elif value == 0.5:
        _real(builder, node, Unary, node.inputs[:1], function="sqrt")
    else:
        _real(builder, node, Power, node.inputs[:1], exponent=value)


def extreme(builder: Builder, node: Node) -> None:
    """Max and Min of two."""
    if len(node.inputs) != 2:
        raise ModelError(f"it has {len(node.inputs)} inputs; rewrite it as a chain of pairs")
    function: Any = node.op_type.lower()
    constants = [builder.constant(name) for name in node.inputs]
    names = tuple(name for name, value in zip(node.inputs, constants, strict=True) if value is None)
    constant = next((value for value in constants if value is not None), None)
    _real(builder, node, Extreme, names, function=function, constant=constant)


def gelu(builder: Builder, node: Node) -> None:
    """Gelu as one node."""
    rough = str(node.attributes.get("approximate", "none")) == "tanh"
    _real(builder, node, Unary, node.inputs[:1], function="gelu", a=float(rough))


def erf(builder: Builder, node: Node) -> None:
    """The Erf inside x * 0.5 * (1 + erf(x / sqrt 2)), in any order of its products, is GELU; TFLite has no other."""
    found = _gelu_around(builder, node)
    if found is None:
        raise ModelError(
            "TFLite has no Erf; inside x * 0.5 * (1 + erf(x / sqrt 2)) it is recognised as GELU, elsewhere rewrite it "
            "with tanh"
        )
    x, end, absorbed = found
    made = builder.new(end, builder.shape(end), None)
    builder.reals[end] = builder.emit(Unary, node.name, (builder.real(x),), made, function="gelu", a=0.0)
    builder.absorbed.update(absorbed)


def _gelu_around(builder: Builder, node: Node) -> tuple[str, str, list[Node]] | None:
    """Input, output and inner nodes behind Erf of a GELU, or None."""
    x = _scaled(builder, builder.producers.get(node.inputs[0]), 1 / math.sqrt(2))
    plus = builder.sole_reader(node.outputs[0])
    if x is None or plus is None or plus.op_type != "Add" or _number(builder, plus) != 1.0:
        return None
    absorbed, tensor, left = [plus], plus.outputs[0], {"x", "half"}
    while left:
        product = builder.sole_reader(tensor)
        if product is None or product.op_type != "Mul":
            return None
        other = product.inputs[0] if product.inputs[1] == tensor else product.inputs[1]
        part = {"x"} if other == x else set()
        if _number(builder, product) == 0.5:
            part = {"half"}
        elif _scaled(builder, builder.producers.get(other), 0.5) == x:
            part = {"x", "half"}
        if not part or not part <= left:
            return None
        left -= part
        absorbed.append(product)
        tensor = product.outputs[0]
    return x, tensor, absorbed


def _scaled(builder: Builder, node: Node | None, factor: float) -> str | None:
    """The tensor that a Mul or Div scales by `factor`, or None."""
    if node is None or node.op_type not in ("Mul", "Div"):
        return None
    number = _number(builder, node)
    if number is None or not number or (node.op_type == "Div" and builder.constant(node.inputs[1]) is None):
        return None
    found = 1 / number if node.op_type == "Div" else number
    if not math.isclose(found, factor, rel_tol=ROOT_TOLERANCE):
        return None
    return next(name for name in node.inputs if builder.constant(name) is None)


def _number(builder: Builder, node: Node) -> float | None:
    """The one constant number among a node's inputs."""
    values: list[Array] = [v for name in node.inputs if (v := builder.constant(name)) is not None]
    if len(values) != 1 or values[0].size != 1 or len(node.inputs) != 2:
        return None
    return float(values[0].reshape(-1)[0])


def gather(builder: Builder, node: Node) -> None:
    """Rows of a constant table by an input of whole numbers, as tokens are embedded; else as the compiler reads it."""
    table, indices = builder.constant(node.inputs[0]), builder.integers.get(node.inputs[1])
    if table is None or indices is None or node.inputs[1] not in builder.graph.inputs:
        moves.gather(builder, node)
        return
    if int(node.attributes.get("axis", 0)) != 0 or table.dtype != F:
        raise ModelError(
            f"its table is {table.dtype} along axis {node.attributes.get('axis', 0)}; rows of floats can go"
        )
    made = builder.new(node.outputs[0], builder.shape(node.outputs[0]), None)
    builder.reals[node.outputs[0]] = builder.emit(Lookup, node.name, (indices,), made, table=table)


def refuse(words: str) -> Handler:
    """A handler for what cannot go: the rewrite that would do."""

    def handler(_: Builder, __: Node) -> None:
        raise ModelError(words)

    return handler


MORE: dict[str, Handler] = {
    **HANDLERS,
    "LayerNormalization": layer_norm,
    **dict.fromkeys(FUNCTIONS, reduce),
    "Pow": power,
    "Max": extreme,
    "Min": extreme,
    "Gelu": gelu,
    "com.microsoft.Gelu": gelu,
    "Erf": erf,
    "Gather": gather,
    "Softplus": refuse("TFLite has no Softplus; rewrite it as log(1 + exp(x)), or Mish as HardSwish"),
    "Mish": refuse("TFLite has no Mish; retrain with HardSwish or SiLU"),
    "InstanceNormalization": refuse(
        "TFLite has no InstanceNormalization; rewrite it with ReduceMean, Sub, Mul and Div"
    ),
    "GroupNormalization": refuse("TFLite has no GroupNormalization; rewrite it with Reshape and LayerNormalization"),
    "BatchNormalization": refuse("fold it into the layer before it: shoestring import does"),
    "NonMaxSuppression": refuse("leave it out of the graph, and run it on the boxes and scores that the graph answers"),
    "ScatterND": refuse("rewrite it with Concat of slices"),
    "Loop": refuse("unroll it when exporting the model"),
    "If": refuse("export the branch that is taken"),
    "LSTM": refuse("export it unrolled, as MatMul, Sigmoid and Tanh"),
    "GRU": refuse("export it unrolled, as MatMul, Sigmoid and Tanh"),
    "Einsum": refuse("rewrite it as Transpose and MatMul"),
    "GridSample": refuse("rewrite it as Resize, or leave it out of the graph"),
}
"""What can be converted, and what cannot with the rewrite that would do."""

__all__ = ["MORE"]
