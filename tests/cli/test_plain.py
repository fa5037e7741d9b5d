"""Text that scripts can read: no escape codes in pipes, none under NO_COLOR, and stdout holds data only."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

from shoestring.domain.manifest import FORMAT

ESCAPE = b"\x1b"
SHOESTRING = (sys.executable, "-m", "shoestring.cli.main")


def in_terminal(words: tuple[object, ...], **extra: str) -> bytes:
    """What a command writes to a terminal on stdout; stderr stays a pipe."""
    leader, follower = pty.openpty()
    environment = {name: value for name, value in os.environ.items() if name not in ("NO_COLOR", "FORCE_COLOR")}
    environment |= {"TERM": "xterm-256color", "COLUMNS": "200", **extra}
    command = [*SHOESTRING, *map(str, words)]
    process = subprocess.Popen(command, stdout=follower, stderr=subprocess.DEVNULL, env=environment)
    os.close(follower)
    found = b""
    while True:
        try:
            chunk = os.read(leader, 65536)
        except OSError:  # how Linux says that the other end was closed
            break
        if not chunk:
            break
        found += chunk
    os.close(leader)
    assert process.wait() == 0
    return found


def test_a_terminal_gets_bold_heads_and_no_color_turns_them_off(measured: Path) -> None:
    assert ESCAPE in in_terminal(("inspect", measured))
    plain = in_terminal(("inspect", measured), NO_COLOR="1")
    assert ESCAPE not in plain and b"fp32" in plain


def test_a_pipe_gets_plain_text(measured: Path, task) -> None:
    command = [*SHOESTRING, "inspect", str(measured)]
    done = subprocess.run(command, capture_output=True, env={**os.environ, "TERM": "xterm-256color"}, check=True)
    assert ESCAPE not in done.stdout + done.stderr
    failed = subprocess.run([*SHOESTRING, "inspect", str(task.data)], capture_output=True)
    assert failed.returncode == 1 and ESCAPE not in failed.stderr


def test_progress_in_a_pipe_is_one_line_for_each_new_thing(cli, task, known) -> None:
    said = cli("fit", task.model, "--data", task.data, "--json")
    assert said.code == 0
    assert ESCAPE.decode() not in said.out + said.err and "\r" not in said.err
    lines = said.err.splitlines()
    assert lines[:2] == ["importing the model", "reading the images"]
    assert all(one != other for one, other in pairwise(lines))


def test_a_reader_that_goes_away_is_no_error(measured: Path) -> None:
    process = subprocess.Popen(
        [*SHOESTRING, "inspect", str(measured), "--json"], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert process.stdout is not None and process.stderr is not None
    process.stdout.close()
    assert process.stderr.read() == b""
    assert process.wait() == 0
    process.stderr.close()


def test_json_of_a_command_in_a_subprocess_is_one_document(measured: Path) -> None:
    done = subprocess.run([*SHOESTRING, "inspect", str(measured), "--json"], capture_output=True, check=True)
    assert json.loads(done.stdout)["manifest"]["format"] == FORMAT
