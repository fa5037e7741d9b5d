"""Arrays from a bundle: only plain ones, and nothing is allocated on a header's word."""

from __future__ import annotations

import io
import tracemalloc

import numpy as np
import pytest

from factory import npy_bytes
from shoestring.base.errors import BundleError
from shoestring.base.limits import MIB
from shoestring.device.npy import read_npy

ARRAY = np.arange(5 * 4, dtype=np.float32).reshape(5, 4)


def _read(data: bytes) -> np.ndarray:
    return read_npy(data, dtype="float32", tail=(4,), max_rows=32, what="rows")


def test_what_numpy_saves_is_read() -> None:
    np.testing.assert_array_equal(_read(npy_bytes(ARRAY)), ARRAY)
    images = np.arange(2 * 3 * 4 * 3, dtype=np.uint8).reshape(2, 3, 4, 3)
    found = read_npy(npy_bytes(images), dtype="uint8", tail=(3, 4, None), max_rows=2, what="images")
    np.testing.assert_array_equal(found, images)
    with pytest.raises(ValueError, match="read-only"):
        found[0] = 0


def _saved(array: np.ndarray, version: tuple[int, int]) -> bytes:
    stream = io.BytesIO()
    np.lib.format.write_array(stream, array, version=version, allow_pickle=True)
    return stream.getvalue()


GOOD = npy_bytes(ARRAY)
BROKEN = {
    "empty": b"",
    "text": b"hello",
    "archive": b"PK\3\4" + GOOD,
    "version 2": _saved(ARRAY, (2, 0)),
    "pickled objects": _saved(np.array([{}] * 4, dtype=object).reshape(1, 4), (1, 0)),
    "big-endian": npy_bytes(ARRAY.astype(">f4")),
    "float64": npy_bytes(ARRAY.astype(np.float64)),
    "column order": npy_bytes(np.asfortranarray(ARRAY)),
    "other width": npy_bytes(ARRAY[:, :3].copy()),
    "flat": npy_bytes(ARRAY.ravel()),
    "no rows": npy_bytes(ARRAY[:0]),
    "too many rows": npy_bytes(np.zeros((33, 4), np.float32)),
    "cut": GOOD[:-1],
    "longer": GOOD + b"\0",
    "header cut": GOOD[:50],
    "code in the header": GOOD.replace(b"False", b"int()"),
    "huge claim": GOOD.replace(b"(5, 4)", b"(9, 4)"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_anything_else_is_refused(case: str) -> None:
    with pytest.raises(BundleError):
        _read(BROKEN[case])


def test_a_claimed_shape_is_not_allocated() -> None:
    text = b"(32, 999999999), }"
    claim = GOOD.replace(b"(5, 4), }".ljust(len(text)), text)
    assert len(claim) == len(GOOD) and text in claim
    tracemalloc.start()
    try:
        with pytest.raises(BundleError, match="their shape"):
            read_npy(claim, dtype="float32", tail=(None,), max_rows=32, what="rows")
        assert tracemalloc.get_traced_memory()[1] < MIB
    finally:
        tracemalloc.stop()
