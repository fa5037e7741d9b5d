"""Types and shapes of every tensor, from onnx's own shape inference."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from shoestring.base.errors import ModelError
from shoestring.importers.require import onnx, shape_inference

if TYPE_CHECKING:
    from shoestring.importers.draft import Draft

MAX_PROPAGATED_VALUES = 1_000_000  # lists that shapes are made of have tens; anchors of a detector some 100,000
_GROWING = ("Range", "Concat")  # the operators whose values onnx follows to more of them than they were given
_NOTE = "shape inference objects: "


def infer(draft: Draft) -> None:
    """Fill `draft.types`. What inference objects to becomes a note: runtimes run some models that it does not."""
    skeleton = draft.skeleton()
    for value in skeleton.graph.output:  # what the source says about its outputs may be stale
        value.type.tensor_type.ClearField("shape")
    draft.notes[:] = [note for note in draft.notes if not note.startswith(_NOTE)]
    values = _few_values(skeleton)
    if not values:
        draft.notes.append(f"{_NOTE}lists of more than {MAX_PROPAGATED_VALUES:,} values are not followed")
    try:
        inferred = shape_inference.infer_shapes(skeleton, strict_mode=True, data_prop=values)
    except (shape_inference.InferenceError, ValueError) as error:  # ValueError: of types out of range
        draft.notes.append(_NOTE + first_line(error))
        inferred = _lenient(skeleton, values=values)
    graph = inferred.graph
    draft.types = {value.name: value.type for value in (*graph.value_info, *graph.output, *draft.inputs)}
    for name, tensor in draft.weights.items():
        draft.types[name] = onnx.helper.make_tensor_type_proto(tensor.data_type, list(tensor.dims))


def _few_values(skeleton: Any) -> bool:
    """Whether values may be followed as well as shapes: onnx holds each value of a list of its own as a message.

    A Range of 2^31, or a list joined to itself thirty times, would take all memory and time that there is.
    """
    if not any(node.op_type in _GROWING for node in skeleton.graph.node):
        return True
    graph = _lenient(skeleton, values=False).graph
    shapes = (value.type.tensor_type.shape.dim for value in (*graph.value_info, *graph.output))
    return all(len(dims) != 1 or 0 <= dims[0].dim_value <= MAX_PROPAGATED_VALUES for dims in shapes)


def _lenient(skeleton: Any, *, values: bool) -> Any:
    try:
        return shape_inference.infer_shapes(skeleton, strict_mode=False, data_prop=values)
    except (shape_inference.InferenceError, RuntimeError, ValueError) as error:
        raise ModelError(
            f"its shapes cannot be inferred: {first_line(error)}", hint="export the model again"
        ) from error


def known_shape(draft: Draft, name: str) -> tuple[int | None, ...] | None:
    """The shape of a tensor, None for each free dimension; None when not even the rank is known."""
    kind = draft.types.get(name)
    if kind is None or not kind.HasField("tensor_type") or not kind.tensor_type.HasField("shape"):
        return None
    return tuple(dim.dim_value if dim.HasField("dim_value") else None for dim in kind.tensor_type.shape.dim)


def first_line(error: Exception) -> str:
    """The first line of a library's message, without its tail of file names."""
    lines = str(error).strip().splitlines()
    return lines[0][:300] if lines else type(error).__name__
