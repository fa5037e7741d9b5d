"""Ctrl-C and a full disk: a clear end, no half-written file, and the next run goes on from there."""

from __future__ import annotations

import errno
import os
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import tiny

SHOESTRING = (sys.executable, "-m", "shoestring.cli.main")
MARK = "SHOESTRING_TEST_MARK"


def processes_with(mark: str) -> list[int]:
    """Processes, children of children among them, whose environment holds the mark."""
    found = []
    for folder in Path("/proc").iterdir():
        if not folder.name.isdigit():
            continue
        try:
            state = (folder / "stat").read_text().rpartition(")")[2].split()[0]
            if state != "Z" and f"{MARK}={mark}".encode() in (folder / "environ").read_bytes().split(b"\0"):
                found.append(int(folder.name))
        except OSError:  # it has ended meanwhile, or is not ours
            continue
    return found


def interrupt_when(words: str, command: list[str], environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """Press Ctrl-C once the command has said `words`."""
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment, bufsize=1
    )
    assert process.stdout is not None and process.stderr is not None
    said = ""
    for line in process.stderr:
        said += line
        if line.startswith(words):
            process.send_signal(signal.SIGINT)
            break
    said += process.stderr.read()
    out = process.stdout.read()
    code = process.wait()
    process.stdout.close()
    process.stderr.close()
    return subprocess.CompletedProcess(command, code, out, said)


def test_ctrl_c_leaves_nothing_half_written_and_the_next_run_goes_on(cli, task, known, tmp_path, monkeypatch):
    cache, folder = tmp_path / "cache", tmp_path / "work"
    folder.mkdir()
    words = ["fit", str(task.model), "--data", str(task.data), "--cache", str(cache), "-o", str(folder / "out.shoe")]
    words += ["--runtimes", "onnxruntime"]
    ended = interrupt_when("measuring: ", [*SHOESTRING, *words], {**os.environ, MARK: str(tmp_path)})
    assert ended.returncode == 130, ended.stderr
    assert ended.stderr.endswith("interrupted; finished steps are kept, and the same command goes on from there\n")
    assert ended.stdout == "" and "Traceback" not in ended.stderr
    assert not any(folder.iterdir())
    deadline = time.monotonic() + 20  # a killed child takes a moment to leave the table of processes
    while processes_with(str(tmp_path)) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert processes_with(str(tmp_path)) == []
    partial = [path for path in cache.rglob("*") if path.name.startswith(".") or path.suffix == ".part"]
    assert partial == []
    finished = tiny.listing(cache)
    assert "calibrating on 40 images" in ended.stderr and "probing" in ended.stderr

    again = cli(*words)
    assert again.code == 0, again.err
    assert (folder / "out.shoe").exists()
    for step in ("calibrating", "probing", "scoring the original on selection"):
        assert step not in again.err, "a finished step was made again"
    after = tiny.listing(cache)
    assert {name: after[name] for name in finished} == finished


def no_space() -> OSError:
    return OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_a_disk_that_fills_up_while_the_bundle_is_synced(cli, task, known, tmp_path, monkeypatch):
    out = tmp_path / "out.shoe"
    out.write_bytes(b"the bundle of yesterday")
    before = tiny.listing(tmp_path)
    real = os.fsync

    def fsync(descriptor: int) -> None:
        if ".out.shoe." in Path(f"/proc/self/fd/{descriptor}").readlink().name:
            raise no_space()
        real(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    said = cli("fit", task.model, "--data", task.data, "-o", out, "--json")
    assert said.code == 1
    assert said.data["error"] == "StorageError"
    assert said.data["message"] == f"cannot write {out}: No space left on device"
    assert "free some space" in said.data["hint"] and "Traceback" not in said.err
    assert tiny.listing(tmp_path) == before


def test_a_write_that_the_system_cuts_short(cli, task, known, tmp_path):
    out = tmp_path / "out.shoe"
    assert cli("fit", task.model, "--data", task.data, "-o", out).code == 0
    limit = out.stat().st_size // 2
    out.unlink()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))  # Python ignores SIGXFSZ, so writes fail with EFBIG
    try:
        said = cli("fit", task.model, "--data", task.data, "-o", out)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert said.code == 1
    assert f"cannot write {out}: File too large" in said.err and "  hint: " in said.err
    assert not any(tmp_path.iterdir())


@pytest.mark.parametrize("failing", [1, 9, 30])
def test_a_disk_that_is_full_at_any_step_is_an_error_and_never_a_wrong_answer(
    cli, task, known, tmp_path, monkeypatch, failing
):
    cache, calls = tmp_path / "cache", 0
    real = os.fsync

    def fsync(descriptor: int) -> None:
        nonlocal calls
        calls += 1
        if calls == failing:
            raise no_space()
        real(descriptor)

    words = ("fit", task.model, "--data", task.data, "--limit", "100", "--cache", cache, "-o", tmp_path / "out.shoe")
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", fsync)
        said = cli(*words)
    assert said.code == 1 and failing <= calls <= failing + 1, "nothing goes on but the clean-up"
    assert "No space left on device" in said.err and "  hint: " in said.err and "Traceback" not in said.err
    assert {path.name for path in tmp_path.iterdir()} <= {"cache"}
    assert not [path for path in cache.rglob("*") if path.is_file() and path.name.startswith(".")]
    if failing == 30:
        assert cli(*words).code == 0
