"""Lines added to a file are on the disk when the call returns, and errors are ours."""

from __future__ import annotations

import os

import pytest

from shoestring.base import disk
from shoestring.base.errors import StorageError


def test_lines_are_added_and_synced(tmp_path, monkeypatch):
    synced = []
    real = os.fsync
    monkeypatch.setattr(os, "fsync", lambda descriptor: (synced.append(os.fstat(descriptor).st_ino), real(descriptor)))
    path = tmp_path / "lines"
    disk.append_bytes(path, b"one\n")
    disk.append_bytes(path, b"two\n")
    assert path.read_bytes() == b"one\ntwo\n"
    file, folder = path.stat().st_ino, tmp_path.stat().st_ino
    assert synced == [folder, file, file], "the directory when the file is new, the file each time"


def test_a_write_that_takes_only_a_part_is_gone_on_with(tmp_path, monkeypatch):
    real = os.pwrite
    monkeypatch.setattr(os, "pwrite", lambda descriptor, data, place: real(descriptor, bytes(data[:3]), place))
    disk.append_bytes(tmp_path / "lines", b"a long line\n")
    assert (tmp_path / "lines").read_bytes() == b"a long line\n"


def test_a_file_put_aside_takes_the_place_of_the_last_one(tmp_path):
    path, aside = tmp_path / "lines", tmp_path / "lines.1"
    for text in (b"first", b"second"):
        disk.append_bytes(path, text)
        disk.put_aside(path, aside)
        assert aside.read_bytes() == text and not path.exists()


def test_errors_name_the_file(tmp_path):
    with pytest.raises(StorageError, match="nowhere"):
        disk.append_bytes(tmp_path / "nowhere" / "lines", b"x")
    with pytest.raises(StorageError, match=r"lines\.1"):
        disk.put_aside(tmp_path / "lines", tmp_path / "lines.1")
