"""Compressed blobs that are not what they claim, in bundles where every other byte agrees with the manifest."""

from __future__ import annotations

import json
import random
import tracemalloc
import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from factory import make_bundle_parts, swap_blob
from proof_scale import SCALE
from shoestring.base import canonical
from shoestring.base.errors import BundleError
from shoestring.base.limits import MIB
from shoestring.bundle import open_bundle, pack, verifying
from shoestring.bundle.layout import MANIFEST_NAME, Entry, blob_name, directory, local_header
from shoestring.bundle.packing import with_forms
from shoestring.bundle.stored import DEFLATE, PLANES, arrange, packed

_RNG = random.Random(0)
WEIGHTS = b"".join(_RNG.randbytes(2) + bytes((_RNG.choice((0x3C, 0xBC)), 0x3D)) for _ in range(20_000))


def _parts():
    """A bundle with one blob of each form: evidence deflated, weights in planes, golden inputs as they are."""
    parts = make_bundle_parts()
    manifest, blobs = swap_blob(parts, parts.manifest.ladder.rung("fp32").candidate.artefact_sha256, WEIGHTS)
    return with_forms(manifest, blobs)[0], blobs


MANIFEST, BLOBS = _parts()
FORMS = {blob.sha256: blob for blob in MANIFEST.blobs}
TEXT_BLOB = MANIFEST.evidence
WEIGHTS_BLOB = canonical.sha256_hex(WEIGHTS)


@dataclass(frozen=True)
class Lie:
    """What one blob is replaced with; the manifest's stored size and hash are mended to fit.

    Args:
        data: stored bytes.
        encoding: that the manifest names; None: the blob's own.
        size_bytes: of the content, as manifest and record claim; None: the blob's own.
        crc32: of the record; None: the blob's own.
        mended: whether the manifest speaks of `data`; else of the true stored bytes.
        deflated: what the record says.
    """

    data: bytes
    encoding: str | None = None
    size_bytes: int | None = None
    crc32: int | None = None
    mended: bool = True
    deflated: bool = True


def build(name: str | None = None, lie: Lie | None = None) -> bytes:
    """The bundle with one blob replaced; sound without a lie."""
    plain = json.loads(canonical.encode(MANIFEST))
    entries, pieces = [], []
    for listed in plain["blobs"]:
        blob, content = FORMS[listed["sha256"]], BLOBS[listed["sha256"]]
        data = b"".join(packed(blob, [content]))
        in_order = content if blob.stored is None else b"".join(arrange(blob.stored.encoding, [content]))
        size, crc, deflated = len(content), zlib.crc32(in_order), blob.stored is not None
        if lie is not None and listed["sha256"] == name:
            if lie.mended:
                encoding = lie.encoding or (blob.stored.encoding if blob.stored else DEFLATE)
                listed["stored"] = {
                    "encoding": encoding,
                    "size_bytes": len(lie.data),
                    "sha256": canonical.sha256_hex(lie.data),
                }
            data, deflated = lie.data, lie.deflated
            if lie.size_bytes is not None:
                listed["size_bytes"] = size = lie.size_bytes
            crc = crc if lie.crc32 is None else lie.crc32
        entries.append(Entry(blob_name(listed["sha256"]), size, crc, len(data) if deflated else None))
        pieces.append(data)
    text = canonical.encode(plain)
    entries.insert(0, Entry(MANIFEST_NAME, len(text), zlib.crc32(text)))
    body = b"".join(local_header(entry) + data for entry, data in zip(entries, [text, *pieces], strict=True))
    return body + directory(entries)


def deflate(data: bytes, level: int = 9, window: int = -15, strategy: int = zlib.Z_DEFAULT_STRATEGY) -> bytes:
    packer = zlib.compressobj(level, zlib.DEFLATED, window, 8, strategy)
    return packer.compress(data) + packer.flush()


TEXT, STREAM = BLOBS[TEXT_BLOB], b"".join(packed(FORMS[TEXT_BLOB], [BLOBS[TEXT_BLOB]]))
PLANES_STREAM = b"".join(packed(FORMS[WEIGHTS_BLOB], [WEIGHTS]))
BOMB = deflate(bytes(4 * MIB))
HALF = len(TEXT) // 2

