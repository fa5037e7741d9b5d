"""The tensors of a file of weights, mapped into memory: nothing is read before somebody looks."""

from __future__ import annotations

import contextlib
import mmap
import os
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, BinaryIO

import numpy as np

from shoestring.base.errors import ModelError
from shoestring.base.opens import open_within
from shoestring.weights.decode import dequantize

if TYPE_CHECKING:
    from pathlib import Path

    from shoestring.domain.weights import StoredTensor, WeightsFile
    from shoestring.weights.arrays import Bytes, Floats


class Tensors(Mapping[str, "Bytes"]):
    """The bytes of every tensor by its name, as they are stored: uint8, read-only, one axis.

    Args:
        header: as it was read.
        maps: a mapping by the name of its file; "" for the only one.
    """

    def __init__(self, header: WeightsFile, maps: Mapping[str, mmap.mmap]) -> None:
        self._places = {tensor.name: tensor for tensor in header.tensors}
        self._maps = maps

    def __getitem__(self, name: str) -> Bytes:
        tensor = self._places[name]
        return np.frombuffer(self._maps[tensor.file], np.uint8, tensor.size_bytes, tensor.offset)

    def __iter__(self) -> Iterator[str]:
        return iter(self._places)

    def __len__(self) -> int:
        return len(self._places)

    def place(self, name: str) -> StoredTensor:
        """Type, shape and place. Raises KeyError."""
        return self._places[name]

    def floats(self, name: str) -> Floats:
        """The values of one tensor in its shape, outermost axis first; as `decode.dequantize`."""
        tensor = self._places[name]
        return dequantize(self[name], tensor.type, tensor.shape)


@contextlib.contextmanager
def open_tensors(path: Path, header: WeightsFile) -> Iterator[Tensors]:
    """Map the file or files whose header was read.

    Arrays that were taken out stay whole after the block: they hold what they need. A file that is cut short while it
    is mapped ends the process (SIGBUS), so write over such a file by a rename alone, as `base.disk` does.

    Args:
        path: that the header was read from; files that it names lie beside it.
        header: of it.

    Raises:
        ModelError: it cannot be opened, or has changed its size since.
        DataError: a file that the header names is a link or no file.
    """
    with contextlib.ExitStack() as stack:
        maps: dict[str, mmap.mmap] = {}
        total = 0
        for name in sorted({tensor.file for tensor in header.tensors}):
            stream = stack.enter_context(_open(path, name))
            size = os.fstat(stream.fileno()).st_size
            total += size
            if size:
                maps[name] = mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ)
        if header.tensors and total != header.file_bytes:
            raise ModelError(
                f"{path} had {header.file_bytes:,} bytes when its header was read, and has {total:,}",
                hint="run it again",
            )
        yield Tensors(header, maps)


def _open(path: Path, name: str) -> BinaryIO:
    if name:
        return open_within(path.parent, name)
    try:
        return path.open("rb")
    except OSError as error:
        raise ModelError(f"cannot read {path}: {error.strerror}", hint="check its permissions") from error
