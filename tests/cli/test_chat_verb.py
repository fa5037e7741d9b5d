"""Talking in a terminal and through pipes."""

from __future__ import annotations

import json
import os
import pty
import select
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from shoestring.bundle.packing import pack
from text_bundles import RUNGS, make_writer_parts

CHATTING = Path(__file__).parents[1] / "chatting.py"
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2] / "src"), "TERM": "dumb"}


class Terminal:
    """A chat on a terminal of its own."""

    def __init__(self) -> None:
        self._ours, theirs = pty.openpty()
        self.process = subprocess.Popen(
            [sys.executable, str(CHATTING)], stdin=theirs, stdout=theirs, stderr=theirs, env=ENVIRONMENT,
            start_new_session=True, preexec_fn=lambda: _control(theirs),
        )  # fmt: skip
        os.close(theirs)
        self.said = ""

    def type(self, text: str) -> None:
        os.write(self._ours, text.encode())

    def until(self, words: str, seconds: float = 60) -> None:
        """Wait for words, and forget what came before and with them."""
        deadline = time.monotonic() + seconds
        while words not in self.said:
            assert time.monotonic() < deadline, self.said
            if select.select([self._ours], [], [], 0.2)[0]:
                self.said += os.read(self._ours, 65536).decode(errors="replace")
        self.said = self.said.partition(words)[2]

    def end(self) -> int:
        code = self.process.wait(60)
        os.close(self._ours)
        return code


def _control(terminal: int) -> None:
    """Make it the controlling terminal, so that Ctrl-C typed there is a signal."""
    import fcntl
    import termios

    fcntl.ioctl(terminal, termios.TIOCSCTTY, 0)


def test_on_a_terminal_ctrl_c_stops_the_answer_and_not_the_program() -> None:
    terminal = Terminal()
    terminal.until("/quit ends")
    terminal.until("> ")
    terminal.type("good day\n")
    terminal.until("GOOD DAY")
    terminal.until("tokens/s")
    terminal.type("!count 2000\n")
    terminal.until("five six")
    terminal.type("\x03")
    terminal.until("stopped")
    terminal.until("> ")
    terminal.type("/rung large\n")
    terminal.until("rung large")
    terminal.type("/rung huge\n")
    terminal.until("the rungs are small, large; this is large")
    terminal.type("/reset\n")
    terminal.until("forgotten")
    terminal.type("!die 1\n")
    terminal.until("error: the engine crashed")
    terminal.until("> ")
    terminal.type("\x03")
    terminal.until("> ")
    terminal.type("\n/stats\n")
    terminal.until("rung large, first token after")
    terminal.type("/quit\n")
    assert terminal.end() == 0


def through_pipe(text: str, *flags: str) -> tuple[int, str, str]:
    done = subprocess.run(
        [sys.executable, str(CHATTING), *flags], input=text, capture_output=True, text=True, env=ENVIRONMENT, timeout=60
    )
    return done.returncode, done.stdout, done.stderr


def test_lines_of_a_pipe_are_questions_and_answers_are_all_that_stdout_has() -> None:
    code, out, err = through_pipe("good day\n\n/rung large\nand you\n/quit\nnever\n")
    assert (code, out) == (0, "GOOD DAY \nAND YOU \n")
    assert "rung large" in err


def test_as_json_each_answer_is_a_line() -> None:
    code, out, _ = through_pipe("good day\n/rung large\nand you\n", "--json")
    assert code == 0
    first, second = (json.loads(line) for line in out.splitlines())
    assert (first["answer"], first["rung"], first["finish"], first["turns"]) == ("GOOD DAY ", "small", "stop", 1)
    assert (second["rung"], second["tokens_written"], second["turns"]) == ("large", 2, 2)


def test_what_a_model_writes_cannot_command_the_terminal() -> None:
    _, out, _ = through_pipe("a\x1b[31mred\n")
    assert "\x1b" not in out
    assert "\\x1b[31MRED" in out


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("chat") / "chat.shoe"
    parts = make_writer_parts()
    pack(path, parts.manifest, parts.blobs)
    return path


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (("--rung", "huge"), "no rung is called 'huge'"),
        (("--temperature", "3"), "--temperature 3 is outside 0..2"),
        (("--max-tokens", "0"), "--max-tokens 0 is below 1"),
        (("--max-turns", "0"), "--max-turns 0 is below 1"),
    ],
)
def test_flags_that_make_no_sense_are_refused(cli: Callable[..., Any], bundle: Path, flags: Any, words: str) -> None:
    said = cli("chat", bundle, *flags)
    assert said.code == 2
    assert words in said.err


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (("--source", "0"), "--source is for pictures"),
        (("--fps", "3"), "--fps is for pictures"),
        (("--at-once", "0"), "--at-once 0 is outside 1..32"),
        (("--tokens-per-s", "-1"), "--tokens-per-s -1 is outside"),
        (("--rung", "huge"), "no rung is called 'huge'"),
        (("--memory", "1MB"), "no rung fits"),
    ],
)
def test_serve_refuses_what_is_not_for_text(cli: Callable[..., Any], bundle: Path, flags: Any, words: str) -> None:
    said = cli("serve", bundle, "--port", 0, *flags)
    assert said.code == 2
    assert words in said.err


def test_a_rung_that_is_no_model_is_refused_before_anything_is_asked(cli: Callable[..., Any], bundle: Path) -> None:
    pytest.importorskip("xllamacpp")
    said = cli("chat", bundle, "--rung", RUNGS[0])
    assert said.code in (1, 4)
    assert said.err.startswith("not signed\nerror: ")
