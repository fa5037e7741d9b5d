"""Seeded damage to any bytes: flips, cuts, splices, and numbers that lie."""

from __future__ import annotations

import random
import struct
from collections.abc import Callable, Iterator

EDGES = (0, 1, 2, 3, 7, 8, 31, 32, 127, 128, 255, 256, 32767, 65535, 65536, 2**31 - 1, 2**31, 2**32 - 1, 2**40, 2**62,
         2**63 - 1, 2**63, 2**64 - 1, -1, -2, -128, -(2**31), -(2**63))  # fmt: skip
MAX_EDITS = 4


def edge(chance: random.Random) -> int:
    """A number where readers slip, or one near it."""
    return chance.choice(EDGES) + (chance.choice((-1, 0, 0, 1)) if chance.random() < 0.3 else 0)


def _flip(data: bytearray, at: int, chance: random.Random) -> None:
    data[at] ^= 1 << chance.randrange(8)


def _set(data: bytearray, at: int, chance: random.Random) -> None:
    data[at] = chance.choice((0, 1, 0x7F, 0x80, 0xFF, chance.randrange(256)))


def _cut(data: bytearray, at: int, chance: random.Random) -> None:
    del data[at : at + chance.choice((1, 2, 4, 8, 64, 4096))]


def _end(data: bytearray, at: int, chance: random.Random) -> None:
    del data[at:]


def _repeat(data: bytearray, at: int, chance: random.Random) -> None:
    data[at:at] = data[at : at + chance.choice((1, 4, 8, 64, 512))]


def _splice(data: bytearray, at: int, chance: random.Random) -> None:
    other, size = chance.randrange(len(data)), chance.choice((1, 2, 4, 8, 32, 256))
    data[at : at + size] = data[other : other + size]


def _insert(data: bytearray, at: int, chance: random.Random) -> None:
    data[at:at] = chance.randbytes(chance.choice((1, 2, 4, 8, 16)))


def _lie(data: bytearray, at: int, chance: random.Random) -> None:
    """A length or an offset of 2, 4 or 8 bytes, where one may stand."""
    size = chance.choice((2, 4, 4, 8))
    at -= at % chance.choice((1, size))
    if at + size <= len(data):
        data[at : at + size] = struct.pack("<Q", edge(chance) % 2**64)[:size]


EDITS: tuple[Callable[[bytearray, int, random.Random], None], ...] = (
    _flip, _set, _cut, _end, _repeat, _splice, _insert, _lie, _lie, _flip,
)  # fmt: skip


def damage(data: bytes, chance: random.Random, *, head: int | None = None) -> bytes:
    """One to a few edits; half of them within the first `head` bytes, where the meaning is."""
    made = bytearray(data)
    for _ in range(chance.randint(1, MAX_EDITS)):
        if not made:
            break
        most = min(head or len(made), len(made)) if chance.random() < 0.5 else len(made)
        chance.choice(EDITS)(made, chance.randrange(most), chance)
    return bytes(made)


def endless(make: Callable[[random.Random], dict[str, bytes]], seed: int) -> Iterator[dict[str, bytes]]:
    """Case after case; number n is the same whenever it is asked for."""
    number = 0
    while True:
        yield make(random.Random(seed * 1_000_003 + number))
        number += 1
