"""Tensors of a .tflite file, and the real numbers that quantized ones stand for."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from shoestring.base.errors import ModelError
from shoestring.importers.tflite.schema import TYPES
from shoestring.importers.tflite.sparse import Sparsity, densify, read_sparsity

Array = npt.NDArray[Any]

MAX_ELEMENTS = 2**29  # of one tensor: 2 GB in float32
_MAX_RANK = 8
NUMPY = {
    "BOOL": "bool",
    "FLOAT32": "float32",
    "FLOAT16": "float16",
    "FLOAT64": "float64",
    "INT8": "int8",
    "INT16": "int16",
    "INT32": "int32",
    "INT64": "int64",
    "UINT8": "uint8",
    "UINT16": "uint16",
    "UINT32": "uint32",
    "UINT64": "uint64",
}
NUMPY_OF = frozenset(NUMPY.values())
_NARROW = frozenset({"INT8", "UINT8", "INT16", "INT4"})
_LIMITS = {"INT8": (-128, 127), "UINT8": (0, 255), "INT16": (-32768, 32767), "INT4": (-8, 7)}


@dataclass(frozen=True)
class Quantization:
    """real = scale * (integer - zero_point), by channel along `axis` when there are several.

    Jacob et al., "Quantization and Training of Neural Networks for Efficient Integer-Arithmetic-Only Inference", 2018.
    """

    scale: Array
    zero_point: Array
    axis: int


@dataclass(frozen=True)
class Tensor:
    """A tensor of the graph.

    Args:
        kind: element type by its name in the schema.
        open_axes: axes that the file leaves free.
        quantization: None when the integers mean themselves, or the tensor is float.
        data: its stored values, in their own type; None for activations.
        variable: it keeps its value from one run to the next.
        sparsity: how its values are stored when they are stored without zeros; `data` is a list then.
    """

    index: int
    name: str
    kind: str
    shape: tuple[int, ...]
    open_axes: tuple[int, ...]
    quantization: Quantization | None
    data: Array | None
    variable: bool
    sparsity: Sparsity | None

    @property
    def label(self) -> str:
        return f"tensor {self.index} ({self.name!r})"

    @property
    def dtype(self) -> str:
        """Of its values in the graph that we write: real numbers in float32, others as they are."""
        if self.quantization is not None or self.kind in ("FLOAT16", "INT4"):
            return "float32"
        return NUMPY.get(self.kind, "")

    @property
    def span(self) -> tuple[float, float] | None:
        """Smallest and largest real number that it can hold; None when it is not quantized by one scale."""
        if self.quantization is None or self.quantization.scale.size != 1 or self.kind not in _LIMITS:
            return None
        scale, zero = float(self.quantization.scale[0]), int(self.quantization.zero_point[0])
        low, high = _LIMITS[self.kind]
        return scale * (low - zero), scale * (high - zero)

    def values(self) -> Array | None:
        """Its stored values as the graph uses them: real numbers, or integers that mean themselves."""
        data = self.data
        if data is not None and self.sparsity is not None:
            data = densify(data, self.sparsity, self.shape, self.label)
        if data is None or self.quantization is None:
            return None if data is None else data.astype(self.dtype)
        return dequantize(data, self.quantization)


def dequantize(data: Array, how: Quantization) -> Array:
    """Real numbers in float32."""
    shape = [1] * data.ndim
    if how.scale.size > 1:
        shape[how.axis] = -1
    scale, zero = how.scale.astype(np.float64).reshape(shape or [1]), how.zero_point.reshape(shape or [1])
    real = scale * (data.astype(np.float64) - zero)
    return np.asarray(real.reshape(data.shape), np.float32)


def read_tensor(model: Any, found: Any, index: int, file: bytes) -> Tensor:
    """One tensor, its claims held to its bytes.

    Raises:
        ModelError: a type that we do not know, a shape that cannot be, or data of another size.
    """
    name = (found.Name() or b"").decode("utf-8", "replace")[:200]
    kind = TYPES.get(found.Type(), "")
    label = f"tensor {index} ({name!r})"
    shape, signature = _shape(found.ShapeAsNumpy(), label), found.ShapeSignatureAsNumpy()
    open_axes = () if isinstance(signature, int) else tuple(int(i) for i in np.flatnonzero(signature[:_MAX_RANK] < 0))
    sparsity = read_sparsity(found.Sparsity(), len(shape), label)
    raw = _bytes(model, found.Buffer(), file, label)
    data = None if raw is None else _array(raw, kind, shape if sparsity is None else None, label)
    how = _quantization(found.Quantization(), kind, shape, label)
    return Tensor(index, name, kind, shape, open_axes, how, data, bool(found.IsVariable()), sparsity)


def _shape(found: Array | int, label: str) -> tuple[int, ...]:
    shape = () if isinstance(found, int) else tuple(int(size) for size in found[: _MAX_RANK + 1])
    if len(shape) > _MAX_RANK or any(size < 0 for size in shape) or math.prod(shape) > MAX_ELEMENTS:
        raise ModelError(
            f"{label} has the shape {list(shape)}, beyond {_MAX_RANK} axes or {MAX_ELEMENTS:,} values",
            hint="the file is damaged, or too large for the boards we serve",
        )
    return shape


def _bytes(model: Any, number: int, file: bytes, label: str) -> Array | None:
    """What a tensor's buffer holds; buffers beyond the table stand behind it in the file."""
    if not 0 <= number < model.BuffersLength():
        raise ModelError(f"{label} names buffer {number} of {model.BuffersLength()}", hint="the file is damaged")
    buffer = model.Buffers(number)
    offset, size = buffer.Offset(), buffer.Size()
    if offset > 1:
        if offset + size > len(file):
            raise ModelError(f"{label} stands behind the end of the file", hint="the file is truncated")
        return np.frombuffer(file, np.uint8, size, offset)
    found = buffer.DataAsNumpy()
    return None if isinstance(found, int) or not found.size else found


