"""A file appears whole or not at all."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

import pytest

from shoestring.base import disk
from shoestring.base.errors import StorageError


def no_space(*_: object) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_writes_and_replaces(tmp_path: Path) -> None:
    target = tmp_path / "a.bin"
    disk.write_bytes(target, b"one")
    disk.write_text(target, "zwei")
    assert target.read_bytes() == b"zwei"
    assert list(tmp_path.iterdir()) == [target]


def test_mode_follows_the_umask(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        disk.write_bytes(tmp_path / "a", b"")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "a").stat().st_mode) == 0o640


@pytest.mark.parametrize("call", ["fsync", "rename"])
def test_a_failing_disk_leaves_the_old_file_and_no_other(tmp_path: Path, monkeypatch, call: str) -> None:
    target = tmp_path / "a.bin"
    disk.write_bytes(target, b"old")
    monkeypatch.setattr(os, call, no_space)
    with pytest.raises(StorageError, match=r"a\.bin.*No space left"):
        disk.write_bytes(target, b"new")
    assert target.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [target]


@pytest.mark.parametrize("error", [KeyboardInterrupt, ValueError])
def test_an_interrupted_writer_leaves_nothing(tmp_path: Path, error: type[BaseException]) -> None:
    with pytest.raises(error), disk.atomic_file(tmp_path / "a") as stream:
        stream.write(b"half")
        raise error
    assert list(tmp_path.iterdir()) == []


def test_the_order_is_write_sync_rename_sync(tmp_path: Path, monkeypatch) -> None:
    calls: list[str] = []
    fsync, rename = os.fsync, os.rename

    def seen_fsync(descriptor: int) -> None:
        calls.append("sync directory" if stat.S_ISDIR(os.fstat(descriptor).st_mode) else "sync file")
        fsync(descriptor)

    def seen_rename(source: Path, target: Path) -> None:
        calls.append("rename")
        rename(source, target)

    monkeypatch.setattr(os, "fsync", seen_fsync)
    monkeypatch.setattr(os, "rename", seen_rename)
    disk.write_bytes(tmp_path / "a", b"x")
    assert calls == ["sync file", "rename", "sync directory"]


def test_a_missing_directory_is_named(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="nowhere"):
        disk.write_bytes(tmp_path / "nowhere" / "a", b"")
