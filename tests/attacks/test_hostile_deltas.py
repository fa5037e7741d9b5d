"""Deltas that are not what they claim. Whatever one holds: the promised bundle appears, or nothing does."""

from __future__ import annotations

import dataclasses
import json
import lzma
import random
import struct
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from factory import make_bundle_parts, swap_blob
from proof_scale import SCALE
from shoestring.base import canonical
from shoestring.base.errors import BundleError
from shoestring.base.limits import MAX_MANIFEST_BYTES, MAX_PATCHED_BYTES, MIB
from shoestring.bundle import open_bundle, pack, patching
from shoestring.bundle.delta import make_delta
from shoestring.bundle.delta_file import MAGIC, DeltaReader
from shoestring.bundle.packing import with_forms
from shoestring.bundle.patching import apply_delta
from shoestring.bundle.steps import make_steps
from shoestring.domain.delta import Delta, Part

RNG = random.Random(0)
MODEL = RNG.randbytes(30_000)
OLD_PARTS = make_bundle_parts()
OLD = swap_blob(OLD_PARTS, OLD_PARTS.manifest.ladder.rung("fp32").candidate.artefact_sha256, MODEL)
NEW_PARTS = make_bundle_parts(1)
NEW_MODEL = MODEL[:9_000] + b"changed" + MODEL[9_000:]
NEW = swap_blob(NEW_PARTS, NEW_PARTS.manifest.ladder.rung("fp32").candidate.artefact_sha256, NEW_MODEL)
MODEL_NAME = canonical.sha256_hex(NEW_MODEL)
OLD_MODEL_NAME = canonical.sha256_hex(MODEL)

BOMB = lzma.compress(struct.pack("<qII", 0, 0, 48 * MIB) + bytes(48 * MIB), preset=0)

Piece = tuple[dict[str, Any], bytes]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """old.shoe, new.shoe and the sound delta between them."""
    path = tmp_path_factory.mktemp("deltas")
    pack(path / "old.shoe", *OLD)
    pack(path / "new.shoe", *NEW)
    make_delta(path / "old.shoe", path / "new.shoe", path / "good.delta")
    return path


def parse(data: bytes) -> tuple[dict[str, Any], list[Piece]]:
    """Header without its parts, and each part with its data."""
    (length,) = struct.unpack_from("<I", data, len(MAGIC))
    begin = len(MAGIC) + 4
    header, offset, pieces = json.loads(data[begin : begin + length]), begin + length, []
    for part in header.pop("parts"):
        pieces.append((part, data[offset : offset + part["size_bytes"]]))
        offset += part["size_bytes"]
    return header, pieces


def build(header: dict[str, Any], pieces: list[Piece]) -> bytes:
    text = canonical.encode({**header, "parts": [part for part, _ in pieces]})
    return MAGIC + struct.pack("<I", len(text)) + text + b"".join(data for _, data in pieces)


def mended(part: dict[str, Any], data: bytes, **changes: Any) -> Piece:
    """A part with other data, and its size and hash mended."""
    return {**part, "size_bytes": len(data), "data_sha256": canonical.sha256_hex(data), **changes}, data


def _change(change: Callable[[dict[str, Any], list[Piece]], object]) -> Callable[[bytes], bytes]:
    def attack(good: bytes) -> bytes:
        header, pieces = parse(good)
        change(header, pieces)
        return build(header, pieces)

    return attack


def _at(pieces: list[Piece], name: str) -> int:
    return next(i for i, (part, _) in enumerate(pieces) if part["sha256"] == name)


def _model(make: Callable[[dict[str, Any], bytes], Piece]) -> Callable[[bytes], bytes]:
    """The model's part replaced."""

    def change(header: dict[str, Any], pieces: list[Piece]) -> None:
        i = _at(pieces, MODEL_NAME)
        pieces[i] = make(*pieces[i])

    return _change(change)


