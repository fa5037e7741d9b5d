"""What `shoestring compile` hands out: a library, a program for the command line, or the C itself, with its figures."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from shoestring.base import disk
from shoestring.base.errors import StorageError, UsageError
from shoestring.native.build import ARITHMETIC
from shoestring.native.compiling import LINKED, MOST_THREADS, build_library, build_runner, prepare, write_sources
from shoestring.native.form import Dequantize, Program, Quantize
from shoestring.native.targets import Target, aliases, target_named, targets
from shoestring.native.vectors import VECTORS

Kind = Literal["library", "program", "source"]
LONGEST_NAME = 63


@dataclass(frozen=True)
class Operators:
    """How many operators of a program compute on what.

    Args:
        integer: read 8-bit codes.
        real: read float32.
        between: quantize or dequantize.
    """

    integer: int
    real: int
    between: int


@dataclass(frozen=True)
class Delivered:
    """What was written.

    Args:
        kind: of it.
        path: file, or folder of sources.
        targets: best first.
        compiler: name and version; None for sources.
        threads: most that it can use.
        arena_bytes: working memory for one thread, of the first target.
        weights_bytes: of all targets together.
        code_bytes: the file without its weights; for sources the bytes of the C file.
        operators: of the program.
        notes: of the front.
        flags: that sources must be compiled with (gcc, clang), so that they give the same bits; else none.
    """

    kind: Kind
    path: Path
    targets: tuple[str, ...]
    compiler: str | None
    threads: int
    arena_bytes: int
    weights_bytes: int
    code_bytes: int
    operators: Operators
    notes: tuple[str, ...]
    flags: tuple[str, ...] = ()


def program_name(text: str) -> str:
    """A C identifier after a file's name: `MobileNet-v2.onnx` -> `mobilenet_v2`."""
    name = re.sub(r"\W+", "_", Path(text).stem, flags=re.ASCII).strip("_").lower()
    return (name if re.match(r"[a-z]", name) else f"model_{name}".rstrip("_"))[:LONGEST_NAME]


def pick_targets(names: Sequence[str], isa: Collection[str], arch: str) -> tuple[Target, ...]:
    """Targets by name, the most specific first, as a library asks the processor for them.

    Args:
        names: of targets or boards; none takes the best for the machine that there are kernels for.
        isa, arch: of the machine, by our names.

    Raises:
        UsageError: an unknown name, two architectures, or a target that another one always comes before.
    """
    if not names:
        return (next(row for row, _ in known_targets() if row.runs_on(isa, arch)),)
    wanted = {target_named(name).name for name in names}
    found = tuple(row for row in targets() if row.name in wanted)
    if len({row.arch for row in found}) > 1:
        raise UsageError(
            "one library cannot hold " + " and ".join(f"{row.name} ({row.arch})" for row in found),
            hint="compile once for each architecture",
        )
    for number, row in enumerate(found):
        before = next((other for other in found[:number] if set(other.isa) <= set(row.isa)), None)
        if before is not None:
            raise UsageError(
                f"{row.name} would never be picked: {before.name} runs on every processor that has it",
                hint=f"leave out {before.name} or {row.name}",
            )
    return found


def known_targets() -> list[tuple[Target, list[str]]]:
    """Targets that there are kernels for, with their other names."""
    return [
        (row, [one.name for one in aliases() if one.target == row.name]) for row in targets() if row.vector in VECTORS
    ]


def deliver(
    model: Path | bytes,
    name: str,
    wanted: Sequence[Target],
    kind: Kind,
    out: Path,
    *,
    threads: int = 1,
    cc: str | None = None,
) -> Delivered:
    """Compile a model and write it, whole or not at all.

    Args:
        model: ONNX, normalised.
        name: C identifier, lower case.
        wanted: from `pick_targets`; more than one only for a library.
        kind: of what is written.
        out: file, or for sources a folder, which may exist.
        threads: most threads, 1 to MOST_THREADS.
        cc: compiler, or None to look for one.

    Raises:
        ModelError: the model cannot be compiled; all refused operators are named.
        UsageError, MissingExtraError: arguments that do not fit together, or no compiler.
        ChildError: the compiler failed.
        StorageError: the disk refused.
    """
    first = wanted[0]
    _check(wanted, kind, out, threads)
    program = prepare(model, name)
    operators = count_operators(program)
    names = tuple(target.name for target in wanted)
    if kind == "source":
        sizes = _write_folder(program, first, threads, out)
        flags = (*ARITHMETIC, *first.gcc_flags, LINKED, *(["-pthread"] if threads > 1 else []))
        return Delivered(kind, out, names, None, threads, *sizes, operators, program.notes, flags)
    if kind == "library":
        made = build_library(program, wanted, threads, out, cc)
    else:
        made = build_runner(program, first, threads, out, cc)
    code = out.stat().st_size - made.weights_bytes
    return Delivered(
        kind, out, names, made.compiler, threads, made.arena_bytes, made.weights_bytes, code, operators, made.notes
    )


def count_operators(program: Program) -> Operators:
    """Operators by what they read."""
    between = sum(isinstance(op, Quantize | Dequantize) for op in program.ops)
    integer = sum(
        program.values[op.inputs[0]].kind == "i8" for op in program.ops if not isinstance(op, Quantize | Dequantize)
    )
    return Operators(integer, len(program.ops) - between - integer, between)


def _check(wanted: Sequence[Target], kind: Kind, out: Path, threads: int) -> None:
    """Everything that can be known before the work begins."""
    first = wanted[0]
    if not 1 <= threads <= MOST_THREADS:
        raise UsageError(f"{threads} threads are outside 1..{MOST_THREADS}", hint="one thread for each core at most")
    if len(wanted) > 1 and kind != "library":
        raise UsageError(
            f"a {kind} is for one target, not for {len(wanted)}", hint="only a library picks when it is loaded"
        )
    if first.system == "bare":
        if kind != "source":
            raise UsageError(
                f"{first.name} has no operating system to load a {kind}",
                hint="take --kind source and compile it with the firmware",
            )
        if threads > 1:
            raise UsageError(f"{first.name} has no operating system to start threads", hint="compile for one thread")
    if not out.parent.is_dir():
        raise StorageError(f"the folder {out.parent} does not exist", hint="create it, or write elsewhere")
    if out.exists() and out.is_dir() != (kind == "source"):
        raise StorageError(
            f"{out} is there already and is {'a folder' if out.is_dir() else 'no folder'}", hint="write elsewhere"
        )


def _write_folder(program: Program, target: Target, threads: int, out: Path) -> tuple[int, int, int]:
    """Sources into a folder: all are on the disk beside it before the first one takes its place.

    Returns:
        Bytes of arena, weights and C.
    """
    with disk.storage_errors(out):
        scratch = tempfile.TemporaryDirectory(prefix=f".{out.name}.", suffix=".part", dir=out.parent)
    with scratch as name:
        folder = disk.make_directory(Path(name) / "sources")
        emitted = write_sources(program, target, threads, folder)
        if not out.exists():
            disk.replace(folder, out)
        else:
            for file in sorted(folder.iterdir()):
                disk.replace(file, out / file.name)
    return emitted.arena_bytes, len(emitted.weights), len(emitted.source.encode())


__all__ = [
    "Delivered",
    "Kind",
    "Operators",
    "count_operators",
    "deliver",
    "known_targets",
    "pick_targets",
    "program_name",
]
