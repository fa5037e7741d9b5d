"""From a graph to a program: every node by its handler, all refusals in one message."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from shoestring.base.errors import ModelError
from shoestring.native.form import Op, Port, Program, Reshape, Value
from shoestring.native.front import elementwise, moves, pools, resize, weighted
from shoestring.native.front.builder import COMMUTES, Affine, Builder
from shoestring.native.front.graph import Graph, Node
from shoestring.native.front.visiting import visit

Handler = Callable[[Builder, Node], None]

HANDLERS: dict[str, Handler] = {
    "Conv": weighted.conv,
    "Gemm": weighted.gemm,
    "MatMul": weighted.matmul,
    **dict.fromkeys(elementwise.KINDS, elementwise.binary),
    **dict.fromkeys(elementwise.FUNCTIONS, elementwise.unary),
    "HardSigmoid": elementwise.hard_sigmoid,
    "LeakyRelu": elementwise.leaky_relu,
    "PRelu": elementwise.prelu,
    "Relu": elementwise.clip,
    "Clip": elementwise.clip,
    "Softmax": elementwise.softmax,
    "Identity": elementwise.identity,
    "Dropout": elementwise.identity,
    "Cast": elementwise.cast,
    "QuantizeLinear": elementwise.quantize_linear,
    "DequantizeLinear": elementwise.dequantize_linear,
    "MaxPool": pools.max_pool,
    "GlobalMaxPool": pools.global_max_pool,
    "AveragePool": pools.average_pool,
    "GlobalAveragePool": pools.global_average_pool,
    "ReduceMean": pools.reduce_mean,
    "Resize": resize.resize,
    **dict.fromkeys(("Reshape", "Flatten", "Squeeze", "Unsqueeze"), moves.reshape),
    "Transpose": moves.transpose,
    "Concat": moves.concat,
    "Slice": moves.slices,
    "Split": moves.split,
    "Gather": moves.gather,
    "Pad": moves.pad,
}
"""Everything that can be compiled."""

INDICES = ("int32", "int64")
"""Types of inputs that number the rows of a table."""


def translate(graph: Graph, name: str, sha256: str, handlers: Mapping[str, Handler] = HANDLERS) -> Program:
    """The typed operators of a graph, in its order.

    Args:
        graph: as it was read.
        name: of the program.
        sha256: of the file.
        handlers: by operator; a converter may know more of them than the compiler.

    Raises:
        ModelError: names every operator that cannot be compiled, with its reason.
    """
    builder = Builder(graph)
    refused: list[str] = []
    inputs = [_input(builder, tensor, refused) for tensor in graph.inputs]
    refused += visit(graph, builder, handlers, lambda _: "there is no such operator in a program")
    if refused:
        raise ModelError(
            f"{len(refused)} of the model's operators cannot be compiled: " + "; ".join(refused),
            hint="run this model with another runtime, or export it without these operators",
        )
    outputs = [_output(builder, tensor) for tensor in graph.outputs]
    return Program(
        name, builder.values, tuple(builder.ops), tuple(inputs), tuple(outputs), sha256, tuple(builder.notes)
    )


def _input(builder: Builder, tensor: str, refused: list[str]) -> Port:
    """Enter a graph input: reals, or codes of the scale that its DequantizeLinear says."""
    shape, dtype = builder.shape(tensor), builder.graph.dtypes[tensor]
    if dtype == "float32":
        value = builder.reals[tensor] = builder.new(tensor, shape, None)
        return builder.port(tensor, value)
    if dtype in INDICES:  # only a converter's handlers read such a value; programs are never given one
        value = builder.integers[tensor] = builder.new(tensor, shape, None)
        return Port(tensor, value.name, dtype, tensor in builder.graph.free_batch)
    try:
        affine = _reader_affine(builder, tensor)
    except ModelError as error:
        refused.append(f"input {tensor!r}: {error.message}")
        affine = Affine(1.0, 0)
    value = builder.integers[tensor] = builder.new(tensor, shape, affine)
    return builder.port(tensor, value)


def _reader_affine(builder: Builder, tensor: str) -> Affine:
    """Scale and zero point that the first DequantizeLinear or Cast behind an input of integers gives it."""
    left, seen = [tensor], {tensor}
    while left:
        for reader in builder.consumers.get(left.pop(0), []):
            if reader.op_type == "DequantizeLinear":
                return builder.affine_of_node(reader)
            if reader.op_type == "Cast":
                return Affine(1.0, 128 if builder.graph.dtypes[tensor] == "int8" else 0)
            if reader.op_type in COMMUTES:
                left += [name for name in reader.outputs if name not in seen]
                seen.update(reader.outputs)
    return Affine(1.0, 128 if builder.graph.dtypes[tensor] == "int8" else 0)


def _output(builder: Builder, tensor: str) -> Port:
    """The port of a graph output; one that is an input or a constant too gets a value of its own, or is refused."""
    if tensor in builder.graph.constants:
        raise ModelError(f"output {tensor!r} is constant", hint="a program computes its outputs from its inputs")
    if not builder.known(tensor):
        raise ModelError(f"output {tensor!r} is not made by the nodes before it", hint="the graph is out of order")
    dtype = builder.graph.dtypes.get(tensor, "")
    if dtype not in ("float32", "uint8", "int8"):
        raise ModelError(f"output {tensor!r} is {dtype or 'of no known type'}; outputs are float32, uint8 or int8")
    value: Value = builder.real(tensor) if dtype == "float32" else builder.integers[tensor]
    made: set[str] = {op.output for op in builder.ops}
    if value.name not in made:
        copy: type[Op] = Reshape
        value = builder.emit(copy, f"{tensor}/copy", (value,), builder.like(value, f"{tensor}/copy", value.shape))
    return builder.port(tensor, value)
