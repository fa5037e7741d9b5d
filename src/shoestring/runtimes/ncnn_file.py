"""One file for ncnn's two: the interface of the network, its text and its weights.

Layout: `MAGIC`, the length of the head (4 bytes, little-endian), the head (canonical JSON), the text, the weights.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

from shoestring.base import canonical
from shoestring.base.errors import EngineError
from shoestring.base.limits import MAX_NCNN_HEAD_BYTES, MAX_NCNN_PARAM_BYTES
from shoestring.domain.model import TensorSpec

MAGIC = b"shoestring-ncnn\n"
FORMAT = 1
PRECISIONS = ("fp32", "fp16", "int8")
DTYPES = ("float32", "uint8", "int8", "int32", "int64")
"""Of ports; integers are handed to the network as floats, which hold them exactly up to 2^24."""
_LENGTH = struct.Struct("<I")
_MOST_AXES = 8
_MOST_PORTS = 1000


@dataclass(frozen=True)
class Port:
    """An input or output.

    Args:
        spec: as the caller sees it; the first axis may be free, and is then run one by one.
        blob: of the network, which holds one example without its batch axis.
    """

    spec: TensorSpec
    blob: str


@dataclass(frozen=True)
class NcnnFile:
    """A network for ncnn.

    Args:
        precision: one of PRECISIONS.
        inputs, outputs: ports.
        param: the text.
        weights: the bytes that the layers of the text read in turn.
    """

    precision: str
    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]
    param: str
    weights: bytes


@dataclass(frozen=True)
class _Head:
    format: int
    precision: str
    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]
    param_bytes: int
    weight_bytes: int


def pack(network: NcnnFile) -> bytes:
    """The bytes of a file; the same for the same network."""
    param = network.param.encode("ascii")
    head = canonical.encode(
        _Head(FORMAT, network.precision, network.inputs, network.outputs, len(param), len(network.weights))
    )
    return b"".join((MAGIC, _LENGTH.pack(len(head)), head, param, network.weights))


def unpack(data: bytes, name: str) -> NcnnFile:
    """What a file holds. The network itself is not looked at here: see `ncnn_check`.

    Args:
        data: of the file.
        name: of the file, for messages.

    Raises:
        EngineError: not such a file, or beyond a limit.
    """
    start = len(MAGIC) + _LENGTH.size
    if not data.startswith(MAGIC) or len(data) < start:
        raise EngineError(
            f"{name} is not an ncnn file of this project", hint="shoestring's converter for ncnn makes one from ONNX"
        )
    (length,) = _LENGTH.unpack_from(data, len(MAGIC))
    if length > MAX_NCNN_HEAD_BYTES or start + length > len(data):
        limit = min(MAX_NCNN_HEAD_BYTES, len(data) - start)
        raise EngineError(f"{name} announces a head of {length} bytes; at most {limit} can be there")
    head = canonical.decode(data[start : start + length], _Head, lambda words: EngineError(f"head of {name}: {words}"))
    _check_head(head, name)
    middle = start + length + head.param_bytes
    if head.param_bytes > MAX_NCNN_PARAM_BYTES or middle + head.weight_bytes != len(data):
        raise EngineError(
            f"{name} has {len(data)} bytes; its head tells of {length} + {head.param_bytes} + {head.weight_bytes}"
            f" behind the first {start}, at most {MAX_NCNN_PARAM_BYTES} of them text"
        )
    try:
        param = data[start + length : middle].decode("ascii")
    except UnicodeDecodeError as error:
        raise EngineError(f"the text in {name} has a byte beyond ASCII at {error.start}") from None
    return NcnnFile(head.precision, head.inputs, head.outputs, param, data[middle:])


def _check_head(head: _Head, name: str) -> None:
    if head.format != FORMAT:
        raise EngineError(
            f"{name} has format {head.format}; this version reads {FORMAT}", hint="convert the model again"
        )
    if head.precision not in PRECISIONS:
        raise EngineError(f"{name} has the precision {head.precision!r}; there are {', '.join(PRECISIONS)}")
    if min(head.param_bytes, head.weight_bytes) < 0:
        raise EngineError(f"{name} tells of {head.param_bytes} and {head.weight_bytes} bytes; they cannot be negative")
    ports = (*head.inputs, *head.outputs)
    if not head.inputs or not head.outputs or len(ports) > _MOST_PORTS:
        raise EngineError(f"{name} has {len(head.inputs)} inputs and {len(head.outputs)} outputs")
    for group in (head.inputs, head.outputs):
        if len({port.spec.name for port in group}) != len(group):
            raise EngineError(f"{name} has two inputs or outputs of one name")
    for port in ports:
        shape = port.spec.shape
        fixed = shape[1:] if shape and shape[0] is None else shape
        if port.spec.dtype not in DTYPES or len(shape) > _MOST_AXES or any(n is None or n < 1 for n in fixed):
            raise EngineError(
                f"{name}: {port.spec.name!r} is {port.spec.dtype} of shape {shape}; ports are one of "
                f"{', '.join(DTYPES)}, with at most {_MOST_AXES} axes above 0 of which the first may be free"
            )


__all__ = ["DTYPES", "PRECISIONS", "NcnnFile", "Port", "pack", "unpack"]
