"""Old systems without Python: an old C library of Debian for arm64, and programs on it under an old kernel's name."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from pathlib import Path

from emulation.device import Ran
from shoestring.base.cache import default_root
from shoestring.native.build import Compiler, zig_triple
from shoestring.native.targets import Target
from shoestring.proving import guest, userland
from shoestring.proving.emulator import find_emulator

SUITES = {"bullseye": (2, 31), "bookworm": (2, 36)}
"""Suites of Debian that its mirrors still carry -> their glibc. Buster (2.28) and older have left them."""

KERNELS = {"jetson-nano": "4.9.253", "coral-dev-board": "4.14.98"}
"""Board -> what `uname -r` says on its maker's last system: L4T 32.7 (JetPack 4.6), Mendel 5."""

KERNEL_SOURCES = Path(userland.__file__).parents[1] / "native/kernels"
HERE = Path(__file__).parent
SECONDS = 600.0


def root_of(suite: str) -> Path:
    """A userland of a suite that holds a C library and nothing else, in the user's cache."""
    place = default_root() / "userlands" / f"bare-{suite}"
    return userland.whole(place, lambda root: userland.make(root, suite, userland.BARE))


def run(root: Path, core: str, words: Sequence[str], kernel: str) -> Ran:
    """A program with its arguments, on a core, below a root, under a kernel that says it has this version."""
    command = [find_emulator(), "-cpu", core, "-L", str(root), "-r", kernel, *words]
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=SECONDS, env=guest.environment(), check=False
    )
    return Ran(128 - done.returncode if done.returncode < 0 else done.returncode, done.stdout, done.stderr)


def build_loader(compiler: Compiler, target: Target, out: Path) -> Path:
    """The loader of libraries, linked against the oldest glibc that the target promises."""
    words = [*compiler.command, "-target", zig_triple(target), "-O2", f"-I{KERNEL_SOURCES}", str(HERE / "loads.c")]
    subprocess.run([*words, "-ldl", "-o", str(out)], check=True, capture_output=True)
    return out
