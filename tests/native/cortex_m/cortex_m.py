"""Compiled programs on an emulated Cortex-M7: answers and instructions per inference.

Needs the Debian packages qemu-system-arm, gcc-arm-none-eabi and libnewlib-arm-none-eabi; gcc too, to count.
"""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from emulation import boards
from shoestring.native.build import WARNINGS, Compiler, build
from shoestring.native.targets import target_named

HERE = Path(__file__).parent
QEMU = "qemu-system-arm"
CROSS = "arm-none-eabi-gcc"
MACHINE = ("-machine", "mps2-an500", "-nographic", "-monitor", "none", "-serial", "none")
SEMIHOSTING = ("-semihosting-config", "enable=on,target=native")
RUN_SECONDS = 300.0
KERNELS = Path(__file__).parents[3] / "src" / "shoestring" / "native" / "kernels"


@dataclass(frozen=True)
class Answer:
    """Of a program on the board.

    Args:
        outputs: bytes of each output after the last run.
        instructions: of one inference, or None when they were not counted.
        firmware_bytes: code and constants, weights included.
    """

    outputs: tuple[bytes, ...]
    instructions: int | None
    firmware_bytes: int


def missing() -> str | None:
    """Which needed command is not installed, or None."""
    return next((name for name in (QEMU, CROSS) if shutil.which(name) is None), None)


def run(
    sources: Sequence[Path],
    inputs: Sequence[bytes],
    output_bytes: Sequence[int],
    *,
    count: bool = False,
    target: str = "cortex-m7",
    flags: Sequence[str] = (),
) -> Answer:
    """Build firmware around a program, run it, and read its outputs.

    Args:
        sources: C files of the program, weights included.
        inputs: bytes of each input port, at most 10.
        output_bytes: size of each output port, at most 10.
        count: count instructions too: the firmware is run for one and for two inferences.
        target: `cortex-m7` or `cortex-m4`; the board is the M7's.
        flags: more flags for the compiler, like include directories.

    Raises:
        ChildError: the firmware does not build.
        RuntimeError: it fails on the board; the message holds its last words.
    """
    with tempfile.TemporaryDirectory(prefix="shoestring-board-") as name:
        folder = Path(name)
        for number, data in enumerate(inputs):
            (folder / f"i{number}").write_bytes(data)
        sizes = ([len(data) for data in inputs], list(output_bytes))
        once = _firmware(folder / "once.elf", sources, sizes, 1, target, flags)
        _run([QEMU, *_board(once)], folder)
        outputs = tuple((folder / f"o{number}").read_bytes() for number in range(len(output_bytes)))
        instructions = None
        if count:
            twice = _firmware(folder / "twice.elf", sources, sizes, 2, target, flags)
            one, two = (_instructions(elf, folder) for elf in (once, twice))
            instructions = two - one
        return Answer(outputs, instructions, _code_bytes(once))


def _firmware(
    out: Path,
    sources: Sequence[Path],
    sizes: tuple[Sequence[int], Sequence[int]],
    runs: int,
    target: str,
    flags: Sequence[str],
) -> Path:
    defines = [f"-DRUNS={runs}"]
    for name, values in zip(("INPUT", "OUTPUT"), sizes, strict=True):
        defines += [f"-D{name}S={len(values)}u", f"-D{name}_BYTES={','.join(map(str, values))}"]
    options = [*defines, f"-I{HERE}", f"-I{KERNELS}", *flags, *WARNINGS]
    options += ["-nostartfiles", "--specs=nosys.specs", f"-T{HERE / 'mps2_an500.ld'}", "-Wl,--gc-sections"]
    own = [HERE / "startup.c", HERE / "firmware.c"]
    compiler = Compiler((CROSS,), "gcc", "PATH")
    return build(compiler, target_named(target), [*own, *sources], out, "program", extra_flags=options)


def _board(elf: Path) -> list[str]:
    return [*MACHINE, *SEMIHOSTING, "-kernel", str(elf)]


def _instructions(elf: Path, folder: Path) -> int:
    file = folder / f"{elf.stem}.counts"
    _run([QEMU, "-plugin", f"{boards.plugin()},out={file}", *_board(elf)], folder)
    return boards.instructions(boards.read_counts(file.read_text()))


def _run(words: Sequence[str], folder: Path) -> None:
    done = subprocess.run(words, cwd=folder, capture_output=True, text=True, timeout=RUN_SECONDS, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"the board ended with {done.returncode}: {(done.stderr or done.stdout).strip()[-300:]}")


def _code_bytes(elf: Path) -> int:
    """Text and initialised data, as arm-none-eabi-size counts them."""
    words = [CROSS.replace("gcc", "size"), str(elf)]
    done = subprocess.run(words, check=True, capture_output=True, text=True)
    text, data, *_ = done.stdout.splitlines()[1].split()
    return int(text) + int(data)
