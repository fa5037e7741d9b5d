"""From an ONNX file to C, and from C to a library or a program that runs by itself."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from shoestring.base import disk
from shoestring.base.errors import UsageError
from shoestring.native.build import build, find_compiler
from shoestring.native.check import check
from shoestring.native.emit.source import Emitted, emit, kernel
from shoestring.native.form import Port, Program
from shoestring.native.front import read_program
from shoestring.native.passes.fold_flatten import fold_flatten
from shoestring.native.targets import Target

MOST_THREADS = 16
LINKED = "-DSHOESTRING_WEIGHTS_LINKED"


@dataclass(frozen=True)
class Compiled:
    """A library or program on disk.

    Args:
        path: of the file.
        about: what it says of itself, of the first target.
        compiler: name and version of what compiled it.
        arena_bytes: working memory for one thread.
        weights_bytes: of the weights inside.
        notes: of the front.
    """

    path: Path
    about: dict[str, object]
    compiler: str
    arena_bytes: int
    weights_bytes: int
    notes: tuple[str, ...]


def prepare(model: Path | bytes, name: str) -> Program:
    """The program of an ONNX file as the back takes it: read, rewritten, checked.

    Raises:
        ModelError: an operator, shape or scale that cannot be compiled; all refused operators are named at once.
        UsageError: `name` is no C identifier.
    """
    if not re.fullmatch(r"[a-z_][a-z0-9_]{0,62}", name):
        raise UsageError(
            f"{name!r} cannot name C functions", hint="use up to 63 lower-case letters, digits and _, no digit first"
        )
    program = fold_flatten(read_program(model, name))
    check(program)
    return program


def write_sources(program: Program, target: Target, threads: int, folder: Path) -> Emitted:
    """Write NAME.c, NAME.h, NAME.weights, NAME_weights.S and NAME_run.c into a folder.

    Args:
        program: from `prepare`.
        target: what the C is for.
        threads: most threads, 1 to MOST_THREADS.
        folder: exists.
    """
    if not 1 <= threads <= MOST_THREADS:
        raise UsageError(f"{threads} threads are outside 1..{MOST_THREADS}", hint="one thread for each core at most")
    emitted = emit(program, target, threads)
    texts = {
        f"{program.name}.c": emitted.source,
        f"{program.name}.h": emitted.header,
        f"{program.name}_weights.S": _assembler(program.name),
        f"{program.name}_run.c": _runner(program, emitted, threads),
    }
    disk.write_bytes(folder / f"{program.name}.weights", emitted.weights)
    for file, text in texts.items():
        disk.write_text(folder / file, text)
    return emitted


def compile_library(
    model: Path | bytes, name: str, target: Target | Sequence[Target], threads: int, out: Path, cc: str | None = None
) -> Compiled:
    """A shared library that the runtime `native` loads.

    Args:
        model: ONNX file.
        name: C identifier, lower case.
        target: one, or several of one architecture, best first: the library picks by what the processor has.
        threads: most threads.
        out: file to write.
        cc: compiler, or None to look for one.

    Raises:
        ModelError: see `prepare`.
        UsageError, MissingExtraError: no compiler, or none for this target.
        ChildError: the compiler failed.
    """
    program = prepare(model, name)
    return build_library(program, [target] if isinstance(target, Target) else list(target), threads, out, cc)


def build_library(
    program: Program, targets: Sequence[Target], threads: int, out: Path, cc: str | None = None
) -> Compiled:
    """As `compile_library`, from a prepared program."""
    if len({target.arch for target in targets}) != 1:
        raise UsageError("a library holds targets of one architecture", hint="compile one library for each")
    compiler = find_compiler(targets[0], cc)
    emitted: list[Emitted] = []
    with tempfile.TemporaryDirectory(prefix="shoestring-native-") as scratch:
        objects = []
        for number, target in enumerate(targets):
            folder = disk.make_directory(Path(scratch) / str(number))
            one = program if len(targets) == 1 else _renamed(program, f"{program.name}_{number}")
            emitted.append(write_sources(one, target, threads, folder))
            for source in (f"{one.name}.c", f"{one.name}_weights.S"):
                objects.append(
                    build(
                        compiler,
                        target,
                        [folder / source],
                        folder / f"{source}.o",
                        "object",
                        extra_flags=[LINKED, "-fPIC", f"-I{folder}"],
                    )
                )
        chooser = Path(scratch) / "choose.c"
        disk.write_text(chooser, _chooser(program.name, targets))
        disk.write_text(Path(scratch) / "program.h", kernel("program.h"))
        baseline = targets[-1]
        build(
            compiler,
            baseline,
            [chooser, *objects],
            out,
            "library",
            threads=threads > 1,
            extra_flags=[f"-I{scratch}", "-Wl,-z,noexecstack"],
        )
    first = emitted[0]
    return Compiled(
        out,
        first.about,
        compiler.version(),
        first.arena_bytes,
        sum(len(one.weights) for one in emitted),
        program.notes,
    )


def build_runner(program: Program, target: Target, threads: int, out: Path, cc: str | None = None) -> Compiled:
    """A program for the command line: reads arrays from files, writes the outputs to files."""
    compiler = find_compiler(target, cc)
    with tempfile.TemporaryDirectory(prefix="shoestring-native-") as scratch:
        folder = Path(scratch)
        emitted = write_sources(program, target, threads, folder)
        sources = [folder / f"{program.name}{end}" for end in (".c", "_weights.S", "_run.c")]
        build(compiler, target, sources, out, "program", threads=threads > 1, extra_flags=[LINKED, f"-I{folder}"])
    return Compiled(out, emitted.about, compiler.version(), emitted.arena_bytes, len(emitted.weights), program.notes)


def _renamed(program: Program, name: str) -> Program:
    return replace(program, name=name)


def _assembler(name: str) -> str:
    """The weights as an object: any assembler of gcc or clang takes it."""
    return (
        "/* The weights, linked into the program. */\n"
        f'    .section .rodata,"a"\n    .balign 64\n    .globl {name}_weights\n{name}_weights:\n'
        f'    .incbin "{name}.weights"\n'
        '#if defined(__linux__) && defined(__ELF__)\n    .section .note.GNU-stack,"",%progbits\n#endif\n'
    )


def _chooser(name: str, targets: Sequence[Target]) -> str:
    """`shoestring_program`: the first program whose instruction sets the processor has."""
    lines = [kernel("cpu.h"), '#include "program.h"', ""]
    names = [name] if len(targets) == 1 else [f"{name}_{i}" for i in range(len(targets))]
    lines += [f"extern const shoestring_program_t {one}_program;" for one in names]
    lines += ["", '__attribute__((visibility("default"))) const shoestring_program_t *shoestring_program(void) {']
    for one, target in zip(names, targets, strict=True):
        conditions = " && ".join(f'ss_cpu_has("{isa}")' for isa in target.isa) or "true"
        lines.append(f"    if ({conditions}) return &{one}_program;")
    return "\n".join([*lines, "    return NULL;", "}", ""])


def _runner(program: Program, emitted: Emitted, threads: int) -> str:
    def bytes_of(port: Port) -> int:
        return int(program.values[port.value].count) * np.dtype(port.dtype).itemsize

    buffers, arrays = [], {}
    for kind, ports in (("input", program.inputs), ("output", program.outputs)):
        names = [f"{kind}_{i}" for i in range(len(ports))]
        buffers += [
            f"static _Alignas(64) unsigned char {one}[{bytes_of(port)}];"
            for one, port in zip(names, ports, strict=True)
        ]
        arrays[f"{kind.upper()}_ARRAYS"] = ", ".join(names)
        arrays[f"{kind.upper()}_BYTES"] = ", ".join(str(bytes_of(port)) for port in ports)
    values = {
        "NAME": program.name,
        "UPPER": program.name.upper(),
        "RUNNER_ARENA": str(emitted.plan.arena_bytes(threads)),
        "BUFFERS": "\n".join(buffers),
        **arrays,
    }
    text = kernel("runner.c")
    for key, value in values.items():
        text = text.replace(f"@{key}@", value)
    return text
