"""Python of an Arm userland (`userland`) on an emulated board.

Engines choose their kernels by what the system says of the processor, so the guest is shown the board's own
/proc/cpuinfo and /sys/devices/system/cpu; under plain qemu-user it would read this machine's.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from shoestring.base import disk
from shoestring.proving.cores import Core

OWN = ("board", "proc", "sys", "tmp", "dev", "run")  # of the userland's top folders, not shown to the guest
HOST_ONLY = ("PYTHONPATH", "PYTHONHOME", "LD_LIBRARY_PATH", "LD_PRELOAD", "VIRTUAL_ENV")
ARM, ARCHITECTURE = 0x41, 0xF


def cpuinfo(core: Core) -> str:
    """Text of /proc/cpuinfo."""
    one = (
        "processor\t: {}\nBogoMIPS\t: 108.00\n"
        f"Features\t: {core.features}\nCPU implementer\t: {ARM:#x}\nCPU architecture: 8\n"
        f"CPU variant\t: {core.variant:#x}\nCPU part\t: {core.part:#x}\nCPU revision\t: {core.revision}\n\n"
    )
    return "".join(one.format(number) for number in range(core.cores)) + f"Model\t\t: {core.model}\n"


def identification(core: Core) -> int:
    """MIDR_EL1, the core's identification register."""
    return ARM << 24 | core.variant << 20 | ARCHITECTURE << 16 | core.part << 4 | core.revision


def view(root: Path, core: Core) -> Path:
    """A folder that shows the userland `root` as it would look on the board of this core. Raises StorageError."""
    shown = root / "board" / core.name
    files = {"proc/cpuinfo": cpuinfo(core)} | {f"sys/devices/system/cpu/{n}": t for n, t in _processors(core).items()}
    with disk.storage_errors(shown):
        for name, text in files.items():
            path = shown / name
            if not path.is_file() or path.read_text() != text:  # another process may be reading them
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(text)
        for entry in root.iterdir():
            if entry.name not in OWN and not (shown / entry.name).is_symlink():
                (shown / entry.name).symlink_to(f"../../{entry.name}")
    return shown


def command(root: Path, core: Core, script: Sequence[str], paths: Sequence[Path] = ()) -> tuple[list[str], list[str]]:
    """Words that run Python in the userland: (options of QEMU, program and arguments).

    The emulator must be started in `environment()`. One thread, and a fixed order of sets and dicts, so that counts of
    instructions repeat.

    Args:
        root: of the userland.
        core: to emulate.
        script: arguments of Python.
        paths: folders of modules, before the userland's own.
    """
    shown = view(root.resolve(), core)
    variables = {
        "PYTHONPATH": ":".join(map(str, [*paths, f"{shown}/site"])),
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONHASHSEED": "0",
        "OMP_NUM_THREADS": "1",
        "LD_LIBRARY_PATH": f"{shown}/usr/lib/aarch64-linux-gnu",
    }
    options = ["-cpu", core.name, "-L", str(shown), *(w for k, v in variables.items() for w in ("-E", f"{k}={v}"))]
    return options, [f"{shown}/usr/bin/python3", *script]


def environment() -> dict[str, str]:
    """This process's variables without those that speak of this machine's own Python and libraries."""
    return {key: value for key, value in os.environ.items() if key not in HOST_ONLY}


def _processors(core: Core) -> dict[str, str]:
    """Files below /sys/devices/system/cpu."""
    last = core.cores - 1
    files = dict.fromkeys(("possible", "present", "online"), f"0-{last}\n") | {"kernel_max": f"{last}\n"}
    for number in range(core.cores):
        one = {
            "topology/physical_package_id": "0",
            "topology/core_id": f"{number}",
            "topology/cluster_id": "0",
            "topology/thread_siblings_list": f"{number}",
            "topology/core_siblings": f"{(1 << core.cores) - 1:x}",
            "cpufreq/cpuinfo_max_freq": f"{core.mhz}000",
            "cpufreq/cpuinfo_min_freq": "600000",
            "cpufreq/scaling_cur_freq": f"{core.mhz}000",
            "regs/identification/midr_el1": f"{identification(core):#018x}",
        }
        one |= {f"topology/{kind}_list": f"0-{last}" for kind in ("core_siblings", "package_cpus", "cluster_cpus")}
        kinds = (("Data", 1), ("Instruction", 1), ("Unified", 2))
        for index, ((kind, level), size) in enumerate(zip(kinds, core.caches_kib, strict=True)):
            one |= {
                f"cache/index{index}/level": f"{level}",
                f"cache/index{index}/type": kind,
                f"cache/index{index}/size": f"{size}K",
                f"cache/index{index}/coherency_line_size": "64",
                f"cache/index{index}/shared_cpu_list": f"0-{last}" if level == 2 else f"{number}",
            }
        files |= {f"cpu{number}/{name}": f"{text}\n" for name, text in one.items()}
    return files


__all__ = ["command", "cpuinfo", "environment", "identification", "view"]
