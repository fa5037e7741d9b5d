"""An .npz of `images` and perhaps `labels`.

Headers are read and held against the limits before any array is. Arrays that are stored plainly (`np.savez`) are read
image by image from the file; compressed ones (`np.savez_compressed`) can only be read in order, so they are unpacked
into memory, up to a limit.
"""

from __future__ import annotations

import math
import struct
import zipfile
import zlib
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from shoestring.base.errors import DataError
from shoestring.base.limits import MAX_IMAGE_PIXELS, MAX_IMAGES, MIB
from shoestring.evaluate.dataset_found import Found, count_note
from shoestring.evaluate.dataset_source import ArraySource

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

MAX_UNPACKED_BYTES = 256 * MIB  # CIFAR-10 whole is 184 MB; a fit has 300 MB to spare over the model itself
MAX_HEADER_BYTES = 4096  # numpy writes 128 for any plain array

# What zipfile and numpy raise on damaged archives: NotImplementedError for an unknown compression, RuntimeError for an
# encrypted member, ValueError for an array header that is none, EOFError and struct.error for one cut short. All become
# a DataError that names the file.
_BROKEN = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, struct.error, ValueError)


@dataclass(frozen=True)
class _Member:
    """An array in the archive: its type and shape, and how many bytes its header takes."""

    info: zipfile.ZipInfo
    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    header_bytes: int

    @property
    def size_bytes(self) -> int:
        return math.prod(self.shape) * self.dtype.itemsize


def read_npz(path: Path) -> Found:
    """`images`: uint8 (n, height, width, 3 or 1) or (n, height, width); `labels`: n integers or class names.

    Raises:
        DataError: it is not an .npz, an array is missing, holds objects, has another type or shape than it should, is
            larger than a limit, or ends early.
    """
    error = _error(path)
    try:
        with zipfile.ZipFile(path) as archive:
            members = {info.filename: info for info in archive.infolist()}
            if len(members) != len(archive.infolist()):
                raise error("names an array twice", "write it again")
            if "images.npy" not in members:
                raise error(f"has no array 'images', only {sorted(members)[:5]}", "save it as np.savez(images=...)")
            images = _header(archive, members["images.npy"], error)
            source = _source(path, archive, images, error)
            labels = None
            if "labels.npy" in members:
                labels = _labels(archive, _header(archive, members["labels.npy"], error), len(source), error)
    except OSError as failure:
        raise error(f"cannot be read: {failure.strerror or failure}") from failure
    except _BROKEN as failure:
        raise error(f"is broken: {failure}", "write it again with np.savez") from failure
    unused = sorted(set(members) - {"images.npy", "labels.npy"})
    return Found(source, labels, notes=count_note(unused, "arrays not used"))


def _error(path: Path) -> Callable[..., DataError]:
    def error(message: str, hint: str | None = None) -> DataError:
        return DataError(f"{path} {message}", hint=hint)

    return error


def _header(archive: zipfile.ZipFile, info: zipfile.ZipInfo, error: Callable[..., DataError]) -> _Member:
    with archive.open(info) as stream:
        version = np.lib.format.read_magic(stream)
        if version == (1, 0):
            read = np.lib.format.read_array_header_1_0
        elif version == (2, 0):
            read = np.lib.format.read_array_header_2_0
        else:
            raise error(f"has {info.filename} in format {version}, which no plain array needs", "write it again")
        shape, fortran, dtype = read(stream, max_header_size=MAX_HEADER_BYTES)
        member = _Member(info, dtype, shape, stream.tell())
    if dtype.hasobject:
        raise error(f"has Python objects in {info.filename}, which are never loaded", "save plain arrays")
    if fortran and len(shape) > 1:
        raise error(f"has {info.filename} in Fortran order", "save np.ascontiguousarray(array)")
    if any(length < 0 for length in shape) or info.file_size != member.header_bytes + member.size_bytes:
        raise error(
            f"claims {info.filename} of shape {shape} and type {dtype}, but holds {info.file_size} bytes of it",
            "write it again",
        )
    return member


def _source(path: Path, archive: zipfile.ZipFile, images: _Member, error: Callable[..., DataError]) -> ArraySource:
    shape = images.shape if len(images.shape) == 4 else (*images.shape, 1)
    if images.dtype != np.uint8 or len(images.shape) not in (3, 4) or shape[3] not in (1, 3):
        raise error(
            f"has images of type {images.dtype} and shape {images.shape}",
            "save uint8 pixels of shape (n, height, width, 3), (n, height, width, 1) or (n, height, width)",
        )
    n, height, width, channels = shape
    if n > MAX_IMAGES or height * width > MAX_IMAGE_PIXELS:
        raise error(f"has images of shape {images.shape}; the limits are {MAX_IMAGES} of {MAX_IMAGE_PIXELS} pixels")
    if n and not (height and width):
        raise error(f"has images without pixels, shape {images.shape}")
    if images.info.compress_type == zipfile.ZIP_STORED:
        return ArraySource(path, (n, height, width, channels), _offset(path, images), None)
    if images.size_bytes > MAX_UNPACKED_BYTES:
        raise error(
            f"has {images.size_bytes} bytes of compressed images, the limit is {MAX_UNPACKED_BYTES}",
            "save it with np.savez instead of np.savez_compressed, or as image files",
        )
    held = _read(archive, images).reshape(shape)
    return ArraySource(path, (n, height, width, channels), None, held)


def _offset(path: Path, member: _Member) -> int:
    """Where the pixels start in the file: after the member's local header (APPNOTE.TXT 4.3.7) and numpy's own."""
    with path.open("rb") as stream:
        stream.seek(member.info.header_offset)
        name_bytes, extra_bytes = struct.unpack("<26xHH", stream.read(30))
    return int(member.info.header_offset + 30 + name_bytes + extra_bytes + member.header_bytes)


def _labels(archive: zipfile.ZipFile, labels: _Member, n: int, error: Callable[..., DataError]) -> tuple[str, ...]:
    if labels.dtype.kind not in "iuU" or labels.shape not in ((n,), (n, 1)):
        raise error(
            f"has labels of type {labels.dtype} and shape {labels.shape} for {n} images",
            "save one integer or class name for each image",
        )
    if labels.size_bytes > MAX_UNPACKED_BYTES:
        raise error(f"has {labels.size_bytes} bytes of labels, the limit is {MAX_UNPACKED_BYTES}")
    written = tuple(str(label).strip() for label in _read(archive, labels).tolist())
    wrong = [i for i, label in enumerate(written) if not label or label.startswith("-")]
    if wrong:
        raise error(f"has label {written[wrong[0]]!r} for image {wrong[0]}", "labels count from 0, or are class names")
    return written


def _read(archive: zipfile.ZipFile, member: _Member) -> npt.NDArray[Any]:
    """The array, flat. Its size was held against a limit before; the zip's checksum is verified on the way."""
    with archive.open(member.info) as stream:
        data = _exactly(stream, member.header_bytes + member.size_bytes)
    return np.frombuffer(data, np.dtype(member.dtype), offset=member.header_bytes)


def _exactly(stream: IO[bytes], count: int) -> bytes:
    data = stream.read(count)
    if len(data) != count or stream.read(1):
        raise EOFError(f"{len(data)} bytes where the header claims {count}")
    return data
