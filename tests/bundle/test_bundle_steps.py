"""One content as steps from another."""

from __future__ import annotations

import builtins
import lzma
import random
import struct
import tracemalloc

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from shoestring.base.errors import BundleError, MissingExtraError
from shoestring.base.limits import MIB
from shoestring.bundle.similar import most_similar, sketch
from shoestring.bundle.steps import MEMORY_BYTES, apply_steps, make_steps
from shoestring.bundle.stored import choose

RNG = random.Random(0)
BASE = RNG.randbytes(60_000)


@st.composite
def edited(draw: st.DrawFn) -> tuple[bytes, bytes]:
    """A content, and the same after bytes were changed, cut out, doubled and moved."""
    old = draw(st.binary(max_size=400)) * draw(st.integers(1, 8))
    new = bytearray(old)
    for _ in range(draw(st.integers(0, 5))):
        at, length = draw(st.integers(0, len(new))), draw(st.integers(0, 200))
        kind = draw(st.integers(0, 3))
        if kind == 0:
            new[at : at + length] = draw(st.binary(max_size=60))
        elif kind == 1:
            new[at:at] = old[:length]
        elif kind == 2:
            del new[at : at + length]
        else:
            new[at : at + length] = bytes((byte + 1) % 256 for byte in new[at : at + length])
    return old, bytes(new)


@settings(deadline=None, max_examples=150)
@given(pair=edited())
@example(pair=(b"", b""))
@example(pair=(b"", b"new"))
@example(pair=(b"old", b""))
@example(pair=(b"abc" * 100, b"abc" * 100))
def test_the_new_content_comes_back(pair: tuple[bytes, bytes]) -> None:
    old, new = pair
    assert apply_steps(old, make_steps(old, new), len(new)) == new


def test_steps_are_small_where_contents_are_alike() -> None:
    new = bytearray(BASE[30_000:] + b"inserted" + BASE[:30_000])
    for place in range(0, len(new), 600):
        new[place] = (new[place] + 1) % 256
    data = make_steps(BASE, bytes(new))
    assert apply_steps(BASE, data, len(new)) == new
    assert len(data) < len(new) / 30
    assert len(make_steps(b"", bytes(new))) > len(new)


@pytest.mark.parametrize("kind", ["float32", "int8"])
@pytest.mark.parametrize(("ahead", "behind"), [(0, 0), (40, 0), (0, 33), (-40, 0), (0, -32)])
def test_weights_that_all_moved_a_little_are_sent_as_differences(kind: str, ahead: int, behind: int) -> None:
    """No run of bytes is equal, so that a search alone finds nothing."""
    rng = np.random.default_rng(0)
    weights = rng.normal(0, 0.05, 20_000)
    moved = weights + rng.normal(0, 0.0005 if kind == "float32" else 0.005, len(weights))
    step = 1 if kind == "float32" else 0.2 / 127
    old, new = (np.asarray(np.clip(w / step, -127, 127), kind).tobytes() for w in (weights, moved))
    new = (
        RNG.randbytes(max(ahead, 0)) + new[max(-ahead, 0) : len(new) - max(-behind, 0)] + RNG.randbytes(max(behind, 0))
    )
    data = make_steps(old, new)
    assert apply_steps(old, data, len(new)) == new
    assert len(data) < (0.72 if kind == "float32" else 0.6) * len(new)
    form = choose(len(new), lambda: [new])
    assert form is not None and len(data) < 0.85 * form.size_bytes


def test_a_content_longer_than_a_chunk(monkeypatch: pytest.MonkeyPatch) -> None:
    from shoestring.bundle import steps

    monkeypatch.setattr(steps, "CHUNK_BYTES", 100)
    new = BASE[5_000:] + BASE[:7_000]
    data = make_steps(BASE, new)
    assert apply_steps(BASE, data, len(new)) == new


def step(seek: int, added: bytes, extra: bytes) -> bytes:
    return struct.pack("<qII", seek, len(added), len(extra)) + added + extra


def xz(data: bytes, **options) -> bytes:
    return lzma.compress(data, lzma.FORMAT_XZ, **options)


_HUGE_DICTIONARY = [{"id": lzma.FILTER_LZMA2, "preset": 6, "dict_size": 256 * MIB}]

