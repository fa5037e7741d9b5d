"""The model's inputs and outputs: which dimensions are fixed, and which may stay free."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from shoestring.base.errors import ModelError, UsageError
from shoestring.importers.require import helper

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from shoestring.importers.draft import Draft

_IMAGE_RANK = 4
_MAX_DIMENSION = 2**31 - 1

Shape = list[int | None]


def settle_inputs(draft: Draft, shapes: Mapping[str, Sequence[int | None]], *, batch_free: bool) -> None:
    """Fix the dimensions that the user gives and leave only those free that may be.

    Raises:
        ModelError: an input that is not a tensor, has no shape, or an image whose size is open.
        UsageError: `shapes` contradicts the model.
    """
    known = [value.name for value in draft.inputs]
    for name in shapes:
        if name not in known:
            raise UsageError(f"shapes names {name!r}, but the inputs are {', '.join(known)}")
    fixed: dict[str, int] = {}
    for value in draft.inputs:
        _apply(value, shapes.get(value.name), fixed)
    for value in draft.inputs:
        dims = value.type.tensor_type.shape.dim
        for axis, dim in enumerate(dims):
            if dim.dim_param in fixed:
                dim.dim_value = fixed[dim.dim_param]
            elif axis == 0 and not batch_free and not dim.HasField("dim_value"):
                dim.dim_value = 1
        if dims and len(draft.inputs) == 1 and not dims[0].HasField("dim_value"):
            dims[0].dim_param = dims[0].dim_param or "batch"
        _check_free(draft, value)


def _apply(value: Any, wanted: Sequence[int | None] | None, fixed: dict[str, int]) -> None:
    """Set the wanted dimensions of one input; those that had a name go to `fixed`, so that the name has one value."""
    dims = _dims(value, wanted)
    if wanted is None:
        return
    if len(wanted) != len(dims):
        raise UsageError(
            f"input {value.name!r} has {len(dims)} dimensions, {words(shape_of(value))}; shapes gives {len(wanted)}"
        )
    for dim, size in zip(dims, wanted, strict=True):
        if size is None:
            continue
        if not 0 < size <= _MAX_DIMENSION:
            raise UsageError(f"input {value.name!r}: dimension {size} is outside 1..{_MAX_DIMENSION}")
        if dim.HasField("dim_value") and dim.dim_value != size:
            raise UsageError(f"input {value.name!r} has the fixed shape {words(shape_of(value))}; shapes says {size}")
        if dim.dim_param and fixed.setdefault(dim.dim_param, size) != size:
            raise UsageError(f"dimension {dim.dim_param!r} is given as both {fixed[dim.dim_param]} and {size}")
        dim.dim_value = size


def _dims(value: Any, wanted: Sequence[int | None] | None) -> Any:
    """The dimensions of an input, those that a writer marked free with 0 or -1 cleared."""
    if not value.type.HasField("tensor_type"):
        raise ModelError(f"input {value.name!r} is not a tensor", hint="only models from tensors to tensors are read")
    tensor = value.type.tensor_type
    if not tensor.HasField("shape"):
        if wanted is None:
            raise ModelError(f"input {value.name!r} has no shape", hint="give its shape, the first dimension None")
        tensor.shape.CopyFrom(helper.make_tensor_type_proto(tensor.elem_type, [None] * len(wanted)).tensor_type.shape)
    for dim in tensor.shape.dim:
        if dim.HasField("dim_value") and dim.dim_value <= 0:
            dim.Clear()
    return tensor.shape.dim


def _check_free(draft: Draft, value: Any) -> None:
    shape = shape_of(value)
    free = [axis for axis, size in enumerate(shape) if size is None and axis > 0]
    if free and len(shape) == _IMAGE_RANK:
        example = tuple(size if size is not None or axis == 0 else 224 for axis, size in enumerate(shape))
        raise ModelError(
            f"input {value.name!r} has the shape {words(shape)}, which leaves dimension "
            f"{' and '.join(str(axis) for axis in free)} open",
            hint=f"give its shape, for example {{{value.name!r}: {example}}}; predict and chips take it as "
            f"--shape {value.name}={'x'.join(str(size or 1) for size in example)}",
        )
    if free:
        draft.notes.append(f"input {value.name!r} keeps free dimensions: {words(shape)}")
    if len(shape) == _IMAGE_RANK and shape[0] is not None:
        draft.notes.append(f"input {value.name!r} has its batch fixed at {shape[0]}")


def settle_outputs(draft: Draft, declared: Mapping[str, Any]) -> None:
    """Give each output its inferred shape, and what the source declared where inference knows nothing.

    Raises:
        ModelError: an output that is not a tensor, or whose rank nobody knows.
    """
    for value in draft.outputs:
        old = declared[value.name]
        inferred = draft.types.get(value.name)
        if not old.HasField("tensor_type"):
            raise ModelError(
                f"output {value.name!r} is not a tensor", hint="only models from tensors to tensors are read"
            )
        if inferred is not None and inferred.tensor_type.HasField("shape"):
            value.type.CopyFrom(inferred)
            _fill(value.type.tensor_type.shape.dim, old.tensor_type.shape.dim)
        elif old.tensor_type.HasField("shape"):
            value.type.CopyFrom(old)
        else:
            raise ModelError(f"output {value.name!r} has no known shape", hint="export the model with static shapes")


def _fill(dims: Any, declared: Any) -> None:
    if len(dims) != len(declared):
        return
    for dim, old in zip(dims, declared, strict=True):
        if not dim.HasField("dim_value") and old.dim_value > 0:
            dim.dim_value = old.dim_value


def shape_of(value: Any) -> tuple[int | None, ...]:
    """Dimensions of an input or output; None marks a free one."""
    dims = value.type.tensor_type.shape.dim
    return tuple(dim.dim_value if dim.HasField("dim_value") else None for dim in dims)


def words(shape: Sequence[int | None]) -> str:
    """(None, 3, 224, 224) -> '(?, 3, 224, 224)'."""
    return f"({', '.join('?' if size is None else str(size) for size in shape)})"


def spec(value: Any) -> dict[str, Any]:
    """A TensorSpec as plain values. Raises ModelError for an element type that nobody knows."""
    kind = value.type.tensor_type.elem_type
    if kind not in helper.get_all_tensor_dtypes():
        raise ModelError(
            f"{value.name!r} has the element type {kind}, which is not known",
            hint="update the onnx package, or export the model with an older opset",
        )
    dtype = helper.tensor_dtype_to_np_dtype(value.type.tensor_type.elem_type)
    return {"name": value.name, "dtype": dtype.name, "shape": list(shape_of(value))}
