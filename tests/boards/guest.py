"""Python of an Arm userland (userland.py) on an emulated board.

Engines choose their kernels by what the system says of the processor, so the guest is shown the board's own
/proc/cpuinfo and /sys/devices/system/cpu; under plain qemu-user it would read this machine's.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

OWN = ("board", "proc", "sys", "tmp", "dev", "run")  # of the userland's top folders, not shown to the guest


@dataclass(frozen=True)
class Board:
    """What Linux says on a board.

    Args:
        model: its name.
        part, variant, revision: of the core's identification register.
        features: flags in /proc/cpuinfo.
        mhz: highest clock.
        caches_kib: first-level data, first-level instructions, second level.
        cores: how many.
    """

    model: str
    part: int
    variant: int
    revision: int
    features: str
    mhz: int
    caches_kib: tuple[int, int, int]
    cores: int = 4


_V8 = "fp asimd evtstrm aes pmull sha1 sha2 crc32"
BOARDS = {
    "cortex-a53": Board("Freescale i.MX8MQ Phanbell", 0xD03, 0, 4, f"{_V8} cpuid", 1500, (32, 32, 1024)),
    "cortex-a57": Board("NVIDIA Jetson Nano Developer Kit", 0xD07, 1, 1, _V8, 1479, (32, 48, 2048)),
    "cortex-a72": Board(
        "Raspberry Pi 4 Model B Rev 1.5", 0xD08, 0, 3, "fp asimd evtstrm crc32 cpuid", 1800, (32, 48, 1024)
    ),
    "cortex-a76": Board(
        "Raspberry Pi 5 Model B Rev 1.0",
        0xD0B,
        4,
        1,
        f"{_V8} atomics fphp asimdhp cpuid asimdrdm lrcpc dcpop asimddp",
        2400,
        (64, 64, 512),
    ),
}
ARM, ARCHITECTURE = 0x41, 0xF


def cpuinfo(board: Board) -> str:
    """Text of /proc/cpuinfo."""
    core = (
        "processor\t: {}\nBogoMIPS\t: 108.00\n"
        f"Features\t: {board.features}\nCPU implementer\t: {ARM:#x}\nCPU architecture: 8\n"
        f"CPU variant\t: {board.variant:#x}\nCPU part\t: {board.part:#x}\nCPU revision\t: {board.revision}\n\n"
    )
    return "".join(core.format(number) for number in range(board.cores)) + f"Model\t\t: {board.model}\n"


def identification(board: Board) -> int:
    """MIDR_EL1, the core's identification register."""
    return ARM << 24 | board.variant << 20 | ARCHITECTURE << 16 | board.part << 4 | board.revision


def view(root: Path, cpu: str) -> Path:
    """A folder that shows the userland `root` as it would look on the board of this core."""
    board, shown = BOARDS[cpu], root / "board" / cpu
    files = {"proc/cpuinfo": cpuinfo(board)} | {f"sys/devices/system/cpu/{n}": t for n, t in _processors(board).items()}
    for name, text in files.items():
        (shown / name).parent.mkdir(parents=True, exist_ok=True)
        (shown / name).write_text(text)
    for entry in root.iterdir():
        if entry.name not in OWN and not (shown / entry.name).is_symlink():
            (shown / entry.name).symlink_to(f"../../{entry.name}")
    return shown


def command(root: Path, cpu: str, script: Sequence[str]) -> tuple[list[str], list[str]]:
    """Words that run a Python script in the userland: (options of QEMU, program and arguments).

    The emulator must be started without this machine's PYTHONPATH, PYTHONHOME and LD_LIBRARY_PATH. One thread, and a
    fixed order of sets and dicts, so that instruction counts repeat.
    """
    shown = view(root.resolve(), cpu)
    variables = {
        "PYTHONPATH": f"{shown}/site",
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONHASHSEED": "0",
        "OMP_NUM_THREADS": "1",
        "LD_LIBRARY_PATH": f"{shown}/usr/lib/aarch64-linux-gnu",
    }
    options = ["-cpu", cpu, "-L", str(shown), *(w for k, v in variables.items() for w in ("-E", f"{k}={v}"))]
    return options, [f"{shown}/usr/bin/python3", *script]


def _processors(board: Board) -> dict[str, str]:
    """Files below /sys/devices/system/cpu."""
    last = board.cores - 1
    files = dict.fromkeys(("possible", "present", "online"), f"0-{last}\n") | {"kernel_max": f"{last}\n"}
    for number in range(board.cores):
        core = {
            "topology/physical_package_id": "0",
            "topology/core_id": f"{number}",
            "topology/cluster_id": "0",
            "topology/thread_siblings_list": f"{number}",
            "topology/core_siblings": f"{(1 << board.cores) - 1:x}",
            "cpufreq/cpuinfo_max_freq": f"{board.mhz}000",
            "cpufreq/cpuinfo_min_freq": "600000",
            "cpufreq/scaling_cur_freq": f"{board.mhz}000",
            "regs/identification/midr_el1": f"{identification(board):#018x}",
        }
        core |= {f"topology/{kind}_list": f"0-{last}" for kind in ("core_siblings", "package_cpus", "cluster_cpus")}
        kinds = (("Data", 1), ("Instruction", 1), ("Unified", 2))
        for index, ((kind, level), size) in enumerate(zip(kinds, board.caches_kib, strict=True)):
            core |= {
                f"cache/index{index}/level": f"{level}",
                f"cache/index{index}/type": kind,
                f"cache/index{index}/size": f"{size}K",
                f"cache/index{index}/coherency_line_size": "64",
                f"cache/index{index}/shared_cpu_list": f"0-{last}" if level == 2 else f"{number}",
            }
        files |= {f"cpu{number}/{name}": f"{text}\n" for name, text in core.items()}
    return files
