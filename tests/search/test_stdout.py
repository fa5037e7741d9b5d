"""What a library in C prints does not reach stdout."""

from __future__ import annotations

import subprocess
import sys

PRINTS = """
import ctypes
{before}
with {guard}:
    ctypes.CDLL(None).printf(b"solver's word\\n")
print("data")
"""


def printed(guard: str) -> subprocess.CompletedProcess[str]:
    before = "import contextlib; from shoestring.search.stdout import words_on_stderr"
    code = PRINTS.format(before=before, guard=guard)
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)


def test_words_of_c_go_to_stderr() -> None:
    done = printed("words_on_stderr()")
    assert (done.stdout, done.stderr) == ("data\n", "solver's word\n")


def test_without_it_they_are_among_our_data() -> None:
    """The saboteur."""
    assert "solver's word" in printed("contextlib.nullcontext()").stdout


def test_a_process_without_stdout_goes_on() -> None:
    code = (
        "import os, sys; from shoestring.search.stdout import words_on_stderr\n"
        "os.close(1)\n"
        "with words_on_stderr():\n    os.write(2, b'went on')\n"
        "os._exit(0)"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, timeout=60)
    assert done.stderr == b"went on"
