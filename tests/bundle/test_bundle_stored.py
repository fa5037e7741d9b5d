"""The forms that a blob is stored in."""

from __future__ import annotations

import random
import struct
import tracemalloc
import zlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shoestring.base import canonical
from shoestring.base.errors import BundleError
from shoestring.base.limits import MAX_EXPANSION, MIB
from shoestring.bundle import stored as module
from shoestring.bundle.stored import (
    BLOCK_BYTES,
    DEFLATE,
    ENCODINGS,
    MIN_GAIN,
    PLANES,
    arrange,
    arrange_back,
    choose,
    compress,
    expand,
    from_planes,
    packed,
    pays,
    to_planes,
    unpacked,
)
from shoestring.domain.manifest import Blob, Stored

RNG = random.Random(0)
FLOATS = b"".join(struct.pack("<f", RNG.gauss(0, 0.1)) for _ in range(100_000))
TEXT = b",".join(b'{"image":%d,"answer":%d}' % (i, RNG.randrange(10)) for i in range(4_000))
NOISE = RNG.randbytes(50_000)

CUTS = st.lists(st.integers(1, 5000), max_size=20)


def cut(data: bytes, lengths: list[int]) -> list[bytes]:
    pieces = []
    for length in lengths:
        pieces.append(data[:length])
        data = data[length:]
    return [*pieces, data]


@settings(deadline=None, max_examples=60)
@given(data=st.binary(max_size=10_000), lengths=CUTS, other=CUTS, encoding=st.sampled_from(ENCODINGS))
def test_every_content_comes_back_however_it_is_cut(
    data: bytes, lengths: list[int], other: list[int], encoding: str
) -> None:
    stream = b"".join(compress(encoding, arrange(encoding, cut(data, lengths))))
    assert stream == b"".join(compress(encoding, arrange(encoding, [data])))
    back = expand(cut(stream, other), len(data), "it")
    assert b"".join(arrange_back(encoding, back)) == data


@settings(deadline=None, max_examples=60)
@given(data=st.binary(max_size=600))
def test_planes_keep_every_byte(data: bytes) -> None:
    assert from_planes(to_planes(data)) == data
    assert sorted(to_planes(data)) == sorted(data)


def test_planes_put_equal_places_together() -> None:
    assert to_planes(b"abcdABCD1234xy") == b"aA1bB2cC3dD4xy"


@pytest.mark.parametrize("length", [BLOCK_BYTES - 1, BLOCK_BYTES, BLOCK_BYTES + 1, 3 * BLOCK_BYTES + 7])
def test_planes_are_made_block_by_block(length: int) -> None:
    data = (NOISE * 20)[:length]
    made = b"".join(arrange(PLANES, [data]))
    assert made[:BLOCK_BYTES] == to_planes(data[:BLOCK_BYTES])
    assert b"".join(arrange_back(PLANES, cut(made, [1000] * 30))) == data


def test_the_form_is_the_smallest_that_pays() -> None:
    weights, words = choose(len(FLOATS), lambda: [FLOATS]), choose(len(TEXT), lambda: [TEXT])
    assert weights is not None and weights.encoding == PLANES
    assert words is not None and words.encoding == DEFLATE
    assert weights.size_bytes < 0.9 * len(FLOATS)
    assert choose(len(NOISE), lambda: [NOISE]) is None
    assert choose(0, list) is None
    blob = Blob(canonical.sha256_hex(FLOATS), len(FLOATS), weights)
    stream = b"".join(packed(blob, [FLOATS]))
    assert (len(stream), canonical.sha256_hex(stream)) == (weights.size_bytes, weights.sha256)
    assert b"".join(unpacked(blob, [stream])) == FLOATS


def test_a_gain_just_below_the_limit_is_not_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    form = choose(len(TEXT), lambda: [TEXT])
    assert form is not None
    gain = 1 - form.size_bytes / len(TEXT)
    monkeypatch.setattr(module, "MIN_GAIN", gain + 1e-6)
    assert choose(len(TEXT), lambda: [TEXT]) is None
    assert gain > MIN_GAIN


def test_what_expands_too_far_is_stored_otherwise() -> None:
    """Huffman codes alone shrink nothing to less than an eighth."""
    form = choose(MIB, lambda: [bytes(MIB)])
    assert form is not None and form.encoding == PLANES
    assert not pays(MIB, len(zlib.compress(bytes(MIB), 9, -15)))
    assert pays(100 * MAX_EXPANSION, 100)
    assert not pays(100 * MAX_EXPANSION + 1, 100)
    assert not pays(100, 96)
    assert pays(100, 95)


@pytest.mark.parametrize(
    ("stream", "size", "words"),
    [
        (zlib.compress(TEXT, 9, -15) + b"x", len(TEXT), "after the end"),
        (zlib.compress(TEXT, 9, -15)[:-1], len(TEXT), "ends inside"),
        (zlib.compress(TEXT, 9, -15), len(TEXT) - 1, "more than its"),
        (zlib.compress(TEXT, 9, -15), len(TEXT) + 1, f"expands to {len(TEXT)} bytes"),
        (b"\xff\xff", 5, "cannot be expanded"),
        (b"", 0, "ends inside"),
        (zlib.compress(bytes(50 * MIB), 9, -15), 10, "more than its 10"),
        (zlib.compress(bytes(50 * MIB), 9, -15), 0, "more than its 0"),
    ],
)
@pytest.mark.parametrize("step", [1, 100, 10**9])
def test_a_stream_that_is_not_exactly_the_content_is_refused(stream: bytes, size: int, words: str, step: int) -> None:
    chunks = [stream[i : i + step] for i in range(0, len(stream), step)]
    tracemalloc.start()
    try:
        with pytest.raises(BundleError, match=words):
            for _ in expand(chunks, size, "it"):
                pass
        assert tracemalloc.get_traced_memory()[1] < 2 * MIB
    finally:
        tracemalloc.stop()


def test_a_large_content_comes_in_chunks() -> None:
    stream = zlib.compress(bytes(20 * MIB), 9, -15)
    assert max(map(len, expand([stream], 20 * MIB, "it"))) <= MIB
    assert sum(map(len, expand([stream[i : i + 1] for i in range(len(stream))], 20 * MIB, "it"))) == 20 * MIB


def test_the_streams_are_those_of_plain_zlib() -> None:
    """Anything that reads raw deflate reads them."""
    for encoding in ENCODINGS:
        stream = b"".join(compress(encoding, arrange(encoding, [FLOATS])))
        assert b"".join(arrange_back(encoding, [zlib.decompress(stream, -15)])) == FLOATS
    assert Stored(DEFLATE, 1, "0" * 64) != Stored(PLANES, 1, "0" * 64)
