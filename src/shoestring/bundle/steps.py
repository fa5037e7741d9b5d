"""One content as steps from another: take bytes of the old one, add a difference to each, then insert new ones.

A trained model that was quantized again keeps most of its bytes; those around the changed ones stay in place or move
together (Percival, "Naive differences of executable code", 2003). The steps are found by the package bsdiff4 in the
workshop; where it finds little, as after more training, the contents are also laid over each other. A device only adds:
no search, no package, memory for both contents and one chunk.

One step: where to go on in the old content, relative to where the last one stopped (int64), how many bytes to add and
how many to insert (uint32 each), little-endian, then these bytes. All steps are one xz stream, whose checksum and
memory limit Python's lzma keeps.
"""

from __future__ import annotations

import bz2
import lzma
import struct
from typing import TYPE_CHECKING

import numpy as np

from shoestring.base.errors import MissingExtraError
from shoestring.base.limits import MIB
from shoestring.bundle.refusal import refuse_delta

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    Step = tuple[int, bytes, bytes]  # where to go, differences, new bytes

CHUNK_BYTES = MIB
DICTIONARY_BYTES = 8 * MIB  # a device needs little more to expand
POOR = 0.25  # of the content: above it, other ways than a search are tried too
MEMORY_BYTES = 16 * MIB  # of the decompressor; a stream that asks for more is refused
_PLAIN = [{"id": lzma.FILTER_LZMA2, "preset": 9 | lzma.PRESET_EXTREME, "dict_size": DICTIONARY_BYTES}]
_WORDS = [{**_PLAIN[0], "lc": 0, "lp": 2, "pb": 2}]  # models bytes by their place in a 4-byte word, as floats want
_STEP = struct.Struct("<qII")
_TRIPLE = struct.Struct("<qqq")
_BSDIFF_HEADER = struct.Struct("<8sqqq")
_SIGN = 1 << 63


def make_steps(old: bytes, new: bytes) -> bytes:
    """Compressed steps from `old` to `new`, the smallest of a few ways.

    Args:
        old: empty: everything is inserted.
        new: any content.

    Raises:
        MissingExtraError: bsdiff4 is not installed.
    """
    if not new:
        return _compress([], _PLAIN)
    if not old:
        return min((_compress([(0, b"", new)], filters) for filters in (_PLAIN, _WORDS)), key=len)
    made = [_compress(_found(old, new), _PLAIN)]
    if len(made[0]) > POOR * len(new):
        # Trained further, all weights moved a little: nothing is equal, but differences in place are small.
        made += [_compress(steps, filters) for steps in _aligned(old, new) for filters in (_PLAIN, _WORDS)]
    return min(made, key=len)


def _compress(steps: Iterable[Step], filters: list[dict[str, int]]) -> bytes:
    packer = lzma.LZMACompressor(lzma.FORMAT_XZ, lzma.CHECK_CRC32, filters=filters)
    out = [packer.compress(_STEP.pack(seek, len(added), len(extra)) + added + extra) for seek, added, extra in steps]
    return b"".join([*out, packer.flush()])


def _aligned(old: bytes, new: bytes) -> Iterator[list[Step]]:
    """One step over everything, the contents laid together at their first bytes, and at their last ones."""
    length = min(len(old), len(new))
    ahead, before = len(new) - length, len(old) - length
    yield [(0, _difference(old[:length], new[:length]), new[length:])]
    if ahead or before:
        first = [(0, b"", new[:ahead])] if ahead else []
        yield [*first, (before, _difference(old[before:], new[ahead:]), b"")]


def _difference(old: bytes, new: bytes) -> bytes:
    return bytes(np.frombuffer(new, np.uint8) - np.frombuffer(old, np.uint8))


def apply_steps(old: bytes, data: bytes, size_bytes: int) -> bytes:
    """The content that `data` makes of `old`.

    Args:
        old: what `make_steps` was given.
        data: compressed steps, from anywhere.
        size_bytes: of the content; the caller holds it against a limit.

    Raises:
        BundleError: the steps are damaged, leave the old content, or give another number of bytes.
    """
    base, out = np.frombuffer(old, np.uint8), np.empty(size_bytes, np.uint8)
    reader, position, made = _Reader(data), 0, 0
    while made < size_bytes:
        seek, add, insert = _STEP.unpack(reader.take(_STEP.size))
        position += seek
        if add + insert == 0:
            raise refuse_delta("a step gives nothing")
        if made + add + insert > size_bytes:
            raise refuse_delta(f"its steps give more than {size_bytes} bytes")
        if position < 0 or position + add > len(old):
            raise refuse_delta(f"a step takes bytes {position} to {position + add} of {len(old)}")
        for piece in reader.pieces(add):
            count = len(piece)
            np.add(base[position : position + count], np.frombuffer(piece, np.uint8), out=out[made : made + count])
            position, made = position + count, made + count
        for piece in reader.pieces(insert):
            out[made : made + len(piece)] = np.frombuffer(piece, np.uint8)
            made += len(piece)
    reader.finish()
    return out.tobytes()


class _Reader:
    """Expands a stream as far as it is asked for."""

    def __init__(self, data: bytes) -> None:
        self._inflater = lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=MEMORY_BYTES)
        self._left = memoryview(data)
        self._held = b""

    def take(self, count: int) -> bytes:
        """Exactly `count` bytes, at most CHUNK_BYTES."""
        while len(self._held) < count:
            more = self._more()
            if not more:
                raise refuse_delta("it ends inside a step")
            self._held += more
        taken, self._held = self._held[:count], self._held[count:]
        return taken

    def pieces(self, count: int) -> Iterator[bytes]:
        while count > 0:
            piece = self.take(min(count, CHUNK_BYTES))
            count -= len(piece)
            yield piece

    def finish(self) -> None:
        """Nothing may follow."""
        if self._held or self._more():
            raise refuse_delta("it goes on after its last step")
        if not self._inflater.eof or self._inflater.unused_data or self._left:
            raise refuse_delta("it has bytes after its last step, or lacks its end")

    def _more(self) -> bytes:
        while not self._inflater.eof:
            fed = b""
            if self._inflater.needs_input:
                if not self._left:
                    return b""
                fed, self._left = bytes(self._left[:CHUNK_BYTES]), self._left[CHUNK_BYTES:]
            try:
                data = self._inflater.decompress(fed, CHUNK_BYTES)
            except lzma.LZMAError as error:
                raise refuse_delta(f"it cannot be expanded: {error}") from None
            if data:
                return data
        return b""


def _found(old: bytes, new: bytes) -> list[Step]:
    """Steps by bsdiff4, taken out of the documented BSDIFF40 form."""
    try:
        import bsdiff4
    except ImportError:
        raise MissingExtraError("bsdiff4", "fit") from None

    made = bsdiff4.diff(old, new)
    _, control_bytes, added_bytes, _ = _BSDIFF_HEADER.unpack_from(made)
    begin, middle = _BSDIFF_HEADER.size, _BSDIFF_HEADER.size + control_bytes
    control = bz2.decompress(made[begin:middle])
    added, extra = bz2.decompress(made[middle : middle + added_bytes]), bz2.decompress(made[middle + added_bytes :])
    steps: list[Step] = []
    position = stopped = taken = inserted = 0
    for triple in _TRIPLE.iter_unpack(control):
        add, insert, move = (value if value >= 0 else -(value + _SIGN) for value in triple)  # sign and magnitude
        if add + insert:
            seek = position - stopped
            steps.append((seek, added[taken : taken + add], extra[inserted : inserted + insert]))
            stopped = position + add
        position, taken, inserted = position + add + move, taken + add, inserted + insert
    return steps
