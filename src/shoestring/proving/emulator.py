"""Programs of another processor run here: QEMU's user emulation."""

from __future__ import annotations

import re
import shutil
import subprocess

from shoestring.base.errors import ChildError, UsageError

QEMU = "qemu-aarch64-static"
INSTALL = "apt-get install qemu-user-static"


def find_emulator() -> str:
    """Path of the emulator. Raises UsageError with the command that installs it."""
    found = shutil.which(QEMU)
    if found is None:
        raise UsageError(f"boards are emulated with {QEMU}, which is not installed here", hint=INSTALL)
    return found


def emulator_version(path: str) -> str:
    """`qemu-aarch64 7.2.22`. Raises ChildError when it does not say so."""
    done = subprocess.run([path, "--version"], capture_output=True, text=True, check=False)
    found = re.match(r"(qemu-\S+) version (\S+)", done.stdout)
    if done.returncode != 0 or found is None:
        raise ChildError(f"{path} does not tell its version: {(done.stderr or done.stdout).strip()[:200]}")
    return f"{found[1]} {found[2]}"


__all__ = ["QEMU", "emulator_version", "find_emulator"]
