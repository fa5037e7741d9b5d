"""Read the arrays of a golden set without evaluating anything in them.

`numpy.load` parses the header as a Python literal and allocates what it claims before it looks at the length of the
file. The arrays of a bundle have two types and a known shape, so a pattern is enough and the length is checked first
(format: numpy.lib.format, version 1.0).
"""

from __future__ import annotations

import math
import re
from typing import Any

import numpy as np
import numpy.typing as npt

from shoestring.bundle.refusal import refuse

Array = npt.NDArray[Any]

_MAGIC = b"\x93NUMPY\x01\x00"
_SHAPE = rb"\((?P<shape>[0-9]{1,9}(?:, ?[0-9]{1,9}){0,4}),?\)"
_HEADER = re.compile(rb"\{'descr': '(?P<type>\|u1|<f4)', 'fortran_order': False, 'shape': " + _SHAPE + rb", \} *\n")
_TYPES = {b"|u1": "uint8", b"<f4": "float32"}


def read_npy(data: bytes, *, dtype: str, tail: tuple[int | None, ...], max_rows: int, what: str) -> Array:
    """An array from the bytes of an .npy file.

    Args:
        data: the whole file.
        dtype: `uint8` or `float32`, which it must have.
        tail: its shape after the first dimension; None leaves a length open.
        max_rows: largest first dimension; the smallest is 1.
        what: for messages.

    Returns:
        A read-only array.

    Raises:
        BundleError: another type, shape or length, or no such file at all.
    """
    length = int.from_bytes(data[8:10], "little")
    header = _HEADER.fullmatch(data[10 : 10 + length])
    if not data.startswith(_MAGIC) or header is None:
        raise refuse(f"the {what} are not a plain .npy file of uint8 or float32")
    shape = tuple(int(digits) for digits in header["shape"].split(b","))
    found = _TYPES[header["type"]]
    fits = len(shape) == 1 + len(tail) and all(
        want is None or got == want for got, want in zip(shape[1:], tail, strict=True)
    )
    if found != dtype or not fits:
        raise refuse(f"the {what} are {found} of shape {shape}, not {dtype} of shape {('n', *tail)}")
    if not 1 <= shape[0] <= max_rows:
        raise refuse(f"there are {shape[0]} {what}, outside 1 to {max_rows}")
    size = math.prod(shape) * np.dtype(dtype).itemsize
    if len(data) != 10 + length + size:
        raise refuse(f"the {what} have {len(data)} bytes, their shape {shape} needs {10 + length + size}")
    return np.frombuffer(data, dtype=np.dtype(dtype).newbyteorder("<"), offset=10 + length).reshape(shape)
