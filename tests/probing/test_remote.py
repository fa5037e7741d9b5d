"""The probe over a real sshd on loopback, and what goes wrong on the way."""

from __future__ import annotations

import shutil
import socket
import sys
from pathlib import Path

import pytest

from shoestring.base.errors import ChildCrashedError, ChildTimeoutError, ShoestringError, StorageError, UsageError
from shoestring.chips.loading import load_chip
from shoestring.chips.rows import read_rows
from shoestring.probing import ssh
from shoestring.probing.remote import probe_board
from shoestring.probing.ssh import Board, parse_board, shell_path

SSHD = shutil.which("sshd") or ("/usr/sbin/sshd" if Path("/usr/sbin/sshd").exists() else None)
needs_sshd = pytest.mark.skipif(
    SSHD is None or shutil.which("ssh") is None, reason="needs openssh-server and openssh-client"
)


CUTTER = """#!/bin/sh
case "$*" in
*probe*)
    p=$PPID
    until grep -q ^sshd "/proc/$p/comm"; do p=$(ps -o ppid= -p "$p" | tr -d ' '); done
    kill -9 "$p";;
*) exec PYTHON "$@";;
esac
"""
"""An interpreter that kills the server's side of its own connection instead of probing."""


@needs_sshd
def test_a_board_is_probed_and_nothing_is_left_there(board: Board, board_tmp: Path, tmp_path: Path) -> None:
    said: list[str] = []
    out = tmp_path / "far-board.toml"
    flags = ("--nets", "1", "--runtimes", "onnxruntime")
    found = probe_board(board, out, tmp_path / "far.csv", python=sys.executable, flags=flags, heard=said.append)
    chip = load_chip(out)
    rows = read_rows(tmp_path / "far.csv")
    assert chip.name == "far-board" and chip.bandwidth is not None and chip.bandwidth.status == "measured"
    assert found.rows == len(rows) > 0 and {row.chip for row in rows} == {"far-board"}
    assert all(path.exists() for path in found.written) and len(found.written) == 3
    assert any("measuring" in line or "timing" in line for line in said)
    assert not list(board_tmp.iterdir())


@needs_sshd
def test_a_missing_interpreter_is_named(board: Board, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="there is no /nowhere/python"):
        probe_board(board, tmp_path / "a.toml", tmp_path / "a.csv", python="/nowhere/python")


@needs_sshd
def test_missing_modules_are_named_with_what_to_install(board: Board, tmp_path: Path) -> None:
    bare = tmp_path / "bare"
    bare.write_text(f'#!/bin/sh\nexec {sys.executable} -S -I "$@"\n')
    bare.chmod(0o755)
    with pytest.raises(UsageError, match="lacks numpy, msgspec") as caught:
        ssh.check_python(board, str(bare))
    assert "pip install numpy" in (caught.value.hint or "")


@needs_sshd
def test_an_old_python_is_refused(board: Board, tmp_path: Path) -> None:
    old = tmp_path / "old"
    old.write_text("#!/bin/sh\necho 3 9\n")
    old.chmod(0o755)
    with pytest.raises(UsageError, match=r"is Python 3\.9, at least 3\.11"):
        ssh.check_python(board, str(old))


@needs_sshd
def test_keys_that_the_board_does_not_know_are_told(board: Board) -> None:
    key = next(option for option in board.options if option.startswith("IdentityFile="))
    stranger = tuple(option if option != key else key.replace("/user", "/stranger") for option in board.options)
    with pytest.raises(UsageError, match="refused our keys"):
        Board(board.host, board.port, stranger).run("true", seconds=20)


@needs_sshd
def test_a_board_that_is_not_there_is_told() -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with pytest.raises(UsageError, match="cannot reach nobody@127"):
        Board("nobody@127.0.0.1", port).run("true", seconds=20)


@needs_sshd
def test_a_connection_cut_in_the_middle_is_told_and_leaves_old_files(board: Board, tmp_path: Path) -> None:
    out = tmp_path / "b.toml"
    out.write_text("before")
    cut = tmp_path / "cut"
    cut.write_text(CUTTER.replace("PYTHON", sys.executable))
    cut.chmod(0o755)
    with pytest.raises(ChildCrashedError):
        probe_board(board, out, tmp_path / "b.csv", python=str(cut))
    assert out.read_text() == "before" and not (tmp_path / "b.csv").exists()


@needs_sshd
def test_a_probe_that_fails_there_says_why(board: Board, tmp_path: Path) -> None:
    with pytest.raises(ShoestringError, match=r"failed: error: .*nonsense"):
        flags = ("--runtimes", "nonsense")
        probe_board(board, tmp_path / "c.toml", tmp_path / "c.csv", python=sys.executable, flags=flags)


@needs_sshd
def test_a_full_disk_is_told(board: Board, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ssh, "_packed", lambda: b"no archive at all")
    with pytest.raises(StorageError, match="could not unpack"):
        ssh.send_ourselves(board)


@needs_sshd
def test_a_command_that_hangs_is_ended(board: Board) -> None:
    with pytest.raises(ChildTimeoutError, match="did not answer within"):
        board.run("sleep 60", seconds=1.5)


@pytest.mark.parametrize("text", ["-oProxyCommand=x", "pi@host:0", "pi@host:70000", "pi@host:ssh", "a b", "", "$(id)"])
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(UsageError):
        parse_board(text)


def test_addresses_and_paths() -> None:
    assert parse_board("pi@host:2222") == Board("pi@host", 2222)
    assert parse_board("camera") == Board("camera")
    assert shell_path("~/my env/bin/python") == "\"$HOME\"/'my env/bin/python'"
    assert shell_path("/opt/a b") == "'/opt/a b'"
