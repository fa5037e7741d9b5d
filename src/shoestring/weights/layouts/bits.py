"""Fields of a few bits within runs of bytes.

ggml stores the elements of a run one after the other in the same bits of its bytes: the first `run` elements in the
lowest bits of `run` bytes, the next ones in the bits above. A run of one byte is the plain order.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from shoestring.weights.arrays import Bytes


def spread(data: Bytes, run: int, bits: int) -> Bytes:
    """The fields in the order of their elements.

    Args:
        data: (blocks, bytes).
        run: bytes of a run.
        bits: of a field: 1, 2, 4 or 8.

    Returns:
        (blocks, bytes * 8 / bits), each below 2 ** bits.
    """
    blocks, size = data.shape
    if bits == 8:
        return data
    shifts = np.arange(0, 8, bits, dtype=np.uint8)[:, None]
    mask = np.uint8((1 << bits) - 1)
    return ((data.reshape(blocks, size // run, 1, run) >> shifts) & mask).reshape(blocks, -1)


def gather(fields: Bytes, run: int, bits: int) -> Bytes:
    """The bytes of such fields: what `spread` undoes.

    Args:
        fields: (blocks, elements), each below 2 ** bits.
        run, bits: as in `spread`.

    Returns:
        (blocks, elements * bits / 8).
    """
    blocks, count = fields.shape
    if bits == 8:
        return fields
    each = 8 // bits
    parts = fields.reshape(blocks, count // (each * run), each, run)
    data = parts[:, :, 0].copy()
    for place in range(1, each):
        data |= parts[:, :, place] << np.uint8(place * bits)
    return data.reshape(blocks, -1)
