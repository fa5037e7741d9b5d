"""From a graph to a network: every node by its handler, all refusals in one message."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from shoestring.base.errors import ModelError
from shoestring.convert.ncnn import elementwise, moves, reducing, weighted
from shoestring.convert.ncnn.building import Blob, Builder, canonical, sides
from shoestring.convert.ncnn.layers import Layer
from shoestring.convert.ncnn.rewrites import rewrite
from shoestring.native.front.graph import Graph, Node
from shoestring.native.front.visiting import visit

Handler = Callable[[Builder, Node], None]

HANDLERS: dict[str, Handler] = {
    **elementwise.HANDLERS,
    "Conv": weighted.conv,
    "ConvTranspose": weighted.conv_transpose,
    "Gemm": weighted.gemm,
    "MatMul": weighted.matmul,
    "Relu": elementwise.clip,
    "Clip": elementwise.clip,
    "PRelu": elementwise.prelu,
    "Identity": elementwise.identity,
    "Dropout": elementwise.identity,
    "Cast": elementwise.cast,
    "QuantizeLinear": elementwise.quantize,
    "DequantizeLinear": elementwise.dequantize,
    "MaxPool": reducing.pool,
    "AveragePool": reducing.pool,
    "GlobalMaxPool": reducing.global_pool,
    "GlobalAveragePool": reducing.global_pool,
    **dict.fromkeys(reducing.REDUCTIONS, reducing.reduce),
    "Softmax": reducing.softmax,
    "LayerNormalization": reducing.layer_norm,
    "InstanceNormalization": reducing.instance_norm,
    "BatchNormalization": reducing.batch_norm,
    "LRN": reducing.lrn,
    **dict.fromkeys(("Reshape", "Flatten", "Squeeze", "Unsqueeze"), moves.reshape),
    "Transpose": moves.transpose,
    "Concat": moves.concat,
    "Slice": moves.slices,
    "Split": moves.split,
    "Gather": moves.gather,
    "Pad": moves.pad,
    "Resize": moves.resize,
    "DepthToSpace": moves.depth_to_space,
}
"""Everything that can go."""


@dataclass(frozen=True, eq=False)
class Network:
    """Args:
    layers: in order; a blob may still be read more than once.
    inputs, outputs: blobs, in the order of the graph's ports.
    notes: what differs from the graph.
    """

    layers: list[Layer]
    inputs: list[Blob]
    outputs: list[Blob]
    notes: tuple[str, ...]


def translate(graph: Graph, *, quantized: bool) -> Network:
    """The layers of a graph, in its order.

    Args:
        graph: shapes static, batch of one.
        quantized: whether 8-bit weights make 8-bit layers.

    Raises:
        ModelError: names every node that cannot go, with its operator, the reason and what to write instead.
    """
    builder = Builder(graph, quantized)
    inputs = [_input(builder, tensor) for tensor in graph.inputs]
    refused = visit(graph, builder, HANDLERS, rewrite)
    if refused:
        raise ModelError(
            f"{len(refused)} of the model's operators cannot go to ncnn: " + "; ".join(refused),
            hint="rewrite them as said, or run this model with another runtime",
        )
    outputs = [_output(builder, tensor) for tensor in graph.outputs]
    return Network(builder.layers, inputs, outputs, (*builder.notes, *_unrounded(builder)))


def _unrounded(builder: Builder) -> list[str]:
    """A note on quantized activations that operators outside 8-bit layers read; outputs are read by nobody."""

    def read(tensor: str) -> bool:
        return any(
            node.op_type not in ("QuantizeLinear", "DequantizeLinear") for node in builder.readers.get(tensor, [])
        )

    found = {id(one) for name, one in builder.on_grid.items() if one.clamped is not None and read(name)}
    if not found:
        return []
    return [f"{len(found)} activations are read as reals that were not rounded to their codes first"]


def _input(builder: Builder, tensor: str) -> Blob:
    shape = builder.shape(tensor)
    dims = canonical(shape)
    blob = builder.emit("Input", tensor, [], dims, sides(dims))
    builder.reals[tensor] = blob
    return blob


def _output(builder: Builder, tensor: str) -> Blob:
    if builder.graph.dtypes.get(tensor) != "float32":
        dtype = builder.graph.dtypes.get(tensor) or "of no known type"
        raise ModelError(f"output {tensor!r} is {dtype}; ncnn answers float32", hint="end the model before that node")
    if not builder.known(tensor):
        raise ModelError(f"output {tensor!r} is not made by the nodes before it", hint="the graph is out of order")
    return builder.real(tensor)
