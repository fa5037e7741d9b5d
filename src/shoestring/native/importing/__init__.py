"""The front: an ONNX graph becomes a typed program, or is refused with every operator that has no kernel."""

from __future__ import annotations

from pathlib import Path

from shoestring.native.form import Program
from shoestring.native.importing import pointwise, shapes, weighted, window
from shoestring.native.importing.graph import Graph
from shoestring.native.importing.reader import Handler, Reader, dequantize_linear, quantize_linear
from shoestring.native.passes.tables import make_tables

HANDLERS: dict[str, Handler] = {
    "QuantizeLinear": quantize_linear,
    "DequantizeLinear": dequantize_linear,
    "Conv": weighted.conv,
    "Gemm": weighted.gemm,
    "MatMul": weighted.matmul,
    "MaxPool": window.max_pool,
    "AveragePool": window.average_pool,
    "GlobalAveragePool": window.global_average,
    "ReduceMean": window.global_average,
    "Softmax": window.softmax,
    "Resize": window.resize,
    "Upsample": window.resize,
    "Transpose": shapes.transpose,
    "Concat": shapes.concat,
    "Slice": shapes.slices,
    "Split": shapes.split,
    "Pad": shapes.pad,
    "Gather": shapes.gather,
    **dict.fromkeys(("Reshape", "Flatten", "Squeeze", "Unsqueeze"), shapes.reshape),
    **dict.fromkeys(("Identity", "Dropout"), shapes.identity),
    **dict.fromkeys(pointwise.KINDS, pointwise.binary),
    **dict.fromkeys((*pointwise.PLAIN, "Relu", "Clip", "LeakyRelu", "PRelu", "HardSigmoid"), pointwise.unary),
}
"""Every operator that can be compiled, and what reads it."""


def read_program(model: Path | bytes, name: str) -> Program:
    """The program of an ONNX file.

    Args:
        model: file or bytes: self-contained, opset 11 or later, shapes fixed but for a free batch, which becomes 1.
        name: of the program, a C identifier.

    Raises:
        ModelError: the file is no such model, or holds operators that cannot be compiled; all of them are named.
    """
    return make_tables(Reader(Graph(model), HANDLERS).read(name))
