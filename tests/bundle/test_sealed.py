"""Encrypted bundles: what comes out is the bundle, verified, or nothing at all."""

from __future__ import annotations

import io
import os
from pathlib import Path

import pytest

import age_by_hand
from factory import make_bundle_parts
from shoestring.base import disk
from shoestring.base.errors import BundleError, StorageError
from shoestring.bundle import open_bundle, pack
from shoestring.bundle.sealed import decrypt_bundle, encrypt_bundle
from shoestring.trust import age

PARTS = make_bundle_parts()
OURS = age.Identity.make()


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    pack(tmp_path / "a.shoe", PARTS.manifest, PARTS.blobs)
    return tmp_path / "a.shoe"


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_bundle_comes_back_byte_for_byte(bundle: Path, tmp_path: Path) -> None:
    sent, back = tmp_path / "a.shoe.age", tmp_path / "b.shoe"
    sha256 = encrypt_bundle(bundle, [OURS.recipient], sent)
    assert decrypt_bundle(sent, OURS, back) == sha256
    assert back.read_bytes() == bundle.read_bytes()
    with open_bundle(back) as opened:
        assert opened.sha256 == sha256
    assert PARTS.manifest.name.encode() not in sent.read_bytes()
    assert names(tmp_path) == ["a.shoe", "a.shoe.age", "b.shoe"]


def test_only_a_sound_bundle_is_encrypted(bundle: Path, tmp_path: Path) -> None:
    data = bytearray(bundle.read_bytes())
    data[len(data) // 2] ^= 1
    bundle.write_bytes(data)
    with pytest.raises(BundleError):
        encrypt_bundle(bundle, [OURS.recipient], tmp_path / "a.shoe.age")
    assert names(tmp_path) == ["a.shoe"]


def test_a_well_encrypted_file_that_is_no_bundle_is_refused(bundle: Path, tmp_path: Path) -> None:
    """Anyone can encrypt to a device: what is inside is verified as any file of unknown origin."""
    data = bytearray(bundle.read_bytes())
    data[len(data) // 2] ^= 1
    for content in (b"", b"hello", bytes(data), bytes(data[:-1])):
        (tmp_path / "x.age").write_bytes(age_by_hand.seal(content, [OURS.recipient]))
        with pytest.raises(BundleError):
            decrypt_bundle(tmp_path / "x.age", OURS, tmp_path / "b.shoe")
        # Who stops at the decryption has it on the disk by now.
        target = io.BytesIO()
        age.decrypt(io.BytesIO((tmp_path / "x.age").read_bytes()), target, OURS, largest_bytes=10**9)
        assert target.getvalue() == content
    assert names(tmp_path) == ["a.shoe", "x.age"]


def test_on_any_failure_the_old_bundle_stays(bundle: Path, tmp_path: Path) -> None:
    sent = tmp_path / "a.shoe.age"
    encrypt_bundle(bundle, [OURS.recipient], sent)
    back = tmp_path / "b.shoe"
    back.write_bytes(b"what was there")
    whole = sent.read_bytes()
    for data in (whole[:-1], whole[: len(whole) // 2], whole[:-1] + b"x", b"", whole + b"x"):
        sent.write_bytes(data)
        with pytest.raises(BundleError):
            decrypt_bundle(sent, OURS, back)
        assert back.read_bytes() == b"what was there"
    sent.write_bytes(whole)
    with pytest.raises(BundleError, match=r"a\.shoe\.age: it was not encrypted to this device"):
        decrypt_bundle(sent, age.Identity.make(), back)
    assert back.read_bytes() == b"what was there"
    assert names(tmp_path) == ["a.shoe", "a.shoe.age", "b.shoe"]


def test_a_full_disk_is_named_as_one(bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sent = tmp_path / "a.shoe.age"
    encrypt_bundle(bundle, [OURS.recipient], sent)

    class Full(io.BytesIO):
        def write(self, data: object) -> int:
            raise OSError(28, "No space left on device")

    import contextlib

    @contextlib.contextmanager
    def full(path: Path):  # type: ignore[no-untyped-def]
        with disk.storage_errors(path):
            yield Full()

    monkeypatch.setattr("shoestring.bundle.sealed.disk.atomic_file", full)
    for act in (
        lambda: decrypt_bundle(sent, OURS, tmp_path / "b.shoe"),
        lambda: encrypt_bundle(bundle, [OURS.recipient], tmp_path / "c.age"),
    ):
        with pytest.raises(StorageError, match="No space left"):
            act()


def test_a_pipe_or_a_directory_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for name in ("pipe", "."):
        with pytest.raises(BundleError, match="not a regular file"):
            decrypt_bundle(tmp_path / name, OURS, tmp_path / "b.shoe")
