"""How our 8-bit codes become ncnn's.

Ours are real = scale * (code - zero), codes 0..255 (signed ones are shifted by 128 first). ncnn knows signed bytes in
-127..127 with a scale and no zero point (`float2int8` and `Quantize` in its sources; a byte of -128 is never made). But
a layer may as well read a tensor that was shifted by a constant, if its bias makes up for that. So the byte is
`code - centre`, or its negative, and all 256 codes but one keep their place:

* zero below 127, as behind a ReLU: the byte is 127 - code. Code 255 becomes 254.
* zero 127: the byte is code - 127. Code 255 becomes 254.
* zero 128 or above: the byte is code - 128. Code 0 becomes 1.

Padding with the real 0 is padding with the byte of `zero`, which is never negative here: ncnn for x86 fills eight
channels at a time with a pad value that it shifts into place without masking its sign
(`src/layer/x86/padding_x86.cpp`), so that seven of eight channels would be padded with -1 for every negative value.
That is what the byte that falls as the code rises is for.
"""

from __future__ import annotations

from dataclasses import dataclass

CODES = 256
HALF = 128
LIMIT = 127


@dataclass(frozen=True)
class Grid:
    """Codes of an activation.

    Args:
        scale: real step, above zero.
        zero: code of the real 0, in 0..255.
    """

    scale: float
    zero: int

    @property
    def sign(self) -> int:
        """-1 where the byte falls as the code rises."""
        return -1 if self.zero < LIMIT else 1

    @property
    def centre(self) -> int:
        """The code whose byte is 0."""
        return HALF if self.zero >= HALF else LIMIT

    @property
    def pad(self) -> int:
        """The byte of the real 0: 0..127."""
        return self.sign * (self.zero - self.centre)

    @property
    def shift(self) -> float:
        """Added to a real before its sign: byte = sign * (real + shift) / scale."""
        return self.scale * (self.zero - self.centre)

    @property
    def low(self) -> float:
        """The smallest real that has a code."""
        return -self.scale * self.zero

    @property
    def high(self) -> float:
        """The largest real that has a code."""
        return self.scale * (CODES - 1 - self.zero)
