"""What tensors claim against what they hold, checked before anything is allocated."""

from __future__ import annotations

import math
from typing import Any

from shoestring.base.errors import ModelError
from shoestring.base.limits import MAX_GRAPH_NODES, MAX_MODEL_BYTES
from shoestring.base.units import format_bytes
from shoestring.domain.elements import ELEMENT_BITS
from shoestring.importers.require import Message, onnx
from shoestring.importers.walk import inside, nodes_inside

_T = onnx.TensorProto
_DAMAGED = "the file is damaged or hostile; export or download it again"

# By number; strings are listed apart.
BITS: dict[int, int] = {number: ELEMENT_BITS[name] for name, number in _T.DataType.items() if name in ELEMENT_BITS}


def check_node_count(model: Any) -> None:
    """Raise ModelError when the model has more nodes than we read, those of subgraphs and functions included."""
    for index, _ in enumerate(nodes_inside(model)):
        if index >= MAX_GRAPH_NODES:
            raise ModelError(
                f"the graph has more than the limit of {MAX_GRAPH_NODES} nodes",
                hint="a loop was probably unrolled on export; keep it as a Loop, or cut the model",
            )


def check_texts(model: Any) -> None:
    """Raise ModelError when a text is none: protobuf hands such fields over as bytes, which nothing here expects."""
    for message, owner in inside(model, Message):
        for field, value in message.ListFields():
            if field.type == field.TYPE_STRING:
                held = [value] if isinstance(value, str | bytes) else value
                if any(isinstance(one, bytes) for one in held):
                    raise ModelError(
                        f"{field.name} in {owner or 'the model'} is not UTF-8",
                        hint="the file is damaged; export it again",
                    )


def label(tensor: Any, owner: str) -> str:
    """A tensor's name for messages, with what holds it."""
    name = repr(tensor.name) if tensor.name else "without a name"
    return f"{name} in {owner}" if owner else name


def claimed_bytes(tensor: Any, owner: str) -> int:
    """Bytes that the tensor's shape and type need when stored raw.

    Raises:
        ModelError: a negative dimension, an unknown element type, or segments, which no writer uses.
    """
    if any(dim < 0 for dim in tensor.dims):
        raise ModelError(f"tensor {label(tensor, owner)} has the negative shape {list(tensor.dims)}", hint=_DAMAGED)
    if tensor.HasField("segment"):
        raise ModelError(f"tensor {label(tensor, owner)} is stored in segments", hint="export the model again")
    if tensor.data_type == _T.STRING:
        return 0
    bits = BITS.get(tensor.data_type)
    if bits is None:
        raise ModelError(
            f"tensor {label(tensor, owner)} has the element type {tensor.data_type}, which is not known",
            hint="update the onnx package, or export the model with an older opset",
        )
    return (_elements(tensor) * bits + 7) // 8


def check_claims(model: Any) -> None:
    """Hold every tensor of the model to its own data; external ones only to the limit on their sum.

    Raises:
        ModelError: sparse tensors, claims beyond the data, or more than the limit in total.
    """
    for sparse, owner in inside(model, onnx.SparseTensorProto):
        raise ModelError(f"tensor {label(sparse.values, owner)} is sparse", hint="export the model with dense weights")
    total_bytes = 0
    for tensor, owner in inside(model, _T):
        needed_bytes = claimed_bytes(tensor, owner)
        total_bytes += needed_bytes
        if tensor.data_location != _T.EXTERNAL:
            _check_held(tensor, owner, needed_bytes)
        if total_bytes > MAX_MODEL_BYTES:
            raise ModelError(
                f"the tensors up to {label(tensor, owner)} claim {format_bytes(total_bytes)}, more than the limit of "
                f"{format_bytes(MAX_MODEL_BYTES)}",
                hint="a model of this size does not run on the boards we serve",
            )


def _check_held(tensor: Any, owner: str, needed_bytes: int) -> None:
    if tensor.HasField("raw_data"):
        held, needed, unit = len(tensor.raw_data), needed_bytes, "bytes"
        fits = held == needed and tensor.data_type != _T.STRING
    else:
        held, needed, unit = len(_typed_field(tensor)), _typed_count(tensor, needed_bytes), "values"
        fits = held == needed
    if not fits:
        raise ModelError(
            f"tensor {label(tensor, owner)} claims the shape {list(tensor.dims)}, which takes {needed} {unit}, but the "
            f"file holds {held}",
            hint=_DAMAGED,
        )


def _typed_field(tensor: Any) -> Any:
    """The repeated field that holds this element type when raw_data is absent (comments of onnx.proto)."""
    kind = tensor.data_type
    if kind in (_T.FLOAT, _T.COMPLEX64):
        return tensor.float_data
    if kind in (_T.DOUBLE, _T.COMPLEX128):
        return tensor.double_data
    if kind in (_T.UINT32, _T.UINT64):
        return tensor.uint64_data
    if kind == _T.INT64:
        return tensor.int64_data
    return tensor.string_data if kind == _T.STRING else tensor.int32_data


def _elements(tensor: Any) -> int:
    return math.prod(int(dim) for dim in tensor.dims)


def _typed_count(tensor: Any, needed_bytes: int) -> int:
    count = _elements(tensor)
    if tensor.data_type in (_T.COMPLEX64, _T.COMPLEX128):
        return 2 * count
    return needed_bytes if BITS.get(tensor.data_type, 8) < 8 else count
