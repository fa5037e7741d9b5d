"""Tensors of the Open Inference Protocol v2 in JSON and in its binary extension. Pure functions.

Sources: kserve/open-inference-protocol, specification/protocol/inference_rest.md; the Triton inference server's
extension_binary_data.md (`Inference-Header-Content-Length`, `binary_data_size`, `binary_data`, `binary_data_output`).
"""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass
from typing import Annotated, Any

import msgspec
import numpy as np
import numpy.typing as npt

from shoestring.base.errors import DataError

INPUT = "pixels"
OUTPUTS = ("outputs", "probabilities", "rung")
"""Names that every model has: the flat outputs as the rung gives them; of a classifier the same as probabilities; the
rung that answered. They are ours and not the model's: the rungs of one ladder may call their tensors by other names."""

_Byte = Annotated[int, msgspec.Meta(ge=0, le=255)]
_FLAT: msgspec.json.Decoder[list[int]] = msgspec.json.Decoder(list[int])
_NESTED: msgspec.json.Decoder[list[list[list[list[int]]]]] = msgspec.json.Decoder(list[list[list[list[_Byte]]]])


class _Parameters(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    binary_data_size: int | None = None
    binary_data: bool | None = None


class _Input(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    name: str
    shape: list[int]
    datatype: str
    parameters: _Parameters = _Parameters()
    data: msgspec.Raw = msgspec.Raw()


class _Output(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    name: str
    parameters: _Parameters = _Parameters()


class _Whole(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    timeout: Annotated[int, msgspec.Meta(ge=0)] | None = None
    binary_data_output: bool = False


class _Request(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    inputs: list[_Input]
    id: str | None = None
    parameters: _Whole = _Whole()
    outputs: list[_Output] | None = None


_REQUEST: msgspec.json.Decoder[_Request] = msgspec.json.Decoder(_Request)
encode = msgspec.json.Encoder().encode


@dataclass(frozen=True)
class Asked:
    """A sound request.

    Args:
        id: of the client, or None.
        pixels: uint8 (n, height, width, channels).
        outputs: that are wanted, each with whether it goes in binary.
        timeout_s: that the client gives us, or None.
    """

    id: str | None
    pixels: npt.NDArray[np.uint8]
    outputs: tuple[tuple[str, bool], ...]
    timeout_s: float | None


def read_request(
    body: bytes, json_bytes: int | None, shape: tuple[int, int, int], batch: int, names: tuple[str, ...]
) -> Asked:
    """Understand the body of an inference request.

    Args:
        body: whole.
        json_bytes: how much of it is JSON, as `Inference-Header-Content-Length` says; None: all.
        shape: (height, width, channels) that the model takes.
        batch: largest number of examples.
        names: of the outputs that there are.

    Raises:
        DataError: anything that does not fit, in words.
    """
    if json_bytes is not None and not 0 <= json_bytes <= len(body):
        raise DataError(f"Inference-Header-Content-Length is {json_bytes}, the body has {len(body)} bytes")
    text = memoryview(body)[:json_bytes]
    try:
        request = _REQUEST.decode(text)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise DataError(f"the request is not one of the Open Inference Protocol: {error}") from None
    if [one.name for one in request.inputs] != [INPUT]:
        found = ", ".join(repr(one.name[:40]) for one in request.inputs[:5]) or "none"
        raise DataError(f"the inputs are {found}; the model takes one, {INPUT!r}")
    pixels = _pixels(request.inputs[0], body[len(text) :], shape, batch)
    timeout = request.parameters.timeout
    return Asked(request.id, pixels, _wanted(request, names), timeout / 1e6 if timeout else None)


def write_response(
    head: dict[str, Any], arrays: dict[str, npt.NDArray[Any]], wanted: tuple[tuple[str, bool], ...]
) -> tuple[bytes, int | None]:
    """The body of a response, and how much of it is JSON (None: all).

    Args:
        head: `model_name` and the like.
        arrays: float32 or str, by the names of the outputs.
        wanted: as `Asked.outputs`.
    """
    outputs, tail = [], []
    for name, binary in wanted:
        array = arrays[name]
        words = array.dtype.kind == "U"
        output: dict[str, Any] = {
            "name": name,
            "shape": list(array.shape),
            "datatype": "BYTES" if words else "FP32",
        }
        if binary:
            raw = _strings(array) if words else array.astype("<f4", copy=False).tobytes()
            output["parameters"] = {"binary_data_size": len(raw)}
            tail.append(raw)
        else:
            output["data"] = array.ravel().tolist()
        outputs.append(output)
    text = encode({**head, "outputs": outputs})
    return (b"".join((text, *tail)), len(text)) if tail else (text, None)


def _pixels(given: _Input, tail: bytes, shape: tuple[int, int, int], batch: int) -> npt.NDArray[np.uint8]:
    wanted = f"UINT8 [n, {', '.join(map(str, shape))}] with n from 1 to {batch}"
    if given.datatype != "UINT8" or tuple(given.shape[1:]) != shape or not 1 <= (given.shape or [0])[0] <= batch:
        raise DataError(f"{INPUT!r} is {given.datatype[:20]} {given.shape[:8]}; the model takes {wanted}")
    full = tuple(given.shape)
    count = math.prod(full)
    size = given.parameters.binary_data_size
    if size is not None:
        if bytes(given.data):
            raise DataError(f"{INPUT!r} comes both as JSON and in binary; send one of them")
        if size != count or len(tail) != count:
            raise DataError(f"{INPUT!r} has {len(tail)} bytes and says {size}; {given.shape} takes {count}")
        return np.frombuffer(tail, np.uint8).reshape(full)
    if tail:
        raise DataError(f"{len(tail)} bytes follow the JSON, but no input says that they are its own")
    return _numbers(given.data, full)


def _numbers(data: msgspec.Raw, shape: tuple[int, ...]) -> npt.NDArray[np.uint8]:
    """Flat, or nested as the shape says: the protocol allows both."""
    if not bytes(data):
        raise DataError(f"{INPUT!r} has no data")
    text = bytes(data)
    nested = text[1:20].lstrip(b" \t\r\n").startswith(b"[")
    # Small lists take many times the memory of their text, so they are counted before they are made.
    count, lists = math.prod(shape), 1 + sum(math.prod(shape[:place]) for place in (1, 2, 3))
    if text.count(b",") + 1 != count or text.count(b"[") != (lists if nested else 1):
        raise DataError(f"the data of {INPUT!r} do not have the {count} numbers of {list(shape)}")
    try:
        if nested:
            found = np.array(_NESTED.decode(data), np.uint8)
        else:
            found = np.frombuffer(bytes(_FLAT.decode(data)), np.uint8)  # `bytes` is the quickest check of the range
    except msgspec.DecodeError as error:
        raise DataError(f"the data of {INPUT!r}: {error}", hint="whole numbers from 0 to 255") from None
    except ValueError:
        problem = f"not nested as {list(shape)}" if nested else "not all from 0 to 255"
        raise DataError(f"the data of {INPUT!r} are {problem}") from None
    if (found.shape != shape) if nested else (found.size != count):
        raise DataError(f"the data of {INPUT!r} are {list(found.shape)}, not {list(shape)}")
    return found.reshape(shape)


def _wanted(request: _Request, names: tuple[str, ...]) -> tuple[tuple[str, bool], ...]:
    usual = request.parameters.binary_data_output
    if not request.outputs:
        return tuple((name, usual) for name in names)
    found: dict[str, bool] = {}
    for output in request.outputs:
        if output.name not in names or output.name in found:
            raise DataError(f"output {output.name[:40]!r} is unknown or named twice; there are: {', '.join(names)}")
        binary = output.parameters.binary_data
        found[output.name] = usual if binary is None else binary
    return tuple(found.items())


def _strings(array: npt.NDArray[Any]) -> bytes:
    """Each with its length in four bytes, little end first."""
    encoded = [str(one).encode() for one in array.ravel()]
    return b"".join(struct.pack("<I", len(one)) + one for one in encoded)
