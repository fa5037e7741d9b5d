"""The .weights file: a header, then nothing but float32 in the order of the layers.

Header after load_weights_upto in src/parser.c of github.com/pjreddie/darknet: major, minor and revision as int32, then
the number of images seen, as 64 bits since version 0.2 and as 32 before. Versions from 1000 on store the weights of
connected layers transposed.
"""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from shoestring.base.errors import ModelError

Array = npt.NDArray[np.float32]

_VERSION = struct.Struct("<iii")
_FLAG = 1000


@dataclass
class Weights:
    """Floats taken one layer after the other.

    Args:
        words: all floats after the header.
        version: major.minor.revision, for messages.
        transposed: connected layers are stored as (inputs, outputs).
        taken: floats given out so far.
    """

    words: Array
    version: str
    transposed: bool
    taken: int = 0

    def take(self, shape: tuple[int, ...], owner: str, what: str) -> Array:
        """The next floats, in the shape asked for.

        Args:
            owner: the layer, for messages.
            what: weights, biases ...

        Raises:
            ModelError: fewer are left, or some are not finite.
        """
        count, left = math.prod(shape), len(self.words) - self.taken
        if count > left:
            raise ModelError(
                f"{owner} takes {count:,} floats of {what}, but the .weights file has {left:,} left of its "
                f"{len(self.words):,}",
                hint="it is truncated, holds a backbone only, or belongs to another .cfg",
            )
        found = self.words[self.taken : self.taken + count].reshape(shape).astype(np.float32)
        self.taken += count
        if not np.isfinite(found).all():
            raise ModelError(
                f"{owner}: {what} hold values that are not finite", hint="the .weights file is damaged; fetch it again"
            )
        return found

    def check_all_taken(self) -> None:
        """Raise ModelError when floats are left over."""
        left = len(self.words) - self.taken
        if left:
            raise ModelError(
                f"the .weights file holds {len(self.words):,} floats, and the layers take {self.taken:,}: {left:,} are "
                "left over",
                hint="it belongs to another .cfg, or the number of classes or filters differs",
            )


def read_weights(data: bytes) -> Weights:
    """Take a .weights file apart.

    Raises:
        ModelError: shorter than its header, not whole floats, or a version that nobody wrote.
    """
    if len(data) < _VERSION.size:
        raise ModelError(f"the .weights file has {len(data)} bytes, fewer than its header", hint="fetch it again")
    major, minor, revision = _VERSION.unpack_from(data)
    if not (0 <= major <= 2 * _FLAG and 0 <= minor <= 2 * _FLAG):
        raise ModelError(
            f"the .weights file states version {major}.{minor}.{revision}", hint="it is damaged, or no Darknet file"
        )
    flagged = major >= _FLAG or minor >= _FLAG
    wide = major * 10 + minor >= 2 and not flagged
    start = _VERSION.size + (8 if wide else 4)
    if len(data) < start or (len(data) - start) % 4:
        raise ModelError(
            f"the .weights file has {len(data)} bytes: a header of {start} and no whole number of floats",
            hint="it is truncated; fetch it again",
        )
    transposed = major > _FLAG or minor > _FLAG
    return Weights(np.frombuffer(data, "<f4", offset=start), f"{major}.{minor}.{revision}", transposed)
