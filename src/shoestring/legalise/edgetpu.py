"""The Edge TPU's own compiler: called where it is installed, its log read; elsewhere the commands to run it.

It is a closed program for x86-64 Linux (https://coral.ai/docs/edgetpu/compiler/). The log is read as versions 2, 15 and
16 print it: a head of sizes, then a table of operator, count and status.
"""

from __future__ import annotations

import re
import shutil
from dataclasses import dataclass
from pathlib import Path

from shoestring.base.child import ChildLimits, run_in_child
from shoestring.base.errors import ChildError, ModelError

NAME = "edgetpu_compiler"
MAPPED = "Mapped to Edge TPU"
SECONDS = 600.0
MEMORY_BYTES = 8 * 1024**3
"""Address space of the compiler: it takes some hundred MB for the largest published models."""

UNITS = {"B": 1, "KiB": 1024, "MiB": 1024**2, "GiB": 1024**3}
_SIZE = r"([0-9.]+)\s*(B|KiB|MiB|GiB)\b"
_VERSION = re.compile(r"Edge TPU Compiler version (\S+)")
_ROW = re.compile(r"^([A-Z][A-Z0-9_]*|custom)[ \t]+(\d+)[ \t]+(\S.*?)[ \t]*$", re.MULTILINE)
_HEADS = {
    "on_chip_bytes": re.compile("On-chip memory used for caching model parameters: " + _SIZE),
    "left_bytes": re.compile("On-chip memory (?:remaining|available) for caching model parameters: " + _SIZE),
    "streamed_bytes": re.compile("Off-chip memory used for streaming uncached model parameters: " + _SIZE),
}
_SUBGRAPHS = re.compile(r"Number of Edge TPU subgraphs: (\d+)")
_TOTAL = re.compile(r"Total number of operations: (\d+)")

INSTALL = (
    "curl -fsSL https://packages.cloud.google.com/apt/doc/apt-key.gpg | sudo tee /etc/apt/keyrings/coral.asc",
    "echo 'deb [signed-by=/etc/apt/keyrings/coral.asc] https://packages.cloud.google.com/apt coral-edgetpu-stable main'"
    " | sudo tee /etc/apt/sources.list.d/coral-edgetpu.list",
    "sudo apt-get update && sudo apt-get install edgetpu-compiler",
)
"""On Debian or Ubuntu for x86-64, from the repository that Coral's page names."""


@dataclass(frozen=True)
class Counted:
    """One line of the compiler's table: so many operators of TensorFlow Lite, and what became of them."""

    operator: str
    count: int
    status: str


@dataclass(frozen=True)
class Compiled:
    """What the compiler said.

    Args:
        version: of the compiler.
        rows: of its table.
        on_chip_bytes: of weights that stay on the chip.
        left_bytes: of its memory that weights may still take.
        streamed_bytes: of weights that cross the link at every inference.
        subgraphs: that run on the chip.
        path: of the compiled model.
    """

    version: str
    rows: tuple[Counted, ...]
    on_chip_bytes: int
    left_bytes: int
    streamed_bytes: int
    subgraphs: int
    path: Path | None = None

    @property
    def mapped(self) -> int:
        """Operators on the chip."""
        return sum(row.count for row in self.rows if row.status == MAPPED)

    @property
    def total(self) -> int:
        return sum(row.count for row in self.rows)


def find_compiler() -> str | None:
    """Path of the compiler, or None where it is not installed."""
    return shutil.which(NAME)


def command(model: Path, folder: Path, compiler: str = NAME) -> tuple[str, ...]:
    """How it is called: -s prints the table of operators."""
    return (compiler, "-s", "-o", str(folder), str(model))


def by_hand(model: Path) -> tuple[str, ...]:
    """What to type where the compiler is not installed: its installation, then the call."""
    return (*INSTALL, " ".join(command(model, Path())))


def compile_model(model: Path, folder: Path, compiler: str) -> Compiled:
    """Compile a TFLite model.

    Args:
        model: full-integer TFLite.
        folder: that the compiled model is written to.
        compiler: path of the program.

    Raises:
        ModelError: it refuses the model.
        ChildError: it does not end in time, dies, or says what cannot be read.
    """
    call = list(command(model.absolute(), folder.absolute(), compiler))
    limits = ChildLimits(SECONDS, MEMORY_BYTES)
    said = run_in_child("shoestring.legalise.edgetpu_child:run", {"command": call, "folder": str(folder)}, limits)
    if said["code"] != 0:
        last = [line for line in said["words"].splitlines() if line.strip()][-1:] or ["it said nothing"]
        raise ModelError(
            f"{NAME} refuses {model.name} (exit {said['code']}): {last[0][:300]}",
            hint="it takes full-integer TFLite of static shapes only",
        )
    path = folder / f"{model.stem}_edgetpu.tflite"
    if not path.is_file():
        raise ChildError(f"{NAME} ended well and wrote no {path.name}", hint=f"run it by hand: {' '.join(call)}")
    return read_log(said["words"], path)


def read_log(text: str, path: Path | None = None) -> Compiled:
    """What a log says.

    Raises:
        ChildError: it is not one, or its table does not add up to its own total.
    """
    version, total = _VERSION.search(text), _TOTAL.search(text)
    sizes = {name: pattern.search(text) for name, pattern in _HEADS.items()}
    rows = tuple(Counted(name, int(count), status) for name, count, status in _ROW.findall(text))
    if version is None or total is None or not rows or any(found is None for found in sizes.values()):
        raise ChildError(f"the log of {NAME} cannot be read: {text[:200]!r}", hint="say which version it is")
    if sum(row.count for row in rows) != int(total[1]):
        raise ChildError(
            f"the log of {NAME} counts {total[1]} operators, and its table {sum(row.count for row in rows)}",
            hint="call it with -s, which prints the whole table",
        )
    subgraphs = _SUBGRAPHS.search(text)
    found = {name: round(float(match[1]) * UNITS[match[2]]) for name, match in sizes.items() if match is not None}
    return Compiled(version[1], rows, **found, subgraphs=int(subgraphs[1]) if subgraphs else 1, path=path)
