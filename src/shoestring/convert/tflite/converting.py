"""ONNX to TFLite: read, then every operator by its writer, all refusals in one message."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from shoestring.base import disk
from shoestring.base.errors import ModelError, UsageError
from shoestring.convert.converted import Converted
from shoestring.convert.tflite import (
    elements,
    functions,
    interface,
    more_ops,
    more_writers,
    moves,
    pools,
    products,
    resizing,
    rewrite,
    weighted,
)
from shoestring.convert.tflite.emitter import Emitter
from shoestring.convert.tflite.reading import Read, read
from shoestring.native import form

WRITERS: dict[type[form.Op], Callable[[Emitter, Any], None]] = {
    form.Conv: weighted.conv,
    form.Linear: weighted.linear,
    form.MatMul: products.matmul,
    form.Quantize: elements.quantize,
    form.Dequantize: elements.dequantize,
    form.Binary: elements.binary,
    form.Table: elements.table,
    form.Unary: elements.unary,
    form.Softmax: elements.softmax,
    form.Pool: pools.pool,
    form.Mean: pools.mean,
    form.Resize: resizing.resize,
    form.Concat: moves.concat,
    form.Slice: moves.slices,
    form.Pad: moves.pad,
    form.Transpose: moves.transpose,
    form.Reshape: moves.reshape,
    rewrite.IntegerFunction: functions.integer_function,
    more_ops.LayerNorm: more_writers.layer_norm,
    more_ops.Reduce: more_writers.reduce,
    more_ops.Lookup: more_writers.lookup,
    more_ops.Extreme: more_writers.extreme,
    more_ops.Power: more_writers.power,
}
"""One writer for each kind of operator."""

DESCRIPTION = "Shoestring"
PRECISIONS = ("fp32", "fp16", "int8")


def convert(model: Path | bytes, precision: str | None = None, *, integer: bool = False) -> Converted:
    """A TFLite file of an ONNX graph, float32 or quantized in QDQ form, with the very same scales and zero points.

    Codes of uint8 are shifted by 128 to TFLite's int8, which changes no arithmetic. Layers that the graph leaves in
    float stay in float. The file takes one example at a time; its images lie N, H, W, C. Its metadata holds the
    graph's own names and orders, by which the runtime "litert" feeds it.

    Args:
        model: file, or its bytes: as the importers and the quantizer write it.
        precision: None or `fp32` take the graph as it is; `fp16` stores the weights of a float graph as float16 (they
            are computed with as float32, or as float16 where a delegate does); `int8` asks that it is quantized.
        integer: functions between codes are int8 operators too, as chips without floats need. Without it they are
            computed as floats, which gives the codes of the ONNX graph and is as fast on a CPU.

    Returns:
        The file, and in words what differs from the graph.

    Raises:
        ModelError: not such a file, or operators that cannot be converted: one message names each with its node, and
            the rewrite that would do; or the graph is not what `precision` says.
        UsageError: an unknown precision.
        StorageError: the file cannot be read.
        MissingExtraError: ai-edge-litert, flatbuffers or onnx is not installed.
    """
    if isinstance(model, bytes):
        data = model
    else:
        with disk.storage_errors(model):
            data = model.read_bytes()
    found = read(data, integer=integer)
    _check_precision(found, precision)
    return write(found, half=precision == "fp16", integer=integer)


def _check_precision(found: Read, precision: str | None) -> None:
    """Raises UsageError or ModelError."""
    if precision not in (None, *PRECISIONS):
        raise UsageError(f"there is no precision {precision!r}", hint=f"one of: {', '.join(PRECISIONS)}")
    quantized = any(value.kind == "i8" for value in found.program.values.values())
    if precision is not None and quantized != (precision == "int8"):
        is_now = "quantized to 8 bits" if quantized else "not quantized"
        raise ModelError(
            f"the graph is {is_now}, {precision} was asked for", hint="convert the graph of the rung that you want"
        )


def write(found: Read, *, half: bool = False, integer: bool = False) -> Converted:
    """A TFLite file of a program.

    Args:
        found: the program and the scales of its weights.
        half: weights of float layers are stored as float16.
        integer: as `convert` takes it.

    Raises:
        ModelError: operators that cannot be written; one message names them all.
    """
    emitter = Emitter(found.program, found.scales, half, integer)
    inputs = [interface.enter(emitter, port) for port in found.program.inputs]
    _write(emitter)
    outputs: list[int] = []
    for port in found.program.outputs:
        outputs.append(interface.leave(emitter, port, [*inputs, *outputs]))
    interface.describe(emitter, found.program.inputs, found.program.outputs)
    notes = (*found.program.notes, *emitter.notes)
    return Converted(emitter.flat.finish(inputs, outputs, DESCRIPTION), tuple(dict.fromkeys(notes)))


def _write(emitter: Emitter) -> None:
    """Every operator. Raises ModelError that names all that cannot be written."""
    refused: list[str] = []
    missing: set[str] = set()
    for op in emitter.program.ops:
        if missing.intersection(op.inputs):
            missing.add(op.output)  # behind a refused one there is nothing to read
            continue
        writer = WRITERS.get(type(op))
        try:
            if writer is None:
                raise ModelError("TFLite has no operator for it")
            writer(emitter, op)
        except ModelError as error:
            refused.append(f"{type(op).__name__} {op.name!r}: {error.message}")
            missing.add(op.output)
    if refused:
        raise ModelError(
            f"{len(refused)} of the model's operators cannot be written as TFLite: " + "; ".join(refused),
            hint="rewrite them as said, or run this model with another runtime",
        )


__all__ = ["convert", "write"]
