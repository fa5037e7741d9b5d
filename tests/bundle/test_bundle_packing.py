"""What `pack` writes, and what it leaves behind when it cannot."""

from __future__ import annotations

import errno
import hashlib
import os
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest

from factory import make_bundle_parts
from faults import Full
from shoestring.base import canonical, disk
from shoestring.base.disk import kernel
from shoestring.base.errors import BundleError, StorageError
from shoestring.bundle import open_bundle, pack, recheck_counts
from shoestring.bundle import packing as packing_module
from shoestring.bundle.packing import with_forms
from shoestring.domain.manifest import Blob

PARTS = make_bundle_parts()
MANIFEST, _ = with_forms(PARTS.manifest, PARTS.blobs)


def test_what_was_packed_is_what_is_opened(tmp_path: Path) -> None:
    path = tmp_path / "a.shoe"
    sha256 = pack(path, PARTS.manifest, PARTS.blobs)
    assert sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    with open_bundle(path) as bundle:
        assert (bundle.path, bundle.sha256, bundle.manifest) == (path, sha256, MANIFEST)
        assert {name: bundle.read(name) for name in PARTS.blobs} == PARTS.blobs
        assert bundle.evidence() == PARTS.evidence
        recheck_counts(bundle)


def test_bytes_depend_on_the_content_alone(tmp_path: Path) -> None:
    files = {}
    for name, data in PARTS.blobs.items():
        files[name] = tmp_path / f"{name}.bin"
        files[name].write_bytes(data)
    backwards = dict(reversed(PARTS.blobs.items()))
    kinds = [PARTS.blobs, PARTS.blobs, backwards, files]
    for number, blobs in enumerate(kinds):
        pack(tmp_path / f"{number}.shoe", PARTS.manifest, blobs)
        os.utime(tmp_path / f"{number}.shoe", (0, 0))
    assert len({(tmp_path / f"{number}.shoe").read_bytes() for number in range(len(kinds))}) == 1


def test_it_is_the_archive_that_zipfile_writes(tmp_path: Path) -> None:
    pack(tmp_path / "ours.shoe", PARTS.manifest, PARTS.blobs)
    entries = [("manifest.json", canonical.encode(MANIFEST), None)]
    entries += [(f"blobs/{blob.sha256}", PARTS.blobs[blob.sha256], blob.stored) for blob in MANIFEST.blobs]
    assert {None if stored is None else stored.encoding for _, _, stored in entries} == {None, "deflate"}
    with zipfile.ZipFile(tmp_path / "theirs.zip", "w", zipfile.ZIP_STORED) as archive:
        for name, data, stored in entries:
            info = zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0))
            info.create_system, info.external_attr = 3, 0o100644 << 16
            info.compress_type = zipfile.ZIP_STORED if stored is None else zipfile.ZIP_DEFLATED
            archive.writestr(info, data, compresslevel=9)
    assert (tmp_path / "ours.shoe").read_bytes() == (tmp_path / "theirs.zip").read_bytes()


def test_blobs_in_files_are_streamed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packing_module, "CHUNK_BYTES", 1000)  # so that the blobs span chunks
    for name, data in PARTS.blobs.items():
        (tmp_path / name).write_bytes(data)
    taken: list[int] = []
    chunks = packing_module._chunks

    def spy(blob: bytes | Path):
        for chunk in chunks(blob):
            taken.append(len(chunk))
            yield chunk

    monkeypatch.setattr(packing_module, "_chunks", spy)
    pack(tmp_path / "a.shoe", PARTS.manifest, {name: tmp_path / name for name in PARTS.blobs})
    assert max(taken) <= 1000 < max(map(len, PARTS.blobs.values()))
    with open_bundle(tmp_path / "a.shoe") as bundle:
        assert bundle.read(PARTS.manifest.evidence) == PARTS.blobs[PARTS.manifest.evidence]


def _without(name: str) -> dict[str, bytes]:
    return {other: data for other, data in PARTS.blobs.items() if other != name}


