"""How an answer passes from the child to its parent: one block of bytes in the file that both have open.

A head of fixed length, then the outputs. It is read in one go and nothing of it is parsed as text.
"""

from __future__ import annotations

import math
import struct
from typing import TYPE_CHECKING, Any

import numpy as np

from shoestring.device.supervise.nouns import Reply

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from shoestring.device.player import Outputs

_HEAD = struct.Struct("<dQIHH")  # seconds, count of outputs, place of the rung, stages, whether probabilities
HEAD_BYTES = _HEAD.size  # a multiple of 8: the outputs lie where float32 may lie
_ITEM = 4


def pack(said: Outputs, place: int, busy_s: float) -> npt.NDArray[np.uint8]:
    """The block of an answer.

    Args:
        said: by the models.
        place: of the rung that answered among those that are loaded.
        busy_s: that it took, s.
    """
    values: npt.NDArray[Any] = said.values.reshape(-1)
    block = empty(values.size)
    _HEAD.pack_into(block.data, 0, busy_s, values.size, place, said.stages, said.probabilities)
    block[HEAD_BYTES:].view(np.float32)[:] = values
    return block


def empty(count: int) -> npt.NDArray[np.uint8]:
    """A block to read an answer of `count` outputs into."""
    return np.empty(HEAD_BYTES + _ITEM * count, np.uint8)


def unpack(block: npt.NDArray[np.uint8], names: Sequence[str]) -> Reply:
    """The answer in a block, which it keeps.

    Args:
        block: as `pack` made it, or anything else that is HEAD_BYTES long at least.
        names: of the rungs that are loaded.

    Raises:
        ValueError: it holds another count of outputs, or names a rung that there is not.
    """
    busy_s, count, place, stages, probabilities = _HEAD.unpack_from(block.data)
    values = block[HEAD_BYTES:].view(np.float32)
    if count != values.size:
        raise ValueError(f"{count} values, not {values.size}")
    if place >= len(names):
        raise ValueError(f"rung number {place} of {len(names)}")
    return Reply(values, names[place], busy_s, stages, bool(probabilities))


def are_finite(values: npt.NDArray[np.float32]) -> bool:
    """Whether all are finite numbers. The extremes tell of NaN and of both infinities, in less time than a mask."""
    return math.isfinite(values.min()) and math.isfinite(values.max())


__all__ = ["HEAD_BYTES", "are_finite", "empty", "pack", "unpack"]
