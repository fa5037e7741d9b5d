"""Opening and reading a bundle, beside the attacks in tests/attacks."""

from __future__ import annotations

import json
import os
import random
import tracemalloc
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from factory import make_bundle_parts, swap_blob
from shoestring.base import canonical
from shoestring.base.errors import BundleError, StorageError
from shoestring.base.limits import MAX_MANIFEST_BYTES, MIB
from shoestring.bundle import is_bundle, open_bundle, pack
from shoestring.bundle.layout import MANIFEST_NAME, Entry, local_header

PARTS = make_bundle_parts()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    pack(tmp_path / "a.shoe", PARTS.manifest, PARTS.blobs)
    return tmp_path / "a.shoe"


def test_unknown_blobs_and_closed_bundles_are_refused(path: Path) -> None:
    with open_bundle(path) as bundle, pytest.raises(BundleError, match="no blob 'x'"):
        bundle.read("x")
    bundle.close()
    with pytest.raises(BundleError, match="was closed"):
        bundle.read(PARTS.manifest.evidence)


def test_a_file_replaced_after_opening_changes_nothing(path: Path, tmp_path: Path) -> None:
    with open_bundle(path) as bundle:
        (tmp_path / "other").write_bytes(b"other")
        (tmp_path / "other").replace(path)
        assert bundle.read(PARTS.manifest.evidence) == PARTS.blobs[PARTS.manifest.evidence]


def test_a_file_written_to_after_opening_is_noticed(path: Path) -> None:
    with open_bundle(path) as bundle:
        data = bytearray(path.read_bytes())
        data[bundle._offsets[PARTS.manifest.evidence] + 5] ^= 1
        with path.open("r+b") as stream:
            stream.write(data)
        with pytest.raises(BundleError, match="changed after"):
            bundle.read(PARTS.manifest.evidence)


def test_a_missing_file_and_odd_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match=r"cannot read .*none\.shoe"):
        open_bundle(tmp_path / "none.shoe")
    os.mkfifo(tmp_path / "pipe.shoe")
    for name in ("pipe.shoe", "."):
        with pytest.raises(BundleError, match="not a regular file"):
            open_bundle(tmp_path / name)


def _open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def test_a_refused_file_is_closed_again(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])
    before = _open_files()
    for _ in range(5):
        with pytest.raises(BundleError):
            open_bundle(path)
    assert _open_files() == before


def test_bundles_are_told_from_other_files(path: Path, tmp_path: Path) -> None:
    (tmp_path / "model.onnx").write_bytes(PARTS.models["fp32"])
    assert is_bundle(path)
    assert not is_bundle(tmp_path / "model.onnx")
    assert not is_bundle(tmp_path / "none")
    assert not is_bundle(tmp_path)


def _hostile(text: bytes) -> bytes:
    return local_header(Entry(MANIFEST_NAME, len(text), zlib.crc32(text))) + text


HOSTILE_MANIFESTS: dict[str, Callable[[], bytes]] = {
    "lists": lambda: b"[" + b"[]," * 140_000 + b"[]]",
    "too many lists": lambda: b"[" + b"[]," * 1_300_000 + b"[]]",
    "objects": lambda: b"[" + b'{"ab":{}},' * 70_000 + b"{}]",
    "strings": lambda: b"[" + b'"abcdefg",' * 290_000 + b'""]',
    "one long string": lambda: b'{"name":"' + b"a" * (MAX_MANIFEST_BYTES - 20) + b'"}',
    "a long key": lambda: b'{"' + b"k" * (MAX_MANIFEST_BYTES - 20) + b'":1}',
    "many keys": lambda: b"{" + b",".join(b'"%d":0' % i for i in range(149_000)) + b"}",
    "one key many times": lambda: b"{" + b",".join([b'"a":0'] * 149_000) + b"}",
    "deep": lambda: b"[" * 290_000,
    "labels": lambda: b'{"labels":[' + b'"ab",' * 290_000 + b'"c"]}',
    "huge integer": lambda: b'{"format":' + b"9" * 4_000_000 + b"}",
    "long fraction": lambda: b'{"format":0.' + b"1" * 4_000_000 + b"}",
}


def _typed(change: Callable[[dict[str, Any]], object]) -> Callable[[], bytes]:
    """A manifest of the right types with far too much of something."""

    def make() -> bytes:
        plain = json.loads(canonical.encode(PARTS.manifest))
        change(plain)
        return canonical.encode(plain)

    return make


HOSTILE_MANIFESTS |= {
    "typed labels": _typed(lambda m: m.update(labels=[f"ab{i}" for i in range(290_000)])),
    "typed tolerances": _typed(lambda m: m["golden"].update(tolerance={str(i): 0.1 for i in range(148_000)})),
}


@pytest.mark.parametrize("case", HOSTILE_MANIFESTS)
def test_a_hostile_manifest_takes_little_memory(tmp_path: Path, case: str) -> None:
    path = tmp_path / "a.shoe"
    path.write_bytes(_hostile(HOSTILE_MANIFESTS[case]()))
    tracemalloc.start()
    try:
        with pytest.raises(BundleError) as caught:
            open_bundle(path)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak <= 64 * MIB
    assert len(caught.value.message) < 500


def test_a_claimed_size_is_checked_before_reading(tmp_path: Path) -> None:
    path = tmp_path / "a.shoe"
    path.write_bytes(local_header(Entry(MANIFEST_NAME, MAX_MANIFEST_BYTES + 1, 0)))
    with pytest.raises(BundleError, match=f"limit is {MAX_MANIFEST_BYTES}"):
        open_bundle(path)
    with path.open("wb") as stream:
        stream.truncate(5 * 1024 * MIB)  # sparse
    with pytest.raises(BundleError, match="5368709120 bytes, the limit is"):
        open_bundle(path)


def test_a_large_blob_is_streamed_in_and_out(tmp_path: Path) -> None:
    golden = PARTS.manifest.golden
    content = (bytes(range(256)) + random.Random(0).randbytes(256)) * (48 * 1024)  # half of it shrinks
    manifest, blobs = swap_blob(PARTS, golden.outputs["fp32"], content)
    (tmp_path / "large").write_bytes(content)
    large = manifest.golden.outputs["fp32"]
    files = {name: tmp_path / "large" if name == large else data for name, data in blobs.items()}
    tracemalloc.start()
    try:
        pack(tmp_path / "a.shoe", manifest, files)
        open_bundle(tmp_path / "a.shoe").close()
        assert tracemalloc.get_traced_memory()[1] < 6 * MIB
    finally:
        tracemalloc.stop()
