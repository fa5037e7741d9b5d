"""The inside of the quarantine for TensorFlow Lite: a file becomes a float ONNX model."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from shoestring.base.errors import ModelError
from shoestring.importers.require import helper
from shoestring.importers.tflite.compute import compute_now
from shoestring.importers.tflite.file import File, read_file
from shoestring.importers.tflite.graph import AXIS, IMAGE, IMAGE_RANK, PLAIN, Graph, image_shape
from shoestring.importers.tflite.infer_node import OPSET, dims_of
from shoestring.importers.tflite.table import WRITERS, check_operators
from shoestring.importers.tflite.tensors import NUMPY_OF, Tensor
from shoestring.importers.written import read_limited, write_onnx


def translate(request: dict[str, Any]) -> dict[str, Any]:
    """Read `source` and write ONNX to `target`.

    Args:
        request: the two paths, and `shapes` as `import_model` takes them.

    Returns:
        `sha256` of the source, and `notes`.

    Raises:
        ModelError: a damaged file, or what cannot become ONNX, by its name.
        StorageError: `target` cannot be written.
    """
    data = read_limited(Path(request["source"]))
    file = read_file(data)
    model, notes = convert(file, request["shapes"])
    write_onnx(model, Path(request["target"]))
    return {"sha256": hashlib.sha256(data).hexdigest(), "notes": notes}


def convert(file: File, shapes: Mapping[str, Sequence[int | None]]) -> tuple[Any, list[str]]:
    """The ONNX model of a file, and what was done.

    Args:
        shapes: for inputs by name, as the ONNX model has them: sizes for the axes that the file leaves open.

    Raises:
        ModelError: what cannot become ONNX, or a shape that the file states and its operators do not give.
        UsageError: shapes that do not fit the file.
    """
    check_operators(file.operators)
    graph = Graph(file)
    names = _Names()
    inputs = [_input(graph, number, names, shapes) for number in file.inputs]
    for operator in file.operators:
        if not operator.inputs or not operator.outputs:
            raise operator.wrong("it has no inputs or no outputs", hint="the file is damaged")
        before = len(graph.nodes)
        try:
            WRITERS[operator.kind](graph, operator)
        except IndexError as error:  # an input, an output or an axis fewer than its kind has
            raise operator.wrong("it has fewer inputs, outputs or axes than it must") from error
        compute_now(graph, operator, before)
    outputs = [_output(graph, number, names) for number in file.outputs]
    made = helper.make_graph(graph.nodes, "tflite", inputs, outputs, list(graph.weights.values()))
    model = helper.make_model(made, opset_imports=[helper.make_opsetid("", OPSET)])
    return model, _notes(graph)


class _Names:
    """Names for inputs and outputs that no two have, nor any tensor in between: those begin otherwise."""

    def __init__(self) -> None:
        self.taken: set[str] = set()

    def of(self, tensor: Tensor, kind: str) -> str:
        base = "".join(c if c.isalnum() or c in "_./:-" else "_" for c in tensor.name) or f"{kind}_{tensor.index}"
        name = base = f"{kind}_{base}" if base[0].isdigit() else base
        while name in self.taken:
            name = f"{base}_{len(self.taken)}"
        self.taken.add(name)
        return name


def _input(graph: Graph, number: int, names: _Names, shapes: Mapping[str, Sequence[int | None]]) -> Any:
    tensor = graph.tensor(number)
    if tensor.data is not None:
        raise ModelError(f"{tensor.label} is an input and holds values", hint="the file is damaged")
    layout = IMAGE if len(tensor.shape) == IMAGE_RANK else PLAIN
    name = names.of(tensor, "input")
    shape = list(image_shape(tensor.shape) if layout == IMAGE else tensor.shape)
    still_open = sorted(AXIS[axis] if layout == IMAGE else axis for axis in tensor.open_axes)
    for axis, size in enumerate(shapes.get(name, ())):
        if size is not None and axis in still_open:
            shape[axis] = size
            still_open.remove(axis)
    if any(axis > 0 for axis in still_open):  # a batch that is left open is 1, as in the file
        raise ModelError(
            f"input {name!r} has the shape {shape}, and leaves the sizes along {still_open} open",
            hint=f"give its shape, for example {{{name!r}: {example(shape, still_open)}}}; predict and chips take it "
            f"as --shape {name}={'x'.join(map(str, example(shape, still_open)))}",
        )
    made = helper.make_tensor_value_info(name, onnx_type_of(tensor), shape)
    graph.types[name] = made.type
    graph.give(number, layout, name)
    return made


def example(shape: list[int], still_open: list[int]) -> tuple[int, ...]:
    """A shape that would do."""
    return tuple((224 if axis else 1) if axis in still_open else size for axis, size in enumerate(shape))


def _output(graph: Graph, number: int, names: _Names) -> Any:
    tensor = graph.tensor(number)
    layout = IMAGE if len(graph.shape(number)) == IMAGE_RANK else PLAIN
    source, name = graph.read(number, layout), names.of(tensor, "output")
    graph.node("Identity", [source], name)
    return helper.make_tensor_value_info(name, onnx_type_of(tensor), list(dims_of(graph.types[name])))


def onnx_type_of(tensor: Tensor) -> int:
    if tensor.dtype not in NUMPY_OF:
        raise ModelError(
            f"{tensor.label} holds values of the type {tensor.kind or 'unknown'}, which is not read",
            hint="convert the model with float or integer values",
        )
    return int(helper.np_dtype_to_tensor_dtype(np.dtype(tensor.dtype)))


def _notes(graph: Graph) -> list[str]:
    notes = [f"read {len(graph.file.operators)} operators from TensorFlow Lite"]
    quantized = [tensor for tensor in graph.file.tensors if tensor.quantization is not None and tensor.kind != "INT32"]
    weights = sum(tensor.data is not None for tensor in quantized)
    if quantized:
        notes.append(
            f"it was quantized: {weights} weights became float again, {len(quantized) - weights} activations lost "
            "their rounding; fit it again to get integers"
        )
    for numbers, kind in ((graph.file.inputs, "input"), (graph.file.outputs, "output")):
        for number in numbers:
            tensor = graph.tensor(number)
            shape = graph.shape(number)
            if len(shape) == IMAGE_RANK:
                notes.append(f"{kind} {tensor.name!r} is (N, C, H, W) now: {list(image_shape(shape))}")
            if tensor.span is not None:
                low, high = tensor.span
                notes.append(f"{kind} {tensor.name!r} was {tensor.kind}, is float32 now, in {low:.6g}..{high:.6g}")
    return notes + graph.notes