FIRST = PARTS.manifest.blobs[0].sha256


@pytest.mark.parametrize(
    ("blobs", "words"),
    [
        (_without(FIRST), "not given"),
        ({**PARTS.blobs, "0" * 64: b""}, "not listed"),
        ({**PARTS.blobs, FIRST: PARTS.blobs[FIRST] + b"x"}, "bytes"),
        ({**PARTS.blobs, FIRST: bytes(len(PARTS.blobs[FIRST]))}, "hash"),
    ],
)
def test_blobs_that_are_not_the_manifests_are_refused(tmp_path: Path, blobs: dict[str, bytes], words: str) -> None:
    with pytest.raises(BundleError, match=words):
        pack(tmp_path / "a.shoe", PARTS.manifest, blobs)
    assert list(tmp_path.iterdir()) == []


def test_a_manifest_that_breaks_a_rule_is_refused_before_writing(tmp_path: Path) -> None:
    broken = replace(PARTS.manifest, labels=("cat\x1b[2J", "dog", "ship", "truck"))
    with pytest.raises(BundleError, match="control characters"):
        pack(tmp_path / "a.shoe", broken, PARTS.blobs)
    nan = replace(PARTS.manifest, golden=replace(PARTS.manifest.golden, tolerance={"int8": float("nan")}))
    with pytest.raises(BundleError):
        pack(tmp_path / "a.shoe", nan, PARTS.blobs)
    assert list(tmp_path.iterdir()) == []


def test_a_missing_blob_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match=r"cannot read .*nowhere"):
        pack(tmp_path / "a.shoe", PARTS.manifest, {**PARTS.blobs, FIRST: tmp_path / "nowhere"})
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", [FIRST, PARTS.manifest.golden.inputs], ids=["compressed", "as it is"])
def test_a_file_that_changes_while_it_is_packed_is_noticed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    file = tmp_path / "blob"
    file.write_bytes(PARTS.blobs[name])
    directory = tmp_path / "out"
    directory.mkdir()
    atomic_file = disk.atomic_file

    def change_then_open(path: Path):
        file.write_bytes(bytes(len(PARTS.blobs[name])))
        return atomic_file(path)

    monkeypatch.setattr(disk, "atomic_file", change_then_open)
    with pytest.raises(BundleError, match="stored form"):
        pack(directory / "a.shoe", PARTS.manifest, {**PARTS.blobs, name: file})
    assert list(directory.iterdir()) == []


@pytest.mark.parametrize("room", [0, 100, 12_000])
@pytest.mark.parametrize("before", [None, b"the bundle that was there"])
def test_a_full_disk_leaves_what_was_there(tmp_path: Path, room: int, before: bytes | None) -> None:
    path = tmp_path / "a.shoe"
    if before is not None:
        path.write_bytes(before)
    with kernel.using(Full(room)), pytest.raises(StorageError, match="No space left"):
        pack(path, PARTS.manifest, PARTS.blobs)
    assert [(item.name, item.read_bytes()) for item in tmp_path.iterdir()] == (
        [] if before is None else [("a.shoe", before)]
    )


@pytest.mark.parametrize("error", [OSError(errno.ENOSPC, "No space left on device"), KeyboardInterrupt()])
def test_a_failure_at_the_last_moment_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    def fail(_descriptor: int) -> None:
        raise error

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises((StorageError, KeyboardInterrupt)):
        pack(tmp_path / "a.shoe", PARTS.manifest, PARTS.blobs)
    assert list(tmp_path.iterdir()) == []


def test_more_than_the_format_holds_is_refused(tmp_path: Path) -> None:
    listed = tuple(sorted((*PARTS.manifest.blobs, Blob("f" * 64, 2**32 - 1)), key=lambda blob: blob.sha256))
    with pytest.raises(BundleError, match="outside 0 to 4294967294"):
        pack(tmp_path / "a.shoe", replace(PARTS.manifest, blobs=listed), PARTS.blobs)
