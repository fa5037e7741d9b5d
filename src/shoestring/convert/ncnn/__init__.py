"""ncnn (https://github.com/Tencent/ncnn): ONNX graphs, float or in QDQ form, as files for `ncnn` and `ncnn-vulkan`."""

from __future__ import annotations

from pathlib import Path

from shoestring.base import disk
from shoestring.base.errors import ModelError
from shoestring.convert.converted import Converted
from shoestring.convert.ncnn.layers import needed, param_text, split, weight_bytes
from shoestring.convert.ncnn.translate import translate
from shoestring.domain.model import TensorSpec
from shoestring.native.front.graph import Graph
from shoestring.native.front.reading import read_graph
from shoestring.runtimes.ncnn_file import PRECISIONS, NcnnFile, Port, pack

__all__ = ["convert"]

INTEGER_KINDS = ("Convolution", "ConvolutionDepthWise", "InnerProduct")
_INTEGER = 8  # number of the parameter that makes them 8-bit layers


def convert(model: Path | bytes, precision: str) -> Converted:
    """A model in the form that the runtimes `ncnn` and `ncnn-vulkan` load.

    Args:
        model: ONNX as the importer leaves it, or the quantizer: shapes fixed but for a free batch, weights inside.
        precision: `fp32`; `fp16`: weights in 16 bits, and arithmetic too on processors that have it; `int8`: layers of
            a quantized graph in 8 bits, with its weight codes and scales and its activation grids.

    Returns:
        The file; its notes name each layer with 8-bit weights that works in float, and why.

    Raises:
        ModelError: no such graph; a float graph for `int8` or a quantized one for floats; operators that cannot go, all
            in one message with what to write instead.
        StorageError: the file cannot be read.
    """
    if precision not in PRECISIONS:
        raise ModelError(f"there is no precision {precision!r} for ncnn", hint=f"one of {', '.join(PRECISIONS)}")
    graph = read_graph(_bytes(model))
    quantized = any(node.op_type == "QuantizeLinear" for node in graph.nodes)
    if quantized != (precision == "int8"):
        what = "quantized" if quantized else "not quantized"
        wanted = "int8 from a quantized graph, fp32 and fp16 from the float one"
        raise ModelError(f"the graph is {what}, but {precision} was asked for", hint=f"convert makes {wanted}")
    network = translate(graph, quantized=quantized)
    names = [blob.name for blob in network.outputs]
    layers, outputs = split(needed(network.layers, names), names)
    if quantized and not any(layer.kind in INTEGER_KINDS and _INTEGER in layer.params for layer in layers):
        raise ModelError("no layer of the quantized graph can work in 8 bits in ncnn: " + "; ".join(network.notes))
    found = NcnnFile(
        precision,
        tuple(_port(graph, tensor, blob.name) for tensor, blob in zip(graph.inputs, network.inputs, strict=True)),
        tuple(_port(graph, tensor, name) for tensor, name in zip(graph.outputs, outputs, strict=True)),
        param_text(layers),
        weight_bytes(layers, halves=precision == "fp16"),
    )
    return Converted(pack(found), network.notes)


def _bytes(model: Path | bytes) -> bytes:
    if isinstance(model, bytes):
        return model
    with disk.storage_errors(model):
        return model.read_bytes()


def _port(graph: Graph, tensor: str, blob: str) -> Port:
    shape: tuple[int | None, ...] = graph.shapes[tensor]
    if tensor in graph.free_batch:
        shape = (None, *shape[1:])
    return Port(TensorSpec(tensor, graph.dtypes[tensor], shape), blob)
