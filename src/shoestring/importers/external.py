"""Weights that stand in files beside the model: found everywhere, read only below the model's directory."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, BinaryIO

from shoestring.base import opens
from shoestring.base.errors import DataError, ModelError
from shoestring.base.limits import MAX_MODEL_BYTES
from shoestring.base.units import format_bytes
from shoestring.importers.claims import claimed_bytes, label
from shoestring.importers.require import onnx
from shoestring.importers.walk import inside

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True)
class _Place:
    """Where one tensor's bytes stand."""

    tensor: Any
    label: str
    offset: int
    length: int


def embed(model: Any, directory: Path, digest: Any) -> tuple[str, ...]:
    """Read every external tensor into the model itself.

    Args:
        model: changed in place; holds no external tensor afterwards.
        directory: of the model file; nothing outside it is opened.
        digest: a hashlib object, updated with each data file whole, in the order of their names.

    Returns:
        The names of the data files.

    Raises:
        ModelError: a place that leaves the directory, passes a link, or lies beyond the file's end.
    """
    places: dict[str, list[_Place]] = {}
    for tensor, owner in inside(model, onnx.TensorProto):
        if tensor.data_location == onnx.TensorProto.EXTERNAL:
            name, place = _place(tensor, label(tensor, owner))
            places.setdefault(name, []).append(place)
        elif tensor.external_data:
            raise ModelError(
                f"tensor {label(tensor, owner)} names external data but is not marked as external",
                hint="the file is damaged or hostile; export it again",
            )
    for name in sorted(places):
        _read_file(directory, name, places[name], digest)
    return tuple(sorted(places))


def _place(tensor: Any, name: str) -> tuple[str, _Place]:
    entries = {entry.key: entry.value for entry in tensor.external_data}
    if not all(isinstance(value, str) for value in entries.values()):  # bytes: what is no UTF-8
        raise ModelError(f"tensor {name} names its external data in no UTF-8", hint="export the model again")
    location = entries.get("location", "")
    if not location:
        raise ModelError(f"tensor {name} is external but names no file", hint="export the model again")
    if tensor.data_type == onnx.TensorProto.STRING:
        raise ModelError(f"tensor {name} holds text in external data", hint="keep text inside the model file")
    needed = claimed_bytes(tensor, "")
    offset = _count(entries.get("offset", "0"), "offset", name)
    length = _count(entries.get("length", str(needed)), "length", name)
    if length != needed:
        raise ModelError(
            f"tensor {name} of shape {list(tensor.dims)} takes {needed} bytes, but states a length of {length}",
            hint="the model and its data file do not belong together; export them again",
        )
    return location, _Place(tensor, name, offset, length)


def _count(text: str, what: str, name: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 20):
        raise ModelError(
            f"tensor {name}: external {what} {text[:40]!r} is not a number of bytes", hint="export it again"
        )
    return int(text)


def _read_file(directory: Path, name: str, places: list[_Place], digest: Any) -> None:
    try:
        stream = opens.open_within(directory, name)
    except DataError as error:
        raise ModelError(
            f"tensor {places[0].label}: its external data is refused: {error.message}",
            hint="put the data file beside the model, as a plain file, and export with a relative location",
        ) from error
    with stream:
        size_bytes = os.fstat(stream.fileno()).st_size
        if size_bytes > MAX_MODEL_BYTES:
            raise ModelError(
                f"data file {name!r} has {format_bytes(size_bytes)}, more than the limit of "
                f"{format_bytes(MAX_MODEL_BYTES)}",
                hint="a model of this size does not run on the boards we serve",
            )
        for place in places:
            _read_tensor(stream, name, size_bytes, place)
        stream.seek(0)
        while block := stream.read(1 << 20):
            digest.update(block)


def _read_tensor(stream: BinaryIO, name: str, size_bytes: int, place: _Place) -> None:
    if place.offset + place.length > size_bytes:
        raise ModelError(
            f"tensor {place.label} takes bytes {place.offset} to {place.offset + place.length} of {name!r}, which has "
            f"{size_bytes}",
            hint="the data file is truncated or belongs to another model",
        )
    stream.seek(place.offset)
    tensor = place.tensor
    tensor.raw_data = stream.read(place.length)
    if len(tensor.raw_data) != place.length:
        raise ModelError(f"data file {name!r} shrank while it was read", hint="run the import again")
    del tensor.external_data[:]
    tensor.data_location = onnx.TensorProto.DEFAULT
