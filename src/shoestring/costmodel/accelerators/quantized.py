"""Bits that each weight format keeps for a weight, its scales included."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Bits:
    """Bits a weight.

    Args:
        body: of the blocks.
        head: of the output layer, which most formats keep finer.
    """

    body: float
    head: float


WEIGHT_BITS = {
    # llama.cpp: ggml block formats; 32 weights and a 16-bit scale, or 256 with nested scales (ggml-common.h). The
    # output layer of its 4-bit files is q6_k. q4_k_m mixes q4_k (4.5) and q6_k (6.56): 4.7 over the blocks.
    "f16": Bits(16, 16),
    "q8_0": Bits(8.5, 8.5),
    "q4_0": Bits(4.5, 6.5625),
    "q4_k_m": Bits(4.7, 6.5625),
    # RKLLM: one scale a channel, or one 16-bit scale and zero for 128 weights.
    "w8a8": Bits(8, 8),
    "w4a16": Bits(4, 4),
    "w4a16_g128": Bits(4.25, 4.25),
    # AWQ: groups of 128; the output layer stays in 16 bits.
    "w4a16 awq": Bits(4.25, 16),
}


def bits_of(precision: str) -> Bits | None:
    """Bits of a format as rows name it, or None when it is unknown."""
    return WEIGHT_BITS.get(precision.strip().lower())