ATTACKS: dict[str, tuple[str, Lie]] = {
    "bomb": (TEXT_BLOB, Lie(deflate(bytes(2 * MIB)))),
    "bomb in planes": (WEIGHTS_BLOB, Lie(deflate(bytes(20 * MIB)))),
    "declared bomb": (TEXT_BLOB, Lie(BOMB, size_bytes=4 * MIB)),
    "one byte more": (TEXT_BLOB, Lie(deflate(TEXT + b"x"))),
    "one byte less": (TEXT_BLOB, Lie(deflate(TEXT[:-1]))),
    "trailing garbage": (TEXT_BLOB, Lie(STREAM + b"\0")),
    "much trailing garbage": (TEXT_BLOB, Lie(STREAM + b"evil" * 500)),
    "truncated": (TEXT_BLOB, Lie(STREAM[:-1])),
    "truncated in planes": (WEIGHTS_BLOB, Lie(PLANES_STREAM[:-3])),
    "two streams": (TEXT_BLOB, Lie(deflate(TEXT[:HALF]) + deflate(TEXT[HALF:]))),
    "an empty second stream": (TEXT_BLOB, Lie(STREAM + deflate(b""))),
    "header of zlib": (TEXT_BLOB, Lie(deflate(TEXT, window=15))),
    "header of gzip": (TEXT_BLOB, Lie(deflate(TEXT, window=31))),
    "no stream at all": (TEXT_BLOB, Lie(b"\xff" * 3000)),
    "empty": (TEXT_BLOB, Lie(b"")),
    "does not pay": (TEXT_BLOB, Lie(deflate(TEXT, level=0))),
    "other content": (TEXT_BLOB, Lie(deflate(TEXT.replace(b"1", b"2")), crc32=zlib.crc32(TEXT.replace(b"1", b"2")))),
    "other parameters, manifest as it was": (TEXT_BLOB, Lie(deflate(TEXT, level=1), mended=False)),
    "padding bit set": (TEXT_BLOB, Lie(STREAM[:-1] + bytes([STREAM[-1] ^ 0x80]), mended=False)),
    "planes called deflate": (WEIGHTS_BLOB, Lie(PLANES_STREAM, encoding=DEFLATE)),
    "deflate called planes": (TEXT_BLOB, Lie(STREAM, encoding=PLANES)),
    "unknown encoding": (TEXT_BLOB, Lie(STREAM, encoding="zstd")),
    "encoding is a path": (TEXT_BLOB, Lie(STREAM, encoding="../../lib")),
    "record says stored": (TEXT_BLOB, Lie(STREAM, deflated=False)),
    "as it is, manifest says deflated": (TEXT_BLOB, Lie(TEXT, mended=False, deflated=False)),
    "record of the content before it was in planes": (WEIGHTS_BLOB, Lie(PLANES_STREAM, crc32=zlib.crc32(WEIGHTS))),
    "deflated, manifest says as it is": (
        MANIFEST.golden.inputs,
        Lie(deflate(BLOBS[MANIFEST.golden.inputs]), mended=False),
    ),
}


def test_the_good_bundle_is_what_pack_writes(tmp_path: Path) -> None:
    pack(tmp_path / "a.shoe", MANIFEST, BLOBS)
    assert (tmp_path / "a.shoe").read_bytes() == build()
    forms = {None if blob.stored is None else blob.stored.encoding for blob in MANIFEST.blobs}
    assert forms == {None, DEFLATE, PLANES}
    with open_bundle(tmp_path / "a.shoe") as bundle:
        assert {name: bundle.read(name) for name in BLOBS} == BLOBS


@pytest.mark.parametrize("name", ATTACKS)
def test_each_attack_is_refused_with_little_memory(tmp_path: Path, name: str) -> None:
    path = tmp_path / "a.shoe"
    path.write_bytes(build(*ATTACKS[name]))
    tracemalloc.start()
    try:
        with pytest.raises(BundleError) as caught:
            open_bundle(path)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 4 * MIB
    assert caught.value.message.isprintable() and len(caught.value.message) < 500
    assert caught.value.hint


