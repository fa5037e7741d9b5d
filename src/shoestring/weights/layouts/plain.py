"""Types whose block of 32 has one scale of 16 bits, and some an offset: structs of ggml/src/ggml-common.h."""

from __future__ import annotations

import numpy as np

from shoestring.weights.layouts.layout import Field, Layout

_BLOCK = 32
_D, _M = Field("d", 2), Field("m", 2)
_LOW = Field("codes", 16, run=16, bits=4)
_FIFTH = Field("codes", 4, run=1, bits=1, shift=4)
IQ4_LEVELS = np.array(
    [-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113], np.float32
)  # kvalues_iq4nl of ggml/src/ggml-common.h: dense around zero, where weights are


def _whole(low: int, high: int) -> np.ndarray:
    return np.arange(low, high + 1, dtype=np.float32)


PLAIN = (
    Layout("Q8_0", _BLOCK, _BLOCK, _whole(-128, 127), (_D, Field("codes", 32, flip=0x80))),  # signed bytes
    Layout("Q4_0", _BLOCK, _BLOCK, _whole(-8, 7), (_D, _LOW)),
    Layout("Q4_1", _BLOCK, _BLOCK, _whole(0, 15), (_D, _M, _LOW)),
    Layout("Q5_0", _BLOCK, _BLOCK, _whole(-16, 15), (_D, _FIFTH, _LOW)),
    Layout("Q5_1", _BLOCK, _BLOCK, _whole(0, 31), (_D, _M, _FIFTH, _LOW)),
    Layout("IQ4_NL", _BLOCK, _BLOCK, IQ4_LEVELS, (_D, _LOW)),
)
