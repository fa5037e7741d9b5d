"""Tensors between two processes: in a file without a name that both have open, so that none is ever encoded.

Values are copied in and out with `pread` and `pwrite`, not mapped: a process that cuts the file short under a mapping
kills whoever looks, and the reader here must outlive the writer.
"""

from __future__ import annotations

import os
import tempfile
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from shoestring.runtimes.protocol import Array

ALIGNMENT = 64


class TensorFile:
    """One direction of the traffic.

    Args:
        descriptor: of a file that the other process has open too.
    """

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor

    def write(self, arrays: Mapping[str, Array]) -> list[dict[str, Any]]:
        """Put arrays into the file, over what was there. Returns where each lies, as plain JSON values."""
        records, place = [], 0
        for name, value in arrays.items():
            flat = np.asarray(value, order="C").reshape(-1)
            _write_all(self.descriptor, flat.view(np.uint8).data, place)
            records.append({"name": name, "dtype": value.dtype.name, "shape": list(value.shape), "place": place})
            place += -(-flat.nbytes // ALIGNMENT) * ALIGNMENT
        return records

    def read(self, records: Sequence[Mapping[str, Any]]) -> dict[str, Array]:
        """The arrays that `write` told of, each a copy of its own.

        Raises:
            ValueError, TypeError, KeyError: the records are none that `write` gives, or tell of more than there is.
        """
        arrays = {}
        size = os.fstat(self.descriptor).st_size
        for record in records:
            dtype = np.dtype(str(record["dtype"]))
            shape = tuple(int(length) for length in record["shape"])
            count = 1
            for length in shape:
                count *= length
            place = int(record["place"])
            if dtype.kind not in "biuf" or min((*shape, place)) < 0 or place + count * dtype.itemsize > size:
                raise ValueError(f"no tensor lies where the record of {record['name']!r} says")
            flat = np.empty(count, dtype)
            _read_all(self.descriptor, flat.view(np.uint8).data, place)
            arrays[str(record["name"])] = flat.reshape(shape)
        return arrays

    def write_bytes(self, data: bytes) -> int:
        """Put bytes into the file, over what was there. Returns how many."""
        _write_all(self.descriptor, memoryview(data), 0)
        return len(data)

    def write_from(self, array: Array) -> None:
        """Put the bytes of an array of C order into the file, over what was there."""
        _write_all(self.descriptor, array.reshape(-1).view(np.uint8).data, 0)

    def read_into(self, array: Array) -> None:
        """Fill an array of C order with what lies in the file. Raises ValueError when there is less."""
        _read_all(self.descriptor, array.reshape(-1).view(np.uint8).data, 0)

    def write_at(self, place: int, array: Array) -> None:
        """Put the bytes of an array of C order at a place, over what was there. Raises OSError as the disk does."""
        _write_all(self.descriptor, array.reshape(-1).view(np.uint8).data, place)

    def read_at(self, place: int, array: Array) -> None:
        """Fill an array of C order with what lies at a place. Raises ValueError when there is less."""
        _read_all(self.descriptor, array.reshape(-1).view(np.uint8).data, place)

    def read_bytes(self, count: int) -> bytes:
        """What `write_bytes` put there."""
        data = bytearray(count)
        _read_all(self.descriptor, memoryview(data), 0)
        return bytes(data)


def anonymous_file() -> int:
    """A descriptor of a new empty file without a name: in memory on Linux, else in the directory for such files."""
    try:
        return os.memfd_create("shoestring-tensors", os.MFD_CLOEXEC)
    except (AttributeError, OSError):  # not Linux, an old kernel, or one told to refuse
        with tempfile.TemporaryFile() as stream:
            return os.dup(stream.fileno())


def _write_all(descriptor: int, view: memoryview, place: int) -> None:
    done = 0
    while done < len(view):
        done += os.pwrite(descriptor, view[done:], place + done)


def _read_all(descriptor: int, view: memoryview, place: int) -> None:
    done = 0
    while done < len(view):
        count = os.preadv(descriptor, [view[done:]], place + done)
        if count == 0:
            raise ValueError("the file ends before the tensor does")
        done += count


__all__ = ["TensorFile", "anonymous_file"]
