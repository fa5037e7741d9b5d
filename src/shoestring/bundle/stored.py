"""How a blob's bytes lie in the file: as they are, or compressed where that pays.

Two forms of raw deflate (RFC 1951), which Python's own zlib reads everywhere in a window of 32 KiB:

- `deflate`: level 9. For integer weights, code, JSON.
- `planes`: the bytes of each 256 KiB block sorted by their place in a 4-byte word, then Huffman codes alone. The upper
  bytes of float32 weights, sign and exponent, repeat; the lower ones are noise, and a search for matches finds none.

docs/adr/0007-bundle-size.md has what was measured and rejected.
"""

from __future__ import annotations

import hashlib
import zlib
from itertools import chain
from typing import TYPE_CHECKING

from shoestring.base.limits import MAX_EXPANSION, MIB
from shoestring.bundle.layout import Entry, blob_name
from shoestring.bundle.refusal import refuse
from shoestring.domain.manifest import Stored

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from shoestring.domain.manifest import Blob

DEFLATE, PLANES = "deflate", "planes"
ENCODINGS = (DEFLATE, PLANES)
MIN_GAIN = 0.05  # below it, the time to expand on every opening is not worth the storage
CHUNK_BYTES = MIB
BLOCK_BYTES = 256 * 1024  # memory of a device; measured: blocks of 64 KiB cost half a point, of 1 MiB gain 0.1
WORD_BYTES = 4
_RAW_WINDOW = -15  # deflate without zlib's header and checksum, as ZIP has it


def stored_bytes(blob: Blob) -> int:
    """Length of the blob in the file."""
    return blob.size_bytes if blob.stored is None else blob.stored.size_bytes


def stored_sha256(blob: Blob) -> str:
    """Hash of the blob as it lies in the file."""
    return blob.sha256 if blob.stored is None else blob.stored.sha256


def entry_of(blob: Blob, crc32: int) -> Entry:
    """The blob's record in the archive.

    Args:
        blob: with its form.
        crc32: of what an archive tool takes out: the content, in planes where it is stored so.
    """
    deflated = None if blob.stored is None else blob.stored.size_bytes
    return Entry(blob_name(blob.sha256), blob.size_bytes, crc32, deflated)


def pays(size_bytes: int, compressed_bytes: int) -> bool:
    """Whether a blob of `size_bytes` is stored compressed: it saves MIN_GAIN, and expands at most MAX_EXPANSION times.

    The second holds a reader's memory to what the file's size lets expect, and is a rule of the format.
    """
    return compressed_bytes <= size_bytes * (1 - MIN_GAIN) and size_bytes <= MAX_EXPANSION * compressed_bytes


def choose(size_bytes: int, chunks: Callable[[], Iterable[bytes]]) -> Stored | None:
    """The smallest form that pays, or None: as it is.

    Args:
        size_bytes: of the content.
        chunks: gives the content from its start, each time it is called.
    """
    made = [_try(encoding, chunks()) for encoding in ENCODINGS]
    paying = [stored for stored in made if pays(size_bytes, stored.size_bytes)]
    return min(paying, key=lambda stored: stored.size_bytes) if paying else None


def _try(encoding: str, chunks: Iterable[bytes]) -> Stored:
    size, hasher = 0, hashlib.sha256()
    for chunk in compress(encoding, arrange(encoding, chunks)):
        size += len(chunk)
        hasher.update(chunk)
    return Stored(encoding, size, hasher.hexdigest())


def arrange(encoding: str, chunks: Iterable[bytes]) -> Iterator[bytes]:
    """The content in the order of bytes that is compressed."""
    return iter(map(to_planes, _blocks(chunks)) if encoding == PLANES else chunks)


def arrange_back(encoding: str, chunks: Iterable[bytes]) -> Iterator[bytes]:
    """The inverse of `arrange`."""
    return iter(map(from_planes, _blocks(chunks)) if encoding == PLANES else chunks)


def compress(encoding: str, chunks: Iterable[bytes]) -> Iterator[bytes]:
    """One raw deflate stream of `chunks`; its bytes do not depend on how the content is cut."""
    strategy = zlib.Z_HUFFMAN_ONLY if encoding == PLANES else zlib.Z_DEFAULT_STRATEGY
    packer = zlib.compressobj(9, zlib.DEFLATED, _RAW_WINDOW, 8, strategy)
    for chunk in chunks:
        yield packer.compress(chunk)
    yield packer.flush()


def expand(chunks: Iterable[bytes], size_bytes: int, what: str) -> Iterator[bytes]:
    """The content of one raw deflate stream, at most CHUNK_BYTES at a time.

    Args:
        chunks: the stream and nothing else.
        size_bytes: what it must expand to; it is left as soon as it gives more.
        what: for messages.

    Raises:
        BundleError: it is damaged, ends early or late, or gives another number of bytes.
    """
    inflater, given = zlib.decompressobj(_RAW_WINDOW), 0
    for chunk in chain(chunks, (b"",)):  # the last call takes out what is left inside
        rest, more = chunk, True
        while more:
            if rest and inflater.eof:
                raise refuse(f"{what} has bytes after the end of its compressed stream")
            try:
                # One byte more than may come: enough to see that there is too much.
                data = inflater.decompress(rest, min(CHUNK_BYTES, size_bytes - given + 1))
            except zlib.error as error:
                raise refuse(f"{what} cannot be expanded: {error}") from None
            given += len(data)
            if given > size_bytes:
                raise refuse(f"{what} expands to more than its {size_bytes} bytes")
            if data:
                yield data
            rest = inflater.unconsumed_tail or inflater.unused_data
            more = bool(rest) or (bool(data) and not inflater.eof)
    if not inflater.eof:
        raise refuse(f"{what} ends inside its compressed stream")
    if given != size_bytes:
        raise refuse(f"{what} expands to {given} bytes, not to {size_bytes}")


def unpacked(blob: Blob, chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Content of a blob from its stored bytes. Raises BundleError; hashes are for the caller to compare."""
    if blob.stored is None:
        return iter(chunks)
    return arrange_back(blob.stored.encoding, expand(chunks, blob.size_bytes, blob_name(blob.sha256)))


def packed(blob: Blob, chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Stored bytes of a blob from its content."""
    if blob.stored is None:
        return iter(chunks)
    return compress(blob.stored.encoding, arrange(blob.stored.encoding, chunks))


def to_planes(block: bytes) -> bytes:
    """First all first bytes of the words, then all second ones ...; what is no whole word stays at the end."""
    whole = len(block) - len(block) % WORD_BYTES
    return b"".join(block[place:whole:WORD_BYTES] for place in range(WORD_BYTES)) + block[whole:]


def from_planes(block: bytes) -> bytes:
    """The inverse of `to_planes`."""
    words = len(block) // WORD_BYTES
    back = bytearray(block)
    for place in range(WORD_BYTES):
        back[place : words * WORD_BYTES : WORD_BYTES] = block[place * words : (place + 1) * words]
    return bytes(back)


def _blocks(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """The same bytes, cut into blocks of BLOCK_BYTES; the last may be shorter."""
    held = bytearray()
    for chunk in chunks:
        held += chunk
        while len(held) >= BLOCK_BYTES:
            yield bytes(held[:BLOCK_BYTES])
            del held[:BLOCK_BYTES]
    if held:
        yield bytes(held)