def test_a_stream_by_other_parameters_is_another_bundle(tmp_path: Path) -> None:
    """No reader can tell which zlib made a stream. Such a file opens, under another manifest and so another hash."""
    (tmp_path / "a.shoe").write_bytes(build())
    (tmp_path / "b.shoe").write_bytes(build(TEXT_BLOB, Lie(deflate(TEXT, level=1))))
    with open_bundle(tmp_path / "a.shoe") as one, open_bundle(tmp_path / "b.shoe") as other:
        assert one.read(TEXT_BLOB) == other.read(TEXT_BLOB)
        assert one.manifest != other.manifest
        assert one.sha256 != other.sha256


@pytest.mark.parametrize("name", [TEXT_BLOB, WEIGHTS_BLOB], ids=["deflate", "planes"])
def test_damaged_streams_with_mended_hashes_are_refused_or_give_the_content(tmp_path: Path, name: str) -> None:
    """Whatever passes the decompressor and the content's hash is the content."""
    path, rng, refused = tmp_path / "a.shoe", random.Random(4), 0
    stream = STREAM if name == TEXT_BLOB else PLANES_STREAM
    for _ in range(150 * SCALE):
        data = bytearray(stream)
        for _ in range(rng.randint(1, 3)):
            at = rng.randrange(len(data) if rng.random() < 0.5 else min(len(data), 100))
            length = rng.choice((1, 2, 10))
            kind = rng.randrange(3)
            if kind == 0:
                data[at : at + length] = rng.randbytes(length)
            elif kind == 1:
                del data[at : at + length]
            else:
                data += rng.randbytes(length)
        path.write_bytes(build(name, Lie(bytes(data))))
        try:
            with open_bundle(path) as bundle:
                assert bundle.read(name) == BLOBS[name]
        except BundleError as error:
            refused += 1
            assert error.message.isprintable()
    print(f"{refused} of {150 * SCALE} damaged streams were refused, the others gave the content")
    assert refused > 140 * SCALE


def _lax(chunks: Iterable[bytes], size_bytes: int, what: str) -> Iterator[bytes]:
    """A saboteur: one call, whatever comes out, whatever is left."""
    try:
        yield zlib.decompressobj(-15).decompress(b"".join(chunks))
    except zlib.error as error:
        raise BundleError(str(error)) from None


def _through(path: Path) -> set[str]:
    passed = set()
    for name, attack in ATTACKS.items():
        path.write_bytes(build(*attack))
        try:
            open_bundle(path).close()
        except BundleError:
            continue
        passed.add(name)
    return passed


def test_the_attacks_catch_a_lax_decompressor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verifying, "expand", _lax)
    passed = _through(tmp_path / "a.shoe")
    assert {"trailing garbage", "much trailing garbage", "an empty second stream"} <= passed
    path = tmp_path / "bomb.shoe"
    path.write_bytes(build(*ATTACKS["bomb in planes"]))
    tracemalloc.start()
    try:
        with pytest.raises(BundleError):
            open_bundle(path)
        assert tracemalloc.get_traced_memory()[1] > 20 * MIB  # what the memory bound above is there to catch
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    ("rule", "caught"),
    [("pays", {"does not pay"}), ("ENCODINGS", {"unknown encoding", "encoding is a path"})],
)
def test_the_attacks_catch_a_missing_rule(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rule: str, caught: set[str]
) -> None:
    from shoestring.bundle import rules

    lenient: Callable[[int, int], bool] | list[str] = (
        (lambda size, stored: True) if rule == "pays" else [DEFLATE, PLANES, "zstd", "../../lib"]
    )
    monkeypatch.setattr(rules, rule, lenient)
    assert caught <= _through(tmp_path / "a.shoe")


class _Anything(str):
    """Equal to every other text."""

    def __ne__(self, other: object) -> bool:
        return False


def test_the_attacks_catch_a_reader_without_stored_hashes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Deflate ignores the last bits of its last byte: without the stored hash, one manifest has several files."""
    monkeypatch.setattr(verifying, "stored_sha256", lambda blob: _Anything())
    assert _through(tmp_path / "a.shoe") == {"padding bit set"}
