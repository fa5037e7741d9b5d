"""A block type as data: its fields in their order, the values of its codes, the ranges of its scales.

Every type is one formula: value = d * scale * level(code) + offset, in float32 and in this order of operations, as
ggml/src/ggml-quants.c of llama.cpp computes it. The offset is nothing, a number of the block, or -dmin * minimum.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from shoestring.weights.layouts.bits import gather, spread

if TYPE_CHECKING:
    from collections.abc import Callable

    from shoestring.weights.arrays import Bytes, Floats, Halves, Shorts


@dataclass(frozen=True)
class Blocks:
    """Blocks taken apart.

    Args:
        codes: (blocks, elements), uint8.
        d: (blocks,), the scale of a block.
        scales: (blocks, groups), whole factors of it; None where a block is one group.
        m: (blocks,), what is added to every value (Q4_1), or the scale of the minimums (K types); None without offsets.
        minimums: (blocks, groups), whole factors of m that are taken away; None where m is added.
    """

    codes: Bytes
    d: Halves
    scales: Shorts | None = None
    m: Halves | None = None
    minimums: Shorts | None = None


@dataclass(frozen=True)
class Field:
    """Bits of a block that follow each other.

    Args:
        part: what they are: codes, scales, d, m; or pairs, the scales and minimums of Q4_K and Q5_K in 12 bytes.
        size_bytes: that they take.
        run: bytes of a run, see `bits`.
        bits: of an element.
        shift: where these bits stand in the element.
        flip: bits of the element that are stored the other way round.
    """

    part: str
    size_bytes: int
    run: int = 1
    bits: int = 8
    shift: int = 0
    flip: int = 0


@dataclass(frozen=True)
class Layout:
    """One block type.

    Args:
        name: of the type.
        elements: of a block.
        group: elements that share a scale.
        levels: (codes,), float32, what each code stands for; rising.
        fields: in the order of the bytes.
        scales: smallest and largest whole scale of a group, or None.
        scale_bias: what the stored scale has more than the scale.
        minimums: largest whole minimum of a group, or None.
        pairs: unpack and pack of the field of that name.
    """

    name: str
    elements: int
    group: int
    levels: Floats
    fields: tuple[Field, ...]
    scales: tuple[int, int] | None = None
    scale_bias: int = 0
    minimums: int | None = None
    pairs: tuple[Callable[[Bytes], tuple[Bytes, Bytes]], Callable[[Bytes, Bytes], Bytes]] | None = None

    @property
    def groups(self) -> int:
        """Of a block."""
        return self.elements // self.group

    @property
    def size_bytes(self) -> int:
        """Of a block."""
        return sum(field.size_bytes for field in self.fields)

    @property
    def offsets(self) -> bool:
        """Whether its values have an offset."""
        return any(field.part == "m" for field in self.fields)

    def unpack(self, raw: Bytes) -> Blocks:
        """Take blocks apart; `raw` is (blocks, size_bytes)."""
        parts: dict[str, Bytes] = {}
        halves: dict[str, Halves] = {}
        place = 0
        for field in self.fields:
            data = raw[:, place : place + field.size_bytes]
            place += field.size_bytes
            if field.part in ("d", "m"):
                halves[field.part] = np.ascontiguousarray(data).view(np.float16)[:, 0]
            elif field.part == "pairs" and self.pairs is not None:
                parts["scales"], parts["minimums"] = self.pairs[0](data)
            else:
                found = (spread(data, field.run, field.bits) << np.uint8(field.shift)) ^ np.uint8(field.flip)
                parts[field.part] = parts[field.part] | found if field.part in parts else found
        return Blocks(
            parts["codes"], halves["d"], self._signed(parts.get("scales")), halves.get("m"), _short(parts, "minimums")
        )

    def pack(self, blocks: Blocks) -> Bytes:
        """Put blocks together: (blocks, size_bytes)."""
        raw = np.empty((len(blocks.d), self.size_bytes), np.uint8)
        stored = {"codes": blocks.codes}
        if blocks.scales is not None:
            stored["scales"] = (blocks.scales + np.int16(self.scale_bias)).astype(np.uint8)
        if blocks.minimums is not None:
            stored["minimums"] = blocks.minimums.astype(np.uint8)
        place = 0
        for field in self.fields:
            into = raw[:, place : place + field.size_bytes]
            place += field.size_bytes
            if field.part in ("d", "m"):
                half = blocks.d if field.part == "d" else blocks.m
                into[:] = np.ascontiguousarray(half, np.float16)[:, None].view(np.uint8)
            elif field.part == "pairs" and self.pairs is not None:
                into[:] = self.pairs[1](stored["scales"], stored["minimums"])
            else:
                mask = np.uint8((1 << field.bits) - 1)
                part = (stored[field.part] ^ np.uint8(field.flip)) >> np.uint8(field.shift)
                into[:] = gather(part & mask, field.run, field.bits)
        return raw

    def steps(self, blocks: Blocks) -> tuple[Floats, Floats | None]:
        """The scale and the offset of every group, (blocks, groups) each, as the runtime multiplies them."""
        scale = blocks.d.astype(np.float32)[:, None]
        if blocks.scales is not None:
            scale = scale * blocks.scales.astype(np.float32)
        if blocks.m is None:
            return scale, None
        offset = blocks.m.astype(np.float32)[:, None]
        return scale, offset if blocks.minimums is None else -(offset * blocks.minimums.astype(np.float32))

    def values(self, blocks: Blocks) -> Floats:
        """What the runtime reads: (blocks, elements) of float32."""
        scale, offset = self.steps(blocks)
        shape = (len(blocks.d), self.groups, self.group)
        found = self.levels[blocks.codes].reshape(shape)
        found *= scale[:, :, None]
        if offset is not None:
            found += offset[:, :, None]
        return found.reshape(shape[0], self.elements)

    def _signed(self, stored: Bytes | None) -> Shorts | None:
        if stored is None or self.scales is None:
            return None
        signed = stored.view(np.int8) if self.scales[0] == -128 else stored
        return signed.astype(np.int16) - np.int16(self.scale_bias)


def _short(parts: dict[str, Bytes], name: str) -> Shorts | None:
    return parts[name].astype(np.int16) if name in parts else None
