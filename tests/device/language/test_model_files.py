"""Models of a bundle as files: hashed each time, made again when they are not what they were, and not kept forever."""

import os

import pytest

from shoestring.base.errors import BundleError, StorageError
from shoestring.bundle import open_bundle, pack
from shoestring.device.language import model_files
from shoestring.device.language.model_files import hash_of, model_file
from text_bundles import RUNGS, make_writer_parts

PARTS = make_writer_parts()


@pytest.fixture
def bundle(tmp_path):
    pack(tmp_path / "a.shoe", PARTS.manifest, PARTS.blobs)
    with open_bundle(tmp_path / "a.shoe") as opened:
        yield opened


def sha256_of(bundle, name):
    return bundle.manifest.ladder.rung(name).candidate.artefact_sha256


def test_a_file_has_the_bytes_of_the_rung(bundle, tmp_path):
    for name in RUNGS:
        path = model_file(bundle, sha256_of(bundle, name), tmp_path / "models")
        assert path.read_bytes() == PARTS.models[name]
        assert path.stat().st_mode & 0o077 == 0


def test_a_compressed_blob_is_expanded(tmp_path):
    parts = make_writer_parts(models={name: (name.encode() * 4_000)[:30_000] for name in RUNGS})
    pack(tmp_path / "b.shoe", parts.manifest, parts.blobs)
    with open_bundle(tmp_path / "b.shoe") as opened:
        assert any(blob.stored is not None for blob in opened.manifest.blobs)
        path = model_file(opened, sha256_of(opened, RUNGS[0]), tmp_path / "models")
        assert path.read_bytes() == parts.models[RUNGS[0]]


def test_a_file_that_is_there_is_not_written_again(bundle, tmp_path):
    sha256 = sha256_of(bundle, RUNGS[0])
    first = model_file(bundle, sha256, tmp_path / "models").stat().st_ino
    assert model_file(bundle, sha256, tmp_path / "models").stat().st_ino == first


@pytest.mark.parametrize("spoil", ["changed", "cut", "link", "folder"])
def test_a_spoiled_file_is_not_trusted(bundle, tmp_path, spoil):
    sha256 = sha256_of(bundle, RUNGS[0])
    path = model_file(bundle, sha256, tmp_path / "models")
    data = bytearray(path.read_bytes())
    path.unlink()
    if spoil == "changed":
        data[-1] ^= 1
        path.write_bytes(data)
    elif spoil == "cut":
        path.write_bytes(data[:-1])
    elif spoil == "link":
        (tmp_path / "elsewhere").write_bytes(data)  # the same bytes, but somebody else's to change
        path.symlink_to(tmp_path / "elsewhere")
    else:
        path.mkdir()
        with pytest.raises(StorageError):
            model_file(bundle, sha256, tmp_path / "models")
        return
    assert hash_of(path) != sha256
    again = model_file(bundle, sha256, tmp_path / "models")
    assert again.read_bytes() == PARTS.models[RUNGS[0]]
    assert not again.is_symlink()


def test_without_hashing_a_spoiled_file_would_be_used(bundle, tmp_path, monkeypatch):
    """The saboteur: it believes a file's name."""
    sha256 = sha256_of(bundle, RUNGS[0])
    model_file(bundle, sha256, tmp_path / "models").write_bytes(b"another model")
    monkeypatch.setattr(model_files, "hash_of", lambda path: path.stem if path.exists() else None)
    assert model_file(bundle, sha256, tmp_path / "models").read_bytes() == b"another model"


def test_an_unknown_blob_is_refused(bundle, tmp_path):
    with pytest.raises(BundleError, match="no blob"):
        model_file(bundle, "0" * 64, tmp_path / "models")


def test_the_oldest_files_of_other_bundles_go(bundle, tmp_path, monkeypatch):
    room = tmp_path / "models"
    room.mkdir()
    for age, name in enumerate(("newer", "older")):
        (room / f"{name}.gguf").write_bytes(bytes(1_000))
        os.utime(room / f"{name}.gguf", (1_000 - age, 1_000 - age))
    ours = sum(len(data) for data in PARTS.models.values())
    monkeypatch.setattr(model_files, "MAX_KEPT_BYTES", ours + 1_500)
    for name in RUNGS:
        model_file(bundle, sha256_of(bundle, name), room)
    left = {path.name for path in room.iterdir()}
    assert "newer.gguf" in left
    assert "older.gguf" not in left
    assert len(left) == 1 + len(RUNGS)


def test_a_bundle_changed_after_it_was_opened_leaves_no_file(bundle, tmp_path):
    path = tmp_path / "a.shoe"
    data = bytearray(path.read_bytes())
    place = data.find(PARTS.models[RUNGS[0]][:64])
    data[place + 10] ^= 1
    with path.open("r+b") as stream:
        stream.write(data)
    with pytest.raises(BundleError, match="changed"):
        model_file(bundle, sha256_of(bundle, RUNGS[0]), tmp_path / "models")
    assert list((tmp_path / "models").iterdir()) == []
