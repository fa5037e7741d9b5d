"""Tensors of a GGUF file as floats, and rounded to a block type: the one place here that knows stored bytes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from shoestring.base.errors import ModelError
from shoestring.compress.language.operators import Float
from shoestring.domain.weights import StoredTensor, WeightsFile
from shoestring.weights.block_types import applicable, tensor_bytes
from shoestring.weights.decode import dequantize
from shoestring.weights.encode import quantize

Bytes = npt.NDArray[np.uint8]
LEVELS = (
    "F32", "F16", "BF16", "Q8_0", "Q6_K", "Q5_K", "Q5_1", "Q5_0", "Q4_K", "Q4_1", "Q4_0", "IQ4_NL", "IQ4_XS",
    "Q3_K", "Q2_K",
)  # fmt: skip
"""Types that a mix may be made of, the widest first."""


class Rounder:
    """A file's tensors.

    Args:
        header: of the file.
        raw: its tensors' bytes by name, as `weights.tensors.open_tensors` gives them.
        types: that a mix may use; a tensor may always keep a type among them that it has, byte for byte.
    """

    def __init__(
        self, header: WeightsFile, raw: Mapping[str, npt.NDArray[Any]], types: tuple[str, ...] = LEVELS
    ) -> None:
        self._stored = {tensor.name: tensor for tensor in header.tensors}
        self._raw = raw
        self._types = types

    def stored(self, name: str) -> StoredTensor:
        """The header's entry. Raises ModelError when there is none."""
        if name not in self._stored:
            raise ModelError(f"the file has no tensor {name!r}", hint="it is no complete model of its family")
        return self._stored[name]

    def read(self, name: str) -> Float:
        """The tensor in float32, in its shape."""
        tensor = self.stored(name)
        return np.asarray(dequantize(self._raw[name], tensor.type, tensor.shape), dtype=np.float32)

    def types(self, name: str) -> tuple[str, ...]:
        """Types that the tensor may take. One that has a type of these is never stored wider: that adds nothing."""
        tensor = self.stored(name)
        possible = applicable(tensor.shape)
        found = [kind for kind in self._types if kind in possible and kind != tensor.type]
        if tensor.type in self._types:
            found = [kind for kind in found if self.size(name, kind) < tensor.size_bytes]
        if tensor.type in self._types or not found:
            found.append(tensor.type)
        return tuple(found)

    def size(self, name: str, kind: str) -> int:
        """Bytes that the tensor takes in a type."""
        return int(tensor_bytes(kind, self.stored(name).shape))

    def error(self, name: str, weight: Float, kind: str, gram: Float) -> Float:
        """Rounded minus original, of some rows of the tensor.

        Args:
            name: of the tensor.
            weight: (rows, inputs).
            kind: type.
            gram: (inputs, inputs) of `fisher_gram`.
        """
        if kind == self.stored(name).type:
            return np.zeros_like(weight)
        return np.asarray(dequantize(_quantized(weight, kind, gram), kind, weight.shape) - weight, dtype=np.float32)

    def rounded(self, name: str, kind: str, gram: Float) -> Bytes:
        """The tensor's bytes in a type: (rows, bytes of a row). What keeps its type keeps its bytes."""
        tensor = self.stored(name)
        if kind == tensor.type:
            return np.asarray(self._raw[name]).view(np.uint8).reshape(tensor.shape[0], -1)
        return _quantized(self.read(name), kind, gram)


def _quantized(weight: Float, kind: str, gram: Float) -> Bytes:
    importance = np.ascontiguousarray(np.diagonal(gram))
    return np.asarray(quantize(weight, kind, importance=importance, gram=gram))
