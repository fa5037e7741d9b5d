"""The ends of a converted model: TFLite's tensors, and how they stand to those of the ONNX graph.

Images lie N, H, W, C in the file, as every tool for TFLite expects. The entry "shoestring" of its metadata says what
the graph's own names and orders are, so that our adapter takes and gives what the graph does.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from shoestring.convert.tflite.emitter import Emitter
from shoestring.convert.tflite.flat import Scales
from shoestring.convert.tflite.layout import IMAGE, laid, plain
from shoestring.native.form import Port, Value
from shoestring.native.front.translate import INDICES
from shoestring.runtimes.litert_ports import METADATA, LitertPort, write_ports


def enter(emitter: Emitter, port: Port) -> int:
    """The tensor of an input; uint8 is turned to int8 behind it."""
    value = emitter.value(port.value)
    layout = IMAGE if len(value.shape) == 4 else plain(len(value.shape))
    shape = laid(value.shape, layout)
    if port.dtype in INDICES:
        made = emitter.flat.tensor(port.name, shape, port.dtype)
        emitter.place(port.value, made, layout)
        return made
    if port.dtype != "uint8":
        made = emitter.flat.tensor(port.name, shape, *emitter.kind(value))
        emitter.place(port.value, made, layout)
        return made
    made = emitter.flat.tensor(port.name, shape, "uint8", _unsigned(value))
    emitter.flat.operator("QUANTIZE", (made,), emitter.new(port.value, layout), options="Quantize", int8=True)
    return made


def leave(emitter: Emitter, port: Port, taken: Sequence[int]) -> int:
    """The tensor of an output, in the order in which it was made; `taken` are tensors that are ends already."""
    value, tensor = emitter.value(port.value), emitter.own(port.value)
    shape = emitter.flat.shape(tensor)
    if port.dtype == "uint8":
        made = emitter.flat.tensor(port.name, shape, "uint8", _unsigned(value))
        return emitter.flat.operator("QUANTIZE", (tensor,), made, options="Quantize", int8=True)
    return emitter.reshape(tensor, value, shape) if tensor in taken else tensor


def _unsigned(value: Value) -> Scales:
    return Scales(np.array([value.scale], np.float32), np.array([value.zero]))


def describe(emitter: Emitter, inputs: Sequence[Port], outputs: Sequence[Port]) -> None:
    """Write the metadata entry."""

    def ends(ports: Sequence[Port]) -> tuple[LitertPort, ...]:
        return tuple(LitertPort(port.name, emitter.layout(port.value), port.free_batch) for port in ports)

    emitter.flat.metadata(METADATA, write_ports(ends(inputs), ends(outputs)))


__all__ = ["describe", "enter", "leave"]
