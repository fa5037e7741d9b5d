"""Which content is most like another, without comparing each with each byte by byte.

A sketch is the set of those 8-byte windows whose hash begins with eight zero bits: the same stretch of bytes gives the
same members wherever it lies (Manber, "Finding Similar Files in a Large File System", 1994).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from collections.abc import Mapping

Sketch = npt.NDArray[np.uint64]

_WINDOW = 8
_SPREAD = np.uint64(0x9E3779B97F4A7C15)  # odd, bits without a pattern: Knuth, TAOCP 3, section 6.4
_SELECT = np.uint64(56)  # one window in 256
_PIECE = 1 << 20


def sketch(data: bytes) -> Sketch:
    """Sorted members of the sketch of `data`."""
    members = [np.empty(0, np.uint64)]
    for begin in range(0, max(0, len(data) - _WINDOW + 1), _PIECE):
        piece = np.frombuffer(data[begin : begin + _PIECE + _WINDOW - 1], np.uint8)
        windows = np.lib.stride_tricks.sliding_window_view(piece, _WINDOW)
        values = np.ascontiguousarray(windows).view("<u8").ravel() * _SPREAD
        members.append(values[values >> _SELECT == 0].astype(np.uint64))
    return np.unique(np.concatenate(members))


def most_similar(data: bytes, others: Mapping[str, Sketch]) -> str | None:
    """Name of the sketch that shares most members with that of `data`; None when none shares any."""
    own = sketch(data)
    shared = {name: len(np.intersect1d(own, other, assume_unique=True)) for name, other in others.items()}
    best = max(shared, key=lambda name: (shared[name], name), default=None)
    return best if best is not None and shared[best] > 0 else None