def _manifest(make: Callable[[dict[str, Any]], object]) -> Callable[[bytes], bytes]:
    """The new manifest changed, sent from nothing with every hash mended."""

    def change(header: dict[str, Any], pieces: list[Piece]) -> None:
        plain = json.loads(canonical.encode(with_forms(*NEW)[0]))
        make(plain)
        text = canonical.encode(plain)
        part = {**pieces[0][0], "sha256": canonical.sha256_hex(text), "base": None, "content_bytes": len(text)}
        pieces[0] = mended(part, make_steps(b"", text))

    return _change(change)


def _raw_header(text: bytes) -> bytes:
    return MAGIC + struct.pack("<I", len(text)) + text


def _listed(plain: dict[str, Any], name: str) -> dict[str, Any]:
    return next(blob for blob in plain["blobs"] if blob["sha256"] == name)


ATTACKS: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda good: b"",
    "text": lambda good: b"hello\n" * 50,
    "a bundle": lambda good: b"PK\3\4" + bytes(100),
    "cut in the header": lambda good: good[:100],
    "last byte missing": lambda good: good[:-1],
    "one byte appended": lambda good: good + b"\0",
    "two deltas": lambda good: good + good,
    "4 GB header": lambda good: MAGIC + b"\xff\xff\xff\xff" + good[21:],
    "header too long": lambda good: _raw_header(b" " * (MAX_MANIFEST_BYTES + 1)),
    "header of brackets": lambda good: _raw_header(b"[" * 1_000_000),
    "header is a list": lambda good: _raw_header(b"[]"),
    "another schema": lambda good: _raw_header(b'{"a":1}'),
    "blanks": lambda good: good[:21] + good[21:].replace(b'"parts":[', b'"parts":[ ', 1),
    "unknown key": _change(lambda h, p: h.update(run="rm")),
    "missing key": _change(lambda h, p: h.pop("zlib")),
    "unknown format": _change(lambda h, p: h.update(format=2)),
    "no parts": _change(lambda h, p: p.clear()),
    "no manifest": _change(lambda h, p: p.pop(0)),
    "manifest not first": _change(lambda h, p: p.reverse()),
    "part twice": _change(lambda h, p: p.append(p[-1])),
    "part missing": _change(lambda h, p: p.pop()),
    "part without need": _change(lambda h, p: p.append(({**p[-1][0], "sha256": "0" * 64}, p[-1][1]))),
    "another old bundle": _change(lambda h, p: h.update(old_sha256="0" * 64)),
    "another new bundle": _change(lambda h, p: h.update(new_sha256="0" * 64)),
    "hash is a path": _change(lambda h, p: h.update(new_sha256="../../etc/passwd")),
    "negative size": _model(lambda part, data: ({**part, "size_bytes": -1}, data)),
    "huge size": _model(lambda part, data: ({**part, "size_bytes": 2**40}, data)),
    "huge content": _model(lambda part, data: ({**part, "content_bytes": 2**40}, data)),
    "content of another size": _model(lambda part, data: ({**part, "content_bytes": len(NEW_MODEL) + 1}, data)),
    "kind unknown": _model(lambda part, data: ({**part, "kind": "exec"}, data)),
    "stored with a base": _model(lambda part, data: ({**part, "kind": "stored"}, data)),
    "patch called stored": _model(lambda part, data: ({**part, "kind": "stored", "base": None}, data)),
    "base is nowhere": _model(lambda part, data: ({**part, "base": "0" * 64}, data)),
    "base is another blob": _model(lambda part, data: ({**part, "base": OLD[0].evidence}, data)),
    "base is the new blob": _model(lambda part, data: ({**part, "base": MODEL_NAME}, data)),
    "base left out": _model(lambda part, data: ({**part, "base": None}, data)),
    "wrong checksum of the record": _model(lambda part, data: ({**part, "crc32": 0}, data)),
    "checksum of 33 bits": _model(lambda part, data: ({**part, "crc32": 2**32}, data)),
    "data changed": _model(lambda part, data: (part, data[:-1] + bytes([data[-1] ^ 1]))),
    "data are no steps": _model(lambda part, data: mended(part, b"x" * 500)),
    "data cut, hash mended": _model(lambda part, data: mended(part, data[:-4])),
    "steps to another content": _model(lambda part, data: mended(part, make_steps(MODEL, NEW_MODEL[::-1]))),
    "steps to a shorter content": _model(lambda part, data: mended(part, make_steps(MODEL, NEW_MODEL[:-1]))),
    "steps to a longer content": _model(lambda part, data: mended(part, make_steps(MODEL, NEW_MODEL + b"x"))),
    "a bomb": _model(lambda part, data: mended(part, BOMB, base=None)),
    "other stored bytes": _model(lambda part, data: mended(part, NEW_MODEL[::-1], base=None, kind="stored")),
    "manifest of another format": _manifest(lambda m: m.update(format=1)),
    "manifest with an unknown key": _manifest(lambda m: m.update(extra=1)),
    "manifest that breaks a rule": _manifest(lambda m: m["ladder"].update(chosen="nothing")),
    "manifest with another label": _manifest(lambda m: m["labels"].__setitem__(0, "evil")),
    "manifest without a blob": _manifest(lambda m: m["blobs"].pop()),
    "manifest with a 3 GB blob": _manifest(lambda m: _listed(m, MODEL_NAME).update(size_bytes=3 * 2**30)),
    "manifest that stores it otherwise": _manifest(
        lambda m: _listed(m, MODEL_NAME).update(
            stored={"encoding": "deflate", "sha256": "0" * 64, "size_bytes": 20_000},
        )
    ),
    "manifest is not its hash": _change(lambda h, p: p.__setitem__(0, ({**p[0][0], "sha256": "0" * 64}, p[0][1]))),
    "manifest of 4 GB": _change(lambda h, p: p.__setitem__(0, ({**p[0][0], "content_bytes": 2**32}, p[0][1]))),
    "manifest is stored": _change(
        lambda h, p: p.__setitem__(0, ({**p[0][0], "kind": "stored", "base": None}, p[0][1]))
    ),
    "manifest from a blob": _change(lambda h, p: p.__setitem__(0, ({**p[0][0], "base": OLD_MODEL_NAME}, p[0][1]))),
}


