"""Gram matrices of all tensors, in files: together they take as much as the weights in float32."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np

from shoestring.base import disk
from shoestring.base.errors import StorageError
from shoestring.compress.language.operators import Float


class GramStore:
    """A folder with one file a tensor.

    Args:
        folder: made on first use.
        names: of the tensors; a file's name is the place in this list, so that no name of the model's becomes a path.
    """

    def __init__(self, folder: Path, names: list[str]) -> None:
        self._folder = folder
        self._place = {name: place for place, name in enumerate(names)}

    def path(self, name: str) -> Path:
        """Where a tensor's matrix lies."""
        return self._folder / f"{self._place[name]:05d}.npy"

    def put(self, name: str, gram: Float) -> None:
        """Keep a matrix (inputs, inputs)."""
        disk.make_directory(self._folder)
        stream = io.BytesIO()
        np.save(stream, gram.astype(np.float32), allow_pickle=False)
        disk.write_bytes(self.path(name), stream.getvalue())

    def get(self, name: str) -> Float:
        """The matrix of a tensor. Raises StorageError when it is not there."""
        try:
            return np.asarray(np.load(self.path(name), allow_pickle=False), dtype=np.float32)
        except (OSError, ValueError) as error:
            raise StorageError(f"the Gram matrix of {name} cannot be read: {error}", hint="run it again") from error

    def complete(self) -> bool:
        """Whether every tensor's matrix is there."""
        return all(self.path(name).is_file() for name in self._place)
