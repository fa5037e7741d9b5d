"""Where the images of a data set lie: files below a directory, or an array in memory or on disk."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np
from PIL import Image

from shoestring.base.canonical import sha256_hex
from shoestring.base.errors import DataError
from shoestring.base.limits import MIB
from shoestring.base.opens import open_within
from shoestring.inputs.image import Pixels, decode, probe

if TYPE_CHECKING:
    from pathlib import Path

MAX_FILE_BYTES = 512 * MIB  # a 100-megapixel image stored raw, with room for an alpha channel and 8 bits more


class Source(Protocol):
    """Images by the position they were found at. Safe to read from several threads."""

    def __len__(self) -> int: ...

    def name(self, position: int) -> str:
        """For people: a path below the data set, or `images[3]`."""
        ...

    def check(self, position: int) -> str:
        """SHA-256 of the image, after a look at its header. Raises DataError when it is not an image."""
        ...

    def image(self, position: int, sha256: str) -> Image.Image:
        """The decoded image. Raises DataError when it is broken, or no longer has the hash `sha256`."""
        ...


@dataclass(frozen=True)
class FileSource:
    """Files `names` below the directory `root`, opened without following links."""

    root: Path
    names: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.names)

    def name(self, position: int) -> str:
        return self.names[position]

    def check(self, position: int) -> str:
        data = self._read(position)
        probe(data, str(self.root / self.names[position]))
        return sha256_hex(data)

    def image(self, position: int, sha256: str) -> Image.Image:
        data = self._read(position)
        path = str(self.root / self.names[position])
        if sha256_hex(data) != sha256:
            raise _changed(path)
        return decode(data, path)

    def _read(self, position: int) -> bytes:
        name = self.names[position]
        with open_within(self.root, name) as stream:
            size = os.fstat(stream.fileno()).st_size
            if size > MAX_FILE_BYTES:
                raise DataError(
                    f"{self.root / name} has {size} bytes, the limit is {MAX_FILE_BYTES}",
                    hint="take it out of the data",
                )
            try:
                return stream.read(MAX_FILE_BYTES)
            except OSError as error:
                raise DataError(f"cannot read {self.root / name}: {error.strerror or error}") from error


@dataclass(frozen=True)
class ArraySource:
    """Images of one shape (height, width, channels) in a buffer or, from `offset` on, in the file `path`.

    Args:
        path: the .npz, for messages and for reading.
        shape: (n, height, width, channels).
        offset: of the first pixel in the file; None when `held` has the pixels.
        held: all pixels, or None.
    """

    path: Path
    shape: tuple[int, int, int, int]
    offset: int | None
    held: Pixels | None

    def __len__(self) -> int:
        return self.shape[0]

    def name(self, position: int) -> str:
        return f"images[{position}]"

    def check(self, position: int) -> str:
        return sha256_hex(self._read(position))

    def image(self, position: int, sha256: str) -> Image.Image:
        data = self._read(position)
        if sha256_hex(data) != sha256:
            raise _changed(f"{self.path}: {self.name(position)}")
        _, height, width, channels = self.shape
        array = np.frombuffer(data, np.uint8).reshape((height, width, channels))
        return Image.fromarray(array[:, :, 0] if channels == 1 else array)

    def _read(self, position: int) -> bytes:
        if self.held is not None:
            return bytes(self.held[position].tobytes())
        _, height, width, channels = self.shape
        size = height * width * channels
        try:
            with self.path.open("rb") as stream:
                stream.seek((self.offset or 0) + position * size)
                data = stream.read(size)
        except OSError as error:
            raise DataError(f"cannot read {self.path}: {error.strerror or error}") from error
        if len(data) != size:
            raise DataError(f"{self.path} ends before {self.name(position)}", hint="write it again")
        return data


def _changed(name: str) -> DataError:
    return DataError(f"{name} changed while it was being used", hint="run again when the data stays as it is")