HOSTILE: dict[str, tuple[bytes, str]] = {
    "nothing": (b"", "ends inside a step"),
    "no stream": (b"hello" * 20, "cannot be expanded"),
    "cut stream": (xz(step(0, bytes(100), b""))[:-20], "ends inside|lacks its end"),
    "stream without its index": (xz(step(0, bytes(100), b""))[:-28], "ends inside|lacks its end"),
    "cut step": (xz(step(0, bytes(100), b"")[:-1]), "ends inside a step"),
    "half a step": (xz(step(0, bytes(50), b"")), "ends inside a step"),
    "step before the start": (xz(step(-1, bytes(100), b"")), "takes bytes -1"),
    "step beyond the end": (xz(step(901, bytes(100), b"")), "takes bytes 901 to 1001 of 1000"),
    "step far beyond": (xz(step(2**62, bytes(100), b"")), "takes bytes"),
    "second step far back": (xz(step(0, bytes(50), b"") + step(-(2**63), bytes(50), b"")), "takes bytes"),
    "too much added": (xz(step(0, bytes(101), b"")), "more than 100 bytes"),
    "too much inserted": (xz(step(0, b"", bytes(101))), "more than 100 bytes"),
    "4 GB claimed": (xz(struct.pack("<qII", 0, 2**32 - 1, 2**32 - 1)), "more than 100 bytes"),
    "empty steps": (xz(step(0, b"", b"") * 10**6), "gives nothing"),
    "bytes after the last step": (xz(step(0, bytes(100), b"") + b"x"), "goes on"),
    "a bomb after the last step": (xz(step(0, bytes(100), b"") + bytes(64 * MIB)), "goes on"),
    "bytes after the stream": (xz(step(0, bytes(100), b"")) + b"x", "after its last step"),
    "a second stream": (xz(step(0, bytes(100), b"")) + xz(b""), "after its last step"),
    "a huge dictionary": (xz(step(0, bytes(100), b""), filters=_HUGE_DICTIONARY), "cannot be expanded"),
    "the older lzma form": (lzma.compress(step(0, bytes(100), b""), lzma.FORMAT_ALONE), "cannot be expanded"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_steps_are_refused_with_little_memory(name: str) -> None:
    data, words = HOSTILE[name]
    tracemalloc.start()
    try:
        with pytest.raises(BundleError, match=words) as caught:
            apply_steps(bytes(1000), data, 100)
        assert tracemalloc.get_traced_memory()[1] < MEMORY_BYTES + 4 * MIB
    finally:
        tracemalloc.stop()
    assert "not a sound delta" in caught.value.message and caught.value.hint


def test_damaged_steps_raise_nothing_else() -> None:
    new = bytes(reversed(BASE[:2000])) + BASE[3000:9000]
    data = make_steps(BASE, new)
    for turn in range(300):
        broken, rng = bytearray(data), random.Random(turn)
        for _ in range(rng.randint(1, 3)):
            broken[rng.randrange(len(broken))] = rng.randrange(256)
        try:
            made = apply_steps(BASE, bytes(broken), len(new))
        except BundleError:
            continue
        assert len(made) == len(new)  # the content's hash is for the caller to compare


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def without(name: str, *rest, **options):
        if name == "bsdiff4":
            raise ImportError(name)
        return real(name, *rest, **options)

    data = make_steps(b"old" * 50, b"new" * 50)
    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(MissingExtraError, match="bsdiff4"):
        make_steps(b"old" * 50, b"new" * 50)
    assert apply_steps(b"old" * 50, data, 150) == b"new" * 50  # a device needs no package


def test_the_most_similar_content_is_found() -> None:
    others = {"first half": BASE[:30_000], "noise": RNG.randbytes(60_000), "moved": b"x" + BASE[5_000:], "short": b"ab"}
    sketches = {name: sketch(data) for name, data in others.items()}
    assert most_similar(BASE, sketches) == "moved"
    assert most_similar(BASE[:10_000], sketches) == "first half"
    assert most_similar(RNG.randbytes(50_000), sketches) is None
    assert most_similar(b"", sketches) is None
    assert most_similar(BASE, {}) is None


def test_a_sketch_does_not_depend_on_where_a_stretch_lies(monkeypatch: pytest.MonkeyPatch) -> None:
    from shoestring.bundle import similar

    whole = sketch(BASE)
    assert 100 < len(whole) < 500  # one window in 256
    assert set(sketch(BASE[777:])) <= set(whole)
    monkeypatch.setattr(similar, "_PIECE", 1000)
    assert list(sketch(BASE)) == list(whole)
