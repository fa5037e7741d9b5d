"""Programs on emulated Arm boards: run them, count their instructions, estimate their cycles.

Needs the Debian packages qemu-user-static (to run), qemu-user and gcc (to count) and llvm (to estimate). Time under
emulation says nothing about the board; instruction counts of one thread are exact and repeatable.
"""

from __future__ import annotations

import functools
import shutil
import subprocess
import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

Block = tuple[str, ...]
"""Instructions that run one after the other, each as hexadecimal bytes in memory order."""

HERE = Path(__file__).parent
PLUGIN_SOURCE = HERE / "block_counts.c"

CORES = {
    "cortex-a53": "qemu-aarch64",  # Coral Dev Board, Raspberry Pi Zero 2 W
    "cortex-a57": "qemu-aarch64",  # Jetson Nano
    "cortex-a72": "qemu-aarch64",  # Raspberry Pi 4
    "cortex-a76": "qemu-aarch64",  # Raspberry Pi 5
    "cortex-a7": "qemu-arm",  # Raspberry Pi 2
    "rv64": "qemu-riscv64",
}
"""Core -> QEMU's user emulation of it."""

RUN_SECONDS = 1800.0


def emulator(cpu: str) -> list[str]:
    """Words that run a program of the core `cpu` here, without counting: `[*emulator("cortex-a72"), "./program"]`."""
    return [f"{CORES[cpu]}-static", "-cpu", cpu]


def has_emulator(cpu: str) -> bool:
    """Whether programs of this core can be run here."""
    return shutil.which(emulator(cpu)[0]) is not None


def can_count(qemu: str) -> bool:
    """Whether this QEMU (`qemu-aarch64`, `qemu-system-arm`) and a compiler for its plugin are here."""
    return shutil.which(qemu) is not None and shutil.which("gcc") is not None


@functools.cache
def plugin() -> Path:
    """The counting plugin, compiled once for each process."""
    folder = tempfile.mkdtemp(prefix="shoestring-plugin-")
    library = Path(folder) / "block_counts.so"
    words = ["gcc", "-std=gnu11", "-O2", "-Wall", "-Wextra", "-shared", "-fPIC", "-o", str(library), str(PLUGIN_SOURCE)]
    subprocess.run(words, check=True)
    return library


def counted(qemu: Sequence[str], program: Sequence[str], env: Mapping[str, str] | None = None) -> Counter[Block]:
    """Run a program under a QEMU with plugins and count its blocks, between its marks or from start to exit.

    Args:
        qemu: the emulator and its options; not the static build, which has no plugins.
        program: what to run.
        env: the emulator's environment; None leaves it as it is.

    Returns:
        How often each block ran. Blocks of the same instructions at several addresses are one.

    Raises:
        subprocess.CalledProcessError: it failed.
    """
    with tempfile.NamedTemporaryFile(suffix=".counts") as file:
        words = [*qemu, "-plugin", f"{plugin()},out={file.name}", *program]
        subprocess.run(words, check=True, stdout=subprocess.DEVNULL, timeout=RUN_SECONDS, env=env)
        return read_counts(Path(file.name).read_text())


def read_counts(text: str) -> Counter[Block]:
    """What the plugin wrote."""
    found: Counter[Block] = Counter()
    for line in text.splitlines():
        runs, *code = line.split()
        found[tuple(code)] += int(runs)
    return found


def counts_of_one_more(cpu: str, program: str, once: Sequence[str], more: Sequence[str], times: int) -> Counter[Block]:
    """Blocks of one repetition of what a program does: (its run with `more` - its run with `once`) / times.

    Args:
        cpu: core.
        program: path of an executable for it.
        once, more: arguments that make it do its work once and `times` + 1 times.
        times: at least 1.

    Returns:
        Counts rounded down to whole runs; blocks that do not run once a repetition are left out.
    """
    qemu = [CORES[cpu], "-cpu", cpu]
    few, many = (counted(qemu, [program, *arguments]) for arguments in (once, more))
    return difference(few, many, times)


def difference(few: Counter[Block], many: Counter[Block], times: int) -> Counter[Block]:
    """`(many - few) / times`, rounded down, without what is below one."""
    return Counter({block: runs // times for block, runs in (many - few).items() if runs >= times})


def instructions(counts: Mapping[Block, int]) -> int:
    """All instructions that ran."""
    return sum(runs * len(block) for block, runs in counts.items())


def heaviest(counts: Mapping[Block, int], share: float) -> list[tuple[Block, int]]:
    """The blocks that make up this share (0..1) of all instructions, the heaviest first."""
    left = share * instructions(counts)
    picked = []
    for block, runs in sorted(counts.items(), key=lambda item: -item[1] * len(item[0])):
        if left <= 0:
            break
        picked.append((block, runs))
        left -= runs * len(block)
    return picked
