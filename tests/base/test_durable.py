"""Every way of base.disk to write, under power cuts, kills, signals, and on disks that refuse."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
import sys

import pytest

import faults
import killing
import power
from disk_scenes import LARGE, LINE, NEW, OLD, SCENES, Scene, careless
from proof_scale import SCALE
from shoestring.base import disk
from shoestring.base.disk import kernel
from shoestring.base.errors import StorageError

each = pytest.mark.parametrize("name", SCENES)


@each
def test_a_power_cut_leaves_old_or_new_and_what_is_done_stays(name: str) -> None:
    assert power.cut(SCENES[name].scenario(), seed=1) >= 3


@each
def test_each_fsync_is_needed(name: str) -> None:
    """The saboteur of power cuts: with any one fsync left out they find a state that is not as promised."""
    assert power.drop_each(SCENES[name].scenario(), seed=1) == []


@each
def test_a_disk_that_refuses_leaves_old_or_new(name: str) -> None:
    assert faults.at_every_point(SCENES[name].attempt()) > 20


@each
def test_ctrl_c_at_any_call_leaves_old_or_new(name: str) -> None:
    assert faults.interrupted_at_every_point(SCENES[name].attempt()) > 2


@each
def test_a_kill_at_any_system_call_leaves_old_or_new(name: str) -> None:
    kills = killing.at_every_call(SCENES[name].work())
    assert kills.killed == kills.calls > 3


@pytest.mark.parametrize("name", ["write over an old one", "append", "rename to another directory", "keep a noun"])
def test_a_kill_at_any_moment_leaves_old_or_new(name: str) -> None:
    killing.at_random(SCENES[name].work(), 2 * SCALE, seed=2)  # which checks what each left


def _in_place(root) -> None:
    with kernel.opened(root / "a", os.O_RDWR) as descriptor:
        kernel.current().truncate(descriptor, 0)
        kernel.current().write(descriptor, memoryview(NEW), 0)
        kernel.current().sync(descriptor)


def _litter(root) -> None:
    with disk.storage_errors(root):
        careless(root / ".a.part", NEW)
        kernel.current().rename(root / ".a.part", root / "a")


IN_PLACE = Scene({"a": OLD}, _in_place, {"a": NEW})
LITTER = Scene({"a": OLD}, _litter, {"a": NEW})


def test_saboteur_writing_in_place_is_found_by_each() -> None:
    with pytest.raises(power.BrokenError):
        power.cut(IN_PLACE.scenario(), seed=1)
    with pytest.raises(AssertionError, match="neither old nor new"):
        killing.at_every_call(IN_PLACE.work())
    with pytest.raises(AssertionError, match="neither old nor new"):
        faults.interrupted_at_every_point(IN_PLACE.attempt())


def test_saboteur_a_temporary_file_that_stays_is_found() -> None:
    with pytest.raises(AssertionError, match="is left"):
        faults.at_every_point(LITTER.attempt())


def test_saboteur_an_error_that_is_not_ours_is_found() -> None:
    with pytest.raises(OSError, match="No space left"):
        faults.at_every_point(IN_PLACE.attempt())


def test_saboteur_a_rename_before_the_bytes_are_safe_is_found() -> None:
    with pytest.raises(power.BrokenError):
        power.cut(LITTER.scenario(), seed=1)


def test_saboteur_a_write_past_the_seam_is_found() -> None:
    def past(root) -> None:
        (root / "a").write_bytes(NEW)

    with pytest.raises(AssertionError, match="past the seam"):
        power.cut(Scene({"a": OLD}, past, {"a": NEW}).scenario(), seed=1)


@pytest.mark.parametrize("most", [1, 7])
def test_a_disk_that_takes_little_at_a_time_gets_all_of_it(tmp_path, most: int) -> None:
    with kernel.using(faults.Full(1 << 30, most)):
        disk.write_bytes(tmp_path / "a", LARGE)
        disk.append_bytes(tmp_path / "a", LINE)
    assert (tmp_path / "a").read_bytes() == LARGE + LINE


def test_what_was_added_before_the_disk_was_full_is_taken_away(tmp_path) -> None:
    disk.append_bytes(tmp_path / "a", OLD)
    with kernel.using(faults.Full(5)), pytest.raises(StorageError, match="No space left"):
        disk.append_bytes(tmp_path / "a", LINE)
    assert (tmp_path / "a").read_bytes() == OLD


def test_an_fsync_that_failed_is_not_tried_again(tmp_path) -> None:
    """The kernel may have dropped the bytes, and call the next fsync a success."""
    failing = faults.Failing(1, errno.EIO, only=("sync",))
    with kernel.using(failing), pytest.raises(StorageError, match="Input/output error"):
        disk.write_bytes(tmp_path / "a", NEW)
    assert failing.calls == 1 and list(tmp_path.iterdir()) == []


CODE = """
import sys
from pathlib import Path
from shoestring.base import disk
root = Path(sys.argv[1])
disk.write_bytes(root / "a", b"x" * 3000)
disk.append_bytes(root / "a", b"y")
disk.make_directory(root / "b/c")
"""


@pytest.mark.skipif(shutil.which("strace") is None, reason="strace puts EINTR into system calls")
def test_a_call_that_a_signal_interrupts_is_taken_up_again(tmp_path) -> None:
    wrapped = ["strace", "-o", str(tmp_path / "calls")]
    for call in ("pwrite64", "fsync", "flock"):
        wrapped += ["-e", f"inject={call}:error=EINTR:when=1+2"]
    subprocess.run([*wrapped, sys.executable, "-c", CODE, str(tmp_path)], check=True)
    assert (tmp_path / "a").read_bytes() == b"x" * 3000 + b"y" and (tmp_path / "b" / "c").is_dir()
    assert (tmp_path / "calls").read_text().count("EINTR (Interrupted system call) (INJECTED)") >= 6


def test_a_file_is_copied_whole_with_the_mode_that_was_asked_for(tmp_path) -> None:
    (tmp_path / "a").write_bytes(LARGE * 100)
    disk.copy(tmp_path / "a", tmp_path / "b", mode=0o600)
    assert (tmp_path / "b").read_bytes() == LARGE * 100 and (tmp_path / "b").stat().st_mode & 0o777 == 0o600


def test_a_sweep_takes_what_dead_writers_left_and_nothing_else(tmp_path) -> None:
    kept = ["a", ".hidden", ".a.part", "a.0123456789abcdef.part", ".b.0123456789abcdef.part.gz"]
    for name in (*kept, ".a.0123456789abcdef.part", ".a.abcd_234.part"):
        (tmp_path / name).write_bytes(OLD)
    (tmp_path / ".link.0123456789abcdef.part").symlink_to(tmp_path / "a")
    (tmp_path / ".d.0123456789abcdef.part").mkdir()
    with disk.atomic_file(tmp_path / "b") as stream:
        stream.write(NEW)
        assert disk.sweep(tmp_path) == 2
    assert (tmp_path / "b").read_bytes() == NEW
    left = {path.name for path in tmp_path.iterdir()}
    assert left == {*kept, "b", ".link.0123456789abcdef.part", ".d.0123456789abcdef.part"}


def test_one_lock_is_held_by_one(tmp_path) -> None:
    with disk.locked(tmp_path / "lock"), pytest.raises(StorageError, match="held by another"):  # noqa: SIM117
        with disk.locked(tmp_path / "lock", wait=False):
            pass
    with disk.locked(tmp_path / "lock", wait=False):
        pass


def test_a_long_name_still_has_room_for_a_temporary_one(tmp_path) -> None:
    disk.write_bytes(tmp_path / ("n" * 255), NEW)
    assert [path.name for path in tmp_path.iterdir()] == ["n" * 255]
