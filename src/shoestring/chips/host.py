"""The machine we run on, as far as it decides speed and integer results.

Everything is read from Linux's own text files; the parsing is pure, so that other boards' texts can be tested here.
"""

from __future__ import annotations

import os
import platform
import re
from pathlib import Path

from shoestring.base.errors import StorageError
from shoestring.domain.cost import Machine

X86_ISA = {
    "sse4_1": "sse4_1",
    "avx2": "avx2",
    "fma": "fma",
    "avx_vnni": "avx_vnni",
    "avx512f": "avx512f",
    "avx512_vnni": "avx512_vnni",
    "avx512_bf16": "avx512_bf16",
    "amx_int8": "amx_int8",
}
ARM_ISA = {
    "asimd": "asimd",
    "neon": "asimd",  # what 32-bit kernels call it
    "asimddp": "asimddp",
    "i8mm": "i8mm",
    "fphp": "fphp",
}
"""Linux's name of a processor flag -> ours. Flags that change neither speed nor results of a network are left out."""

ARM_CORES = {
    ("0x41", "0xd03"): "Cortex-A53",
    ("0x41", "0xd04"): "Cortex-A35",
    ("0x41", "0xd05"): "Cortex-A55",
    ("0x41", "0xd07"): "Cortex-A57",
    ("0x41", "0xd08"): "Cortex-A72",
    ("0x41", "0xd09"): "Cortex-A73",
    ("0x41", "0xd0a"): "Cortex-A75",
    ("0x41", "0xd0b"): "Cortex-A76",
    ("0x41", "0xd0c"): "Neoverse-N1",
    ("0x41", "0xd0d"): "Cortex-A77",
    ("0x41", "0xd40"): "Neoverse-V1",
    ("0x41", "0xd41"): "Cortex-A78",
    ("0x41", "0xd42"): "Cortex-A78AE",
    ("0x41", "0xd44"): "Cortex-X1",
    ("0x41", "0xd46"): "Cortex-A510",
    ("0x41", "0xd47"): "Cortex-A710",
    ("0x41", "0xd49"): "Neoverse-N2",
    ("0x41", "0xd4f"): "Neoverse-V2",
    ("0x41", "0xc07"): "Cortex-A7",
}
"""(implementer, part) -> core: arch/arm64/include/asm/cputype.h of Linux."""

ARCHES = {"amd64": "x86_64", "arm64": "aarch64"}
"""Other systems' names of an architecture -> Linux's."""

UNKNOWN_PROCESSOR = "unknown processor"


def this_machine() -> Machine:
    """The machine this process runs on.

    Raises:
        StorageError: /proc is not there to be read.
    """
    cpuinfo = _proc("cpuinfo")
    board = _text(Path("/proc/device-tree/model"))
    arch = platform.machine().lower()
    libc, libc_version = platform.libc_ver()
    return Machine(
        name=processor_name(cpuinfo, board),
        arch=ARCHES.get(arch, arch),
        isa=instruction_sets(cpuinfo),
        cores=len(os.sched_getaffinity(0)),
        memory_bytes=memory_bytes(_proc("meminfo"), container_limit_bytes()),
        system=f"{platform.system()} {platform.release()}, {libc or 'unknown C library'} {libc_version}".strip(),
    )


def processor_name(cpuinfo: str, board: str | None) -> str:
    """What people call the processor.

    Args:
        cpuinfo: text of /proc/cpuinfo.
        board: text of /proc/device-tree/model, or None where there is none.

    Returns:
        `AMD EPYC` on x86; `Raspberry Pi 4 Model B Rev 1.4 (Cortex-A72)` on Arm: the board and its kinds of cores.
    """
    names = _values(cpuinfo, "model name")
    cores = arm_cores(cpuinfo)
    board = board.strip("\0\n ") if board else ""
    if board and cores:
        return f"{board} ({' + '.join(cores)})"
    if board or names:
        return " ".join((board or names[0]).split())
    return " + ".join(cores) or UNKNOWN_PROCESSOR


def arm_cores(cpuinfo: str) -> tuple[str, ...]:
    """Kinds of Arm cores, each once, in the order of their numbers; an unlisted one as `implementer/part`."""
    implementers = _values(cpuinfo, "CPU implementer")
    parts = _values(cpuinfo, "CPU part")
    pairs = dict.fromkeys(zip(implementers, parts, strict=False))
    return tuple(ARM_CORES.get(pair, f"Arm core {pair[0]}/{pair[1]}") for pair in pairs)


def instruction_sets(cpuinfo: str) -> tuple[str, ...]:
    """The instruction sets that every core has and that matter to a network, by our names, sorted.

    Args:
        cpuinfo: text of /proc/cpuinfo of x86 or Arm.
    """
    known, key = (X86_ISA, "flags") if _values(cpuinfo, "flags") else (ARM_ISA, "Features")
    sets = [{known[flag] for flag in line.split() if flag in known} for line in _values(cpuinfo, key)]
    return tuple(sorted(set.intersection(*sets))) if sets else ()


def memory_bytes(meminfo: str, limit_bytes: int | None) -> int:
    """Installed memory, or the container's limit where that is lower.

    Args:
        meminfo: text of /proc/meminfo.
        limit_bytes: of the container, or None.

    Raises:
        StorageError: the text has no MemTotal line.
    """
    match = re.search(r"^MemTotal:\s+(\d+) kB$", meminfo, re.MULTILINE)
    if match is None:
        raise StorageError("/proc/meminfo has no MemTotal line", hint="mount /proc")
    installed = int(match[1]) * 1024
    return installed if limit_bytes is None else min(installed, limit_bytes)


def container_limit_bytes(root: Path = Path("/sys/fs/cgroup"), membership: str | None = None) -> int | None:
    """The lowest memory limit among our control group and those above it (cgroup v2), or None.

    Args:
        root: where the cgroup file system is mounted.
        membership: text of /proc/self/cgroup; read when None.
    """
    if membership is None:
        membership = _text(Path("/proc/self/cgroup")) or ""
    match = re.search(r"^0::/(.*)$", membership, re.MULTILINE)
    parts = [part for part in (match[1].split("/") if match else []) if part not in ("", "..")]
    folders = [root.joinpath(*parts[:depth]) for depth in range(len(parts) + 1)]
    limits = [parse_limit(_text(folder / "memory.max")) for folder in folders]
    return min((limit for limit in limits if limit is not None), default=None)


def parse_limit(text: str | None) -> int | None:
    """Text of memory.max -> bytes; `max`, an absent file and anything odd mean no known limit."""
    text = text.strip() if text else ""
    return int(text) if text.isdecimal() else None


def _values(cpuinfo: str, key: str) -> list[str]:
    """The value of `key` for each core."""
    return re.findall(rf"^{re.escape(key)}[ \t]*:[ \t]*(.*?)[ \t]*$", cpuinfo, re.MULTILINE)


def _proc(name: str) -> str:
    text = _text(Path("/proc") / name)
    if text is None:
        raise StorageError(f"cannot read /proc/{name}", hint="mount /proc; other systems than Linux are not handled")
    return text


def _text(path: Path) -> str | None:
    """What a system file says, or None where this kernel has none."""
    try:
        return path.read_bytes().decode(errors="replace")
    except OSError:
        return None


__all__ = [
    "arm_cores",
    "container_limit_bytes",
    "instruction_sets",
    "memory_bytes",
    "parse_limit",
    "processor_name",
    "this_machine",
]
