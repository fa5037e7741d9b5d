"""The inside of the quarantine for TensorFlow Lite: a file becomes a float ONNX model."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np

from shoestring.base.errors import ModelError
from shoestring.importers.draft import Draft
from shoestring.importers.infer import infer, known_shape
from shoestring.importers.require import helper
from shoestring.importers.tflite.file import File, read_file
from shoestring.importers.tflite.graph import IMAGE, IMAGE_RANK, OPSET, PLAIN, Graph, image_shape
from shoestring.importers.tflite.table import WRITERS, check_operators
from shoestring.importers.tflite.tensors import NUMPY_OF, Tensor
from shoestring.importers.written import read_limited, write_onnx


def translate(request: dict[str, Any]) -> dict[str, Any]:
    """Read `source` and write ONNX to `target`.

    Args:
        request: the two paths.

    Returns:
        `sha256` of the source, and `notes`.

    Raises:
        ModelError: a damaged file, or what cannot become ONNX, by its name.
        StorageError: `target` cannot be written.
    """
    data = read_limited(Path(request["source"]))
    file = read_file(data)
    model, notes = convert(file)
    write_onnx(model, Path(request["target"]))
    return {"sha256": hashlib.sha256(data).hexdigest(), "notes": notes}


def convert(file: File) -> tuple[Any, list[str]]:
    """The ONNX model of a file, and what was done.

    Raises:
        ModelError: what cannot become ONNX, or a shape that the file states and its operators do not give.
    """
    check_operators(file.operators)
    graph = Graph(file)
    names = _Names()
    inputs = [_input(graph, number, names) for number in file.inputs]
    for operator in file.operators:
        if not operator.inputs or not operator.outputs:
            raise operator.wrong("it has no inputs or no outputs", hint="the file is damaged")
        try:
            WRITERS[operator.kind](graph, operator)
        except IndexError as error:  # an input, an output or an axis fewer than its kind has
            raise operator.wrong("it has fewer inputs, outputs or axes than it must", hint="damaged") from error
    outputs = [_output(graph, number, names) for number in file.outputs]
    made = helper.make_graph(graph.nodes, "tflite", inputs, outputs, list(graph.weights.values()))
    model = helper.make_model(made, opset_imports=[helper.make_opsetid("", OPSET)])
    _check_shapes(graph, model)
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


def _input(graph: Graph, number: int, names: _Names) -> Any:
    tensor = graph.tensor(number)
    if tensor.data is not None:
        raise ModelError(f"{tensor.label} is an input and holds values", hint="the file is damaged")
    if any(axis > 0 for axis in tensor.open_axes):
        raise ModelError(
            f"{tensor.label} is an input of the shape {list(tensor.shape)} that leaves axes "
            f"{', '.join(str(axis) for axis in tensor.open_axes)} open",
            hint="convert the model with a fixed input size",
        )
    layout = IMAGE if len(tensor.shape) == IMAGE_RANK else PLAIN
    name = names.of(tensor, "input")
    graph.give(number, layout, name)
    return _info(tensor, name, layout)


def _output(graph: Graph, number: int, names: _Names) -> Any:
    tensor = graph.tensor(number)
    layout = IMAGE if len(tensor.shape) == IMAGE_RANK else PLAIN
    name = names.of(tensor, "output")
    graph.node("Identity", [graph.read(number, layout)], name)
    return _info(tensor, name, layout)


def _info(tensor: Tensor, name: str, layout: str) -> Any:
    if tensor.dtype not in NUMPY_OF:
        raise ModelError(
            f"{tensor.label} holds values of the type {tensor.kind or 'unknown'}, which is not read",
            hint="convert the model with float or integer values",
        )
    shape = image_shape(tensor.shape) if layout == IMAGE else tensor.shape
    return helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(np.dtype(tensor.dtype)), list(shape))


def _check_shapes(graph: Graph, model: Any) -> None:
    """Hold every shape that the file states to what ONNX infers: later work was built on those statements."""
    draft = Draft.of(model)
    infer(draft)
    objections = [note for note in draft.notes if "shape inference" in note]
    if objections:
        raise ModelError(f"its shapes do not fit together: {objections[0]}", hint="the file is damaged")
    for name, stated in graph.expected.items():
        found = known_shape(draft, name)
        if found is not None and None not in found and found != stated:
            raise ModelError(
                f"the file states the shape {list(stated)} for {name!r}, but its operators give {list(found)}",
                hint="the file is damaged, or was resized without being converted again",
            )


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
            if len(tensor.shape) == IMAGE_RANK:
                notes.append(f"{kind} {tensor.name!r} is (N, C, H, W) now: {list(image_shape(tensor.shape))}")
            if tensor.span is not None:
                low, high = tensor.span
                notes.append(f"{kind} {tensor.name!r} was {tensor.kind}, is float32 now, in {low:.6g}..{high:.6g}")
    return notes + graph.notes