def _array(raw: Array, kind: str, shape: tuple[int, ...] | None, label: str) -> Array:
    """Stored values; without a shape, as many as there are."""
    if shape is None:
        shape = (raw.size // np.dtype(NUMPY.get(kind, "int8")).itemsize,)
    count = math.prod(shape)
    if kind == "INT4":
        needed = (count + 1) // 2
    elif kind in NUMPY:
        needed = count * np.dtype(NUMPY[kind]).itemsize
    else:
        raise ModelError(
            f"{label} holds values of the type {kind or 'unknown'}, which is not read",
            hint="convert the model with float or integer values",
        )
    if raw.size != needed:
        raise ModelError(
            f"{label} claims the shape {list(shape)} of {kind}, {needed} bytes, but the file holds {raw.size}",
            hint="the file is damaged or hostile; export or download it again",
        )
    if kind == "INT4":  # two in a byte, the lower half first
        halves = np.stack([raw & 15, raw >> 4], axis=-1).reshape(-1)[:count].astype(np.int8)
        return np.where(halves > 7, halves - 16, halves).astype(np.int8).reshape(shape)
    return raw.view(np.dtype(NUMPY[kind]).newbyteorder("<")).reshape(shape)


def _quantization(found: Any, kind: str, shape: tuple[int, ...], label: str) -> Quantization | None:
    if found is None or found.ScaleLength() == 0 or kind not in (*_NARROW, "INT32"):
        return None
    if found.DetailsType():
        raise ModelError(f"{label} is quantized in a way that is not read", hint="quantize by tensor or by channel")
    scale, axis = found.ScaleAsNumpy(), found.QuantizedDimension()
    zero = found.ZeroPointAsNumpy()
    zero = np.zeros(scale.size, np.int64) if isinstance(zero, int) else zero
    zero = np.repeat(zero, scale.size) if zero.size == 1 else zero
    by_channel = scale.size > 1
    if by_channel and not (0 <= axis < len(shape) and shape[axis] == scale.size):
        raise ModelError(f"{label} of shape {list(shape)} has {scale.size} scales along axis {axis}", hint="damaged")
    if zero.size != scale.size or not np.isfinite(scale).all() or not (scale > 0).all():
        raise ModelError(
            f"{label} has {scale.size} scales and {zero.size} zero points, or a scale not above zero",
            hint="the file is damaged; convert the model again",
        )
    return Quantization(scale, zero, int(axis) if by_channel else 0)