def test_the_good_delta_is_applied(folder: Path, tmp_path: Path) -> None:
    good = (folder / "good.delta").read_bytes()
    assert build(*parse(good)) == good
    apply_delta(folder / "old.shoe", folder / "good.delta", tmp_path / "out.shoe")
    assert (tmp_path / "out.shoe").read_bytes() == (folder / "new.shoe").read_bytes()


@pytest.mark.parametrize("name", ATTACKS)
def test_each_attack_is_refused_and_writes_nothing(folder: Path, tmp_path: Path, name: str) -> None:
    good = (folder / "good.delta").read_bytes()
    (tmp_path / "bad.delta").write_bytes(ATTACKS[name](good))
    assert (tmp_path / "bad.delta").read_bytes() != good
    before = (folder / "old.shoe").read_bytes()
    tracemalloc.start()
    try:
        with pytest.raises(BundleError) as caught:
            apply_delta(folder / "old.shoe", tmp_path / "bad.delta", tmp_path / "out.shoe")
        assert tracemalloc.get_traced_memory()[1] < 32 * MIB
    finally:
        tracemalloc.stop()
    assert caught.value.message.isprintable() and len(caught.value.message) < 500
    assert caught.value.hint
    assert [path.name for path in tmp_path.iterdir()] == ["bad.delta"]
    assert (folder / "old.shoe").read_bytes() == before


