"""The device install on emulated boards: our wheel and its dependencies from wheels for aarch64, nothing else."""

from __future__ import annotations

import shlex
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from shoestring.proving import guest, userland
from shoestring.proving.cores import known_cores
from shoestring.proving.emulator import find_emulator

CHECKOUT = Path(__file__).parents[2]
BITS = Path(__file__).parent / "bits.py"
SECONDS = 900.0
ILLEGAL = 132
"""Exit code of a shell for a process that died of an illegal instruction: 128 + SIGILL."""

SDOT = (
    "import ctypes, mmap\n"
    "memory = mmap.mmap(-1, 4096, prot=7)\n"
    "memory.write(bytes.fromhex('2094824ec0035fd6'))  # sdot v0.4s, v1.16b, v2.16b; ret\n"
    "ctypes.CFUNCTYPE(None)(ctypes.addressof(ctypes.c_char.from_buffer(memory)))()\n"
    "print('survived')\n"
)
"""A Python program that runs one instruction which only cores with dot products have."""


@dataclass(frozen=True)
class Ran:
    """How a command ended on a board.

    Args:
        code: as a shell gives it.
        out, err: what it said.
    """

    code: int
    out: str
    err: str


def build_wheel(folder: Path) -> Path:
    """The wheel of this checkout."""
    words = [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "-w", str(folder), str(CHECKOUT)]
    subprocess.run(words, check=True)
    (wheel,) = folder.glob("shoestring-*.whl")
    return wheel


def install(site: Path, wheel: Path, *engines: str) -> None:
    """Our wheel with its dependencies, and engines, into a folder of the userland."""
    userland.install(site, [str(wheel), *engines])


def run(root: Path, core: str, words: Sequence[str], paths: Sequence[Path] = (), seconds: float = SECONDS) -> Ran:
    """Python with these words on a board.

    Args:
        root: of the userland.
        core: QEMU's name.
        words: arguments of Python.
        paths: folders of modules, before the userland's own.
        seconds: limit.
    """
    done = subprocess.run(
        command(root, core, words, paths),
        capture_output=True,
        text=True,
        timeout=seconds,
        env=guest.environment(),
        check=False,
    )
    return Ran(128 - done.returncode if done.returncode < 0 else done.returncode, done.stdout, done.stderr)


def command(root: Path, core: str, words: Sequence[str], paths: Sequence[Path] = ()) -> list[str]:
    """Words that start Python on a board; arguments as of `run`."""
    options, script = guest.command(root, known_cores()[core], words, paths)
    return [find_emulator(), *options, *script]


def start(root: Path, core: str, words: Sequence[str], paths: Sequence[Path], folder: Path) -> subprocess.Popen[str]:
    """A command of ours on a board, whose own child processes run there too.

    The kernel of this machine cannot start a program of the board: the board's Python is a script that starts the
    emulator again.

    Args:
        words: of the command line `shoestring`.
        folder: for that script.
    """
    python = folder / "python-of-the-board"
    python.write_text(f'#!/bin/sh\nexec {shlex.join(command(root, core, [], paths))} "$@"\n')
    python.chmod(0o755)
    program = (
        f"import sys; sys.executable = {str(python)!r}; "
        f"from shoestring.cli.main import main; sys.exit(main({list(words)!r}))"
    )
    return subprocess.Popen(
        command(root, core, ["-c", program], paths), stderr=subprocess.PIPE, text=True, env=guest.environment()
    )
