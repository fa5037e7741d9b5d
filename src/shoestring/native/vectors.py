"""What the kernels/vec_*.h headers promise, for packing weights in the order that they read them."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Vector:
    """One vec_*.h.

    Args:
        header: name of the file, without vec_ and .h.
        lanes: SS_LANES, sums in a vector.
        most: SS_MAX_VECTORS, vectors of output channels in a panel.
        pixels: SS_PIXELS, the largest number of pixels in a block, by vectors in the panel (from 1).
        chunked: packing codes interleaves 128-bit lanes (x86), so that lanes are laid out to undo it.
        pairs: four taps of a vector are two groups of pairs (Arm without dot product).
        before: files of kernels/ that it builds on.
    """

    header: str
    lanes: int
    most: int
    pixels: tuple[int, ...]
    chunked: bool = False
    pairs: bool = False
    before: tuple[str, ...] = ()

    @property
    def block(self) -> int:
        """Channels in a block of a depthwise convolution."""
        return 4 * self.lanes

    def panels(self, channels: int) -> tuple[int, ...]:
        """Vectors in each panel of so many output channels, as even as can be."""
        vectors = -(-channels // self.lanes)
        count = -(-vectors // self.most)
        return tuple(vectors // count + (i < vectors % count) for i in range(count))

    def order(self, vectors: int, codes: bool) -> list[int]:
        """Channel of every lane of a panel, vector after vector."""
        if not (self.chunked and codes):
            return list(range(vectors * self.lanes))
        return [4 * vectors * (j // 4) + 4 * i + j % 4 for i in range(vectors) for j in range(self.lanes)]

    def block_order(self) -> list[int]:
        """Channel of every lane of a block of a depthwise convolution."""
        return [16 * (j // 4) + 4 * i + j % 4 for i in range(4) for j in range(self.lanes)]


VECTORS = {
    one.header: one
    for one in (
        Vector("portable", 4, 1, (2,)),
        Vector("sse41", 4, 2, (6, 4)),
        Vector("avx2", 8, 2, (6, 4), chunked=True, before=("avx_base.h",)),
        Vector("avxvnni", 8, 2, (8, 6), chunked=True, before=("avx_base.h",)),
        Vector("neon32", 4, 4, (4, 4, 3, 2), pairs=True, before=("neon_base.h", "neon_pairs.h")),
        Vector("neon", 4, 6, (8, 8, 6, 5, 4, 3), pairs=True, before=("neon_base.h", "neon_pairs.h")),
        Vector("neon_dot", 4, 4, (8, 8, 7, 6), before=("neon_base.h",)),
        Vector("avx512vnni", 16, 4, (12, 12, 8, 6), chunked=True),
    )
}
