"""The weights of a folder: one tensor at a time, by name, and every one accounted for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from shoestring.base.errors import ModelError
from shoestring.importers.huggingface.folder import INDEX, WEIGHTS, Folder
from shoestring.importers.safetensors.header import read_header
from shoestring.importers.safetensors.index import read_index
from shoestring.importers.safetensors.strict_json import DAMAGED

if TYPE_CHECKING:
    from collections.abc import Iterable

    from shoestring.domain.weights import StoredTensor

Array = npt.NDArray[Any]
READ_AS: dict[str, np.dtype[Any]] = {"F32": np.dtype("<f4"), "F16": np.dtype("<f2"), "BF16": np.dtype("<u2")}
"""Types of weights that are taken, and what their bytes are read as."""
_MAX_NAMED = 4


class Stored:
    """Tensors by name; nothing is read until it is asked for.

    Args:
        folder: with `model.safetensors`, or an index and the files that it names.

    Raises:
        ModelError: neither is there, or one is unsound.
    """

    def __init__(self, folder: Folder) -> None:
        self._folder = folder
        single = folder.has(WEIGHTS) or not folder.has(INDEX)
        with folder.open(WEIGHTS if single else INDEX):
            pass  # no link, and a regular file
        header = (read_header if single else read_index)(folder.root / (WEIGHTS if single else INDEX))
        self._tensors = {tensor.name: tensor for tensor in header.tensors}
        self._left = dict.fromkeys(self._tensors)
        self._single = single
        self.files = header.files or (WEIGHTS,)
        self.parameters = header.parameters

    def __contains__(self, name: str) -> bool:
        return name in self._tensors

    def names(self) -> Iterable[str]:
        """All of them, in the order of the files."""
        return self._tensors

    def find(self, name: str, shape: tuple[int, ...]) -> StoredTensor:
        """A tensor that must be there, in that shape, and counts as taken from now on.

        Raises:
            ModelError: it is not, or is stored in a type that is no float of 16 or 32 bits.
        """
        tensor = self._tensors.get(name)
        if tensor is None:
            raise ModelError(
                f"there is no tensor {name!r} of shape {list(shape)} among the weights",
                hint="config.json and the weights do not belong together, or the download is not complete",
            )
        if tensor.shape != shape:
            raise ModelError(
                f"tensor {name!r} has the shape {list(tensor.shape)}, and config.json asks for {list(shape)}",
                hint="they do not belong together; fetch the folder again",
            )
        if tensor.type not in READ_AS:
            raise ModelError(
                f"tensor {name!r} is stored as {tensor.type}; weights are read as {', '.join(READ_AS)}",
                hint="fetch the model as it was trained, not a quantized copy of it",
            )
        self._left.pop(name, None)
        return tensor

    def rows(self, name: str) -> int:
        """How many rows a tensor of two axes has, or 0 where there is none of that name."""
        tensor = self._tensors.get(name)
        return tensor.shape[0] if tensor is not None and tensor.shape else 0

    def take(self, name: str, shape: tuple[int, ...]) -> Array:
        """The tensor as stored: float32, float16, or uint16 of bfloat16's bits. Raises ModelError as `find`."""
        tensor = self.find(name, shape)
        with self._folder.open(tensor.file or WEIGHTS) as stream:
            stream.seek(tensor.offset)
            data = stream.read(tensor.size_bytes)
        if len(data) != tensor.size_bytes:
            raise ModelError("the file shrank while it was read", hint="run it again")
        return np.frombuffer(data, READ_AS[tensor.type]).reshape(shape)

    def floats(self, name: str, shape: tuple[int, ...]) -> npt.NDArray[np.float32]:
        """The tensor as float32, all of it finite. Raises ModelError as `find`, and for NaN or infinity."""
        values = widened(self.take(name, shape))
        if not np.isfinite(values).all():
            raise ModelError(f"tensor {name!r} holds numbers that are not finite", hint=DAMAGED)
        return values

    def drop(self, names: Iterable[str]) -> list[str]:
        """Tensors that the result has no use for. Returns those that were there."""
        there = [name for name in names if name in self._left]
        for name in there:
            del self._left[name]
        return there

    def check_all_taken(self) -> None:
        """Raises ModelError when a tensor is left that nothing has asked for."""
        if self._left:
            shown = ", ".join(list(self._left)[:_MAX_NAMED])
            more = f" and {len(self._left) - _MAX_NAMED:,} more" if len(self._left) > _MAX_NAMED else ""
            raise ModelError(
                f"the weights hold {len(self._left):,} tensors that this kind of network has no use for: {shown}{more}",
                hint="it is a variant that is not known here; nothing of it is guessed",
            )


def widened(values: Array) -> npt.NDArray[np.float32]:
    """Stored values as float32; bfloat16 is the upper half of a float32."""
    if values.dtype == np.uint16:
        wide = (values.astype(np.uint32) << np.uint32(16)).view(np.float32)
        return np.asarray(wide, np.float32)
    return np.asarray(values, np.float32)