def test_random_damage_never_gives_another_bundle(folder: Path, tmp_path: Path) -> None:
    good, new = (folder / "good.delta").read_bytes(), (folder / "new.shoe").read_bytes()
    rng, refused = random.Random(3), 0
    for _ in range(250 * SCALE):
        data = bytearray(good)
        for _ in range(rng.randint(1, 3)):
            at = rng.randrange(len(data) if rng.random() < 0.5 else min(len(data), 3000))
            if rng.random() < 0.2:
                del data[at : at + rng.randint(1, 50)]
            else:
                data[at] = rng.randrange(256)
        (tmp_path / "bad.delta").write_bytes(data)
        try:
            apply_delta(folder / "old.shoe", tmp_path / "bad.delta", tmp_path / "out.shoe")
        except BundleError as error:
            refused += 1
            assert error.message.isprintable()
            assert not (tmp_path / "out.shoe").exists()
        else:
            assert (tmp_path / "out.shoe").read_bytes() == new  # the words about its maker may differ
            (tmp_path / "out.shoe").unlink()
    print(f"{refused} of {250 * SCALE} damaged deltas were refused, the others gave the promised bundle")
    assert refused > 200 * SCALE


def test_a_patched_blob_has_a_limit(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert len(NEW_MODEL) < MAX_PATCHED_BYTES
    monkeypatch.setattr(patching, "MAX_PATCHED_BYTES", len(NEW_MODEL) - 1)
    with pytest.raises(BundleError, match=f"the limit is {len(NEW_MODEL) - 1}"):
        apply_delta(folder / "old.shoe", folder / "good.delta", tmp_path / "out.shoe")
    assert not (tmp_path / "out.shoe").exists()


def _through(folder: Path, tmp_path: Path) -> set[str]:
    """The attacks after which there is a bundle."""
    passed, good = set(), (folder / "good.delta").read_bytes()
    for name, attack in ATTACKS.items():
        (tmp_path / "bad.delta").write_bytes(attack(good))
        out = tmp_path / "out.shoe"
        try:
            apply_delta(folder / "old.shoe", tmp_path / "bad.delta", out)
        except BundleError:
            continue
        passed.add(name)
        out.unlink()
    return passed


def test_the_attacks_catch_a_patcher_that_does_not_verify(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A saboteur: it takes the promise for the result."""
    promised = DeltaReader((folder / "good.delta").open("rb")).delta.new_sha256

    def trusting(stream, size):
        return dataclasses.make_dataclass("Verified", ["sha256"])(promised)

    monkeypatch.setattr(patching, "verify", trusting)
    passed = _through(folder, tmp_path)
    assert {"wrong checksum of the record", "manifest with another label"} <= passed


def test_the_attacks_catch_a_patcher_that_expands_first(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A saboteur: expands first and asks later, so that the decompressor meets data that nobody named."""
    real, met = patching.apply_steps, []

    def read(self: DeltaReader, part: Part, limit_bytes: int) -> bytes:
        return b"".join(self.chunks(part))

    def apply(old: bytes, data: bytes, size_bytes: int) -> bytes:
        met.append(canonical.sha256_hex(data))
        return real(old, data, size_bytes)

    monkeypatch.setattr(patching, "apply_steps", apply)
    (tmp_path / "bad.delta").write_bytes(ATTACKS["data changed"]((folder / "good.delta").read_bytes()))
    for strict in (True, False):
        met.clear()
        if not strict:
            monkeypatch.setattr(DeltaReader, "read", read)
        with pytest.raises(BundleError):
            apply_delta(folder / "old.shoe", tmp_path / "bad.delta", tmp_path / "out.shoe")
        with (tmp_path / "bad.delta").open("rb") as stream:
            named = {part.data_sha256 for part in DeltaReader(stream).delta.parts}
        assert (set(met) <= named) == strict


def test_the_header_is_what_the_schema_says(folder: Path) -> None:
    with (folder / "good.delta").open("rb") as stream:
        delta = DeltaReader(stream).delta
    assert isinstance(delta, Delta)
    with open_bundle(folder / "old.shoe") as old, open_bundle(folder / "new.shoe") as new:
        assert (delta.old_sha256, delta.new_sha256) == (old.sha256, new.sha256)
