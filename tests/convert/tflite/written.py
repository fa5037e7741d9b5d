"""Programs and graphs as TFLite files on LiteRT, beside our interpreter and ONNX Runtime."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import onnx

from shoestring.compress.graph import Graph
from shoestring.compress.observe import value_ranges
from shoestring.compress.passes.lower_mean import LowerMean
from shoestring.compress.quantize import needed_ranges, to_qdq
from shoestring.compress.scheme import scheme_named
from shoestring.convert.tflite.converting import write
from shoestring.convert.tflite.flat import schema
from shoestring.convert.tflite.reading import Read
from shoestring.convert.tflite.rewrite import rewritten
from shoestring.native.form import Array, Conv, Linear, MatMul, Op, Program
from shoestring.runtimes.litert import LiteRtRuntime

F = np.float32


def with_scales(program: Program) -> Read:
    """A random program, its multipliers replaced by near ones that scales of weights give."""
    scales: dict[str, Array] = {}
    ops: list[Op] = []
    for op in program.ops:
        if isinstance(op, Conv | Linear) and op.multiplier is not None:
            source, result = program.values[op.inputs[0]], program.values[op.output]
            divisor = F(result.scale) if result.kind == "i8" else F(1)
            wanted = np.minimum(op.multiplier, F(200))
            scales[op.name] = np.asarray(wanted * divisor / F(source.scale), dtype=F)
            op = replace(op, multiplier=np.asarray(F(source.scale) * scales[op.name], dtype=F) / divisor)
        elif isinstance(op, MatMul) and op.multiplier is not None:
            one, other, result = (program.values[name] for name in (*op.inputs, op.output))
            product = F(one.scale) * F(other.scale)
            op = replace(op, multiplier=float(product / F(result.scale) if result.kind == "i8" else product))
        ops.append(op)
    return Read(replace(program, ops=tuple(ops)), scales)


def on_litert(found: Read, feeds: Mapping[str, Array], *, integer: bool = False) -> dict[str, Array]:
    """Answers of a program's TFLite file."""
    made = write(Read(rewritten(found.program, integer=integer), found.scales), integer=integer)
    with LiteRtRuntime().load(made.data, 1) as session:
        return session.run(feeds)


def on_reference_kernels(data: bytes, feeds: list[Array]) -> list[Array]:
    """Answers of TFLite's plain C++ kernels, by which its operators are specified; images lie N, H, W, C."""
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    interpreter = Interpreter(model_content=data, experimental_op_resolver_type=OpResolverType.BUILTIN_REF)
    interpreter.allocate_tensors()
    for detail, array in zip(interpreter.get_input_details(), feeds, strict=True):
        interpreter.set_tensor(detail["index"], array)
    interpreter.invoke()
    return [interpreter.get_tensor(detail["index"]) for detail in interpreter.get_output_details()]


def quantized(model: bytes, feeds: Mapping[str, Array], scheme: str = "u8s7") -> bytes:
    """A graph in QDQ form with the plain ranges of the feeds.

    Seven bits of weights do not saturate in ONNX Runtime's kernels for processors without VNNI, whatever runs here.
    """
    graph = LowerMean().run(Graph(onnx.load_model_from_string(model)), {})[0]
    ranges = value_ranges(graph, lambda: iter([dict(feeds)]), needed_ranges(graph))
    return to_qdq(graph, ranges, scheme_named(scheme), frozenset()).to_bytes()


def parsed(data: bytes) -> Any:
    """A TFLite file as objects of its schema."""
    return schema().ModelT.InitFromObj(schema().Model.GetRootAs(data, 0))


def operators(data: bytes) -> Counter[str]:
    """How many operators of each kind a file has, like `CONV_2D INT8`; the type is that of the first output."""
    model = parsed(data)
    names = {value: name for name, value in vars(schema().BuiltinOperator).items() if name.isupper()}
    types = {value: name for name, value in vars(schema().TensorType).items() if name.isupper()}
    graph = model.subgraphs[0]
    return Counter(
        f"{names[model.operatorCodes[op.opcodeIndex].builtinCode]} {types[graph.tensors[op.outputs[0]].type]}"
        for op in graph.operators
    )
