"""Compilers: find one that builds for a target, run it, and put what it makes in its place whole or not at all.

Every program is compiled with the same flags that decide arithmetic: no contraction of products and sums, no fast-math.
"""

from __future__ import annotations

import functools
import importlib.util
import os
import platform
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from shoestring.base import cache, disk
from shoestring.base.errors import ChildError, ChildTimeoutError, MissingExtraError, UsageError
from shoestring.chips.host import ARCHES
from shoestring.native.targets import ANY_ARCH, Target, targets

Kind = Literal["library", "program", "object"]

ARITHMETIC = ("-std=c11", "-O3", "-ffp-contract=off", "-fno-math-errno")
WARNINGS = ("-Wall", "-Wextra", "-Wconversion")
"""Generated code is clean under these; tests add -Werror."""

TIMEOUT_SECONDS = 600.0
QUESTION_SECONDS = 30.0
MAX_ERROR_CHARACTERS = 300

_GCC_NAMES = {"x86_64": r"x86_64|amd64", "aarch64": r"aarch64|arm64", "armv7l": r"arm", "armv7em": r"arm"}
"""Our name of an architecture -> what `-dumpmachine` begins with; others are the same."""

SHARED_LIBC = {"x86_64": "-mcpu=x86_64", "aarch64": "-mcpu=generic"}
"""Architectures with several targets -> the processor that the C library of a program is built for."""

_ERROR_LINE = re.compile(r"^(?!.*\bIn file included\b).*\b(?:error|undefined|cannot|No such)\b.*$", re.MULTILINE)


@dataclass(frozen=True)
class Compiler:
    """A C compiler with a driver like gcc's.

    Args:
        command: its words.
        family: decides which flags of a target it is given; clang takes gcc's.
        found: where, for people: `--cc`, `$CC`, `the package ziglang`, `PATH`.
    """

    command: tuple[str, ...]
    family: Literal["zig", "gcc"]
    found: str

    def version(self) -> str:
        """Its name and version in one line, like `zig 0.13.0` or `gcc (Debian 12.2.0-14) 12.2.0`. Raises ChildError."""
        if self.family == "zig":
            return f"zig {_answer((*self.command[:-1], 'version'))}"
        return _answer((*self.command, "--version"))

    def machine(self) -> str:
        """What it compiles for when not told otherwise, like `x86_64-linux-gnu`. Raises ChildError."""
        return _answer((*self.command, "-dumpmachine"))


def find_compiler(target: Target, cc: str | None = None) -> Compiler:
    """A compiler for `target`.

    Looked for in this order: `cc`, `$CC` where it compiles for the target (it often names the compiler of this machine
    alone), the package ziglang, the target's cross-compiler, and cc on a machine of the target's architecture. For a
    microcontroller its cross-compiler comes before ziglang, which has no C library to link there.

    Args:
        target: what to compile for.
        cc: a command as a shell would read it, with options if need be, like `clang --target=aarch64-linux-gnu`.

    Raises:
        UsageError: `cc` is not there or compiles for another machine.
        MissingExtraError: none of the others is there.
        ChildError: a compiler that is there does not answer.
    """
    if cc is not None:
        compiler = _spoken(cc, "--cc")
        if compiler is None:
            raise UsageError(f"there is no compiler {cc!r}", hint="name a command on PATH, or leave --cc out")
        if not _suits(compiler, target):
            raise UsageError(
                f"{cc!r} compiles for {compiler.machine()}, not for the target {target.name}",
                hint=f"leave --cc out, or name a compiler like {target.cross_cc or 'cc'}",
            )
        return compiler
    spoken = _spoken(os.environ.get("CC", ""), "$CC")
    if spoken is not None and _suits(spoken, target):
        return spoken
    cross = _spoken(target.cross_cc or "", "PATH")
    if cross is not None and target.system == "bare":
        return cross
    if importlib.util.find_spec("ziglang") is not None:
        return Compiler((sys.executable, "-m", "ziglang", "cc"), "zig", "the package ziglang")
    for found in (cross, *(_spoken(name, "PATH") for name in ("cc", "gcc", "clang"))):
        if found is not None and _suits(found, target):
            return found
    raise MissingExtraError("ziglang", "native")


def build(
    compiler: Compiler,
    target: Target,
    sources: Sequence[Path],
    out: Path,
    kind: Kind,
    *,
    libraries: Sequence[str] = ("m",),
    threads: bool = False,
    extra_flags: Sequence[str] = (),
    timeout_seconds: float = TIMEOUT_SECONDS,
) -> Path:
    """Compile C files into one file.

    A library exports only what asks for it. A program of a Linux target is static: it needs nothing of the board.

    Args:
        compiler: of `find_compiler`.
        target: what to compile for.
        sources: C files, assembler files or objects.
        out: the file to make; what was there stays until the new one is whole.
        kind: shared library, program or object file (of a single source).
        libraries: names after -l.
        threads: link the thread library.
        extra_flags: added last.
        timeout_seconds: for the compiler.

    Returns:
        `out`.

    Raises:
        UsageError: the target has no such kind of file.
        ChildError: the compiler failed; the message holds its first error.
        ChildTimeoutError: it ran too long.
        StorageError: the disk refused.
    """
    _check_kind(compiler, target, kind, len(sources))
    if threads and target.system == "bare":
        raise UsageError(f"{target.name} has no operating system to start threads", hint="compile for one thread")
    with tempfile.TemporaryDirectory(prefix="shoestring-build-") as folder:
        made = Path(folder) / out.name
        inputs = [str(source.resolve()) for source in sources]
        if _shares_libc(compiler, target, kind):
            inputs = _objects(compiler, target, inputs, Path(folder), threads, extra_flags, timeout_seconds)
        links = [f"-l{name}" for name in libraries] if kind != "object" else []
        command = [*flags(compiler, target, kind, threads=threads), *extra_flags, *inputs, "-o", str(made), *links]
        _run([*compiler.command, *command], timeout_seconds, Path(folder), out.name)
        disk.write_bytes(out, made.read_bytes(), mode=0o777 if kind == "program" else 0o666)
    return out


def flags(compiler: Compiler, target: Target, kind: Kind, *, threads: bool = False) -> tuple[str, ...]:
    """Everything a compiler is told except file names and libraries."""
    words = [*ARITHMETIC, "-g0", "-fvisibility=hidden"]
    if compiler.family == "zig":
        triple = zig_triple(target, static=kind == "program")
        processor = SHARED_LIBC.get(target.arch) if _shares_libc(compiler, target, kind) else None
        words += ["-fno-sanitize=undefined", *(["-target", triple] if triple else [])]
        words += target.zig_flags if processor is None else [processor]
    else:
        words += target.gcc_flags
    if target.system == "bare":
        words += ["-fno-pic", "-fno-unwind-tables", "-fno-asynchronous-unwind-tables"]
    words += {
        "library": ["-shared", "-fPIC", "-s"],
        "program": ["-s"] if target.system == "bare" else ["-static", "-s"],
        "object": ["-c"],
    }[kind]
    return (*words, "-pthread") if threads else tuple(words)


def _shares_libc(compiler: Compiler, target: Target, kind: Kind) -> bool:
    """Whether a program is linked with the C library that all processors of its architecture share.

    Zig builds that library from source, 20 s and more, for each processor that it is told. Our own code is compiled for
    the target's one all the same.
    """
    return compiler.family == "zig" and kind == "program" and target.arch in SHARED_LIBC


def _objects(
    compiler: Compiler,
    target: Target,
    inputs: Sequence[str],
    folder: Path,
    threads: bool,
    extra_flags: Sequence[str],
    timeout_seconds: float,
) -> list[str]:
    """Compile every source for the target's processor, to be linked into a program; objects stay what they are."""
    triple = zig_triple(target, static=True)
    words = [
        word if word != zig_triple(target) else triple for word in flags(compiler, target, "object", threads=threads)
    ]
    made = []
    for number, source in enumerate(inputs):
        if source.endswith(".o"):
            made.append(source)
            continue
        made.append(str(folder / f"{number}.o"))
        _run(
            [*compiler.command, *words, *extra_flags, source, "-o", made[-1]],
            timeout_seconds,
            folder,
            Path(source).name,
        )
    return made


def zig_triple(target: Target, *, static: bool = False) -> str:
    """Zig's name of the machine to compile for, empty for one that only zig itself can tell.

    Args:
        target: portable C takes the triple that another target of this machine's architecture has.
        static: with musl, the C library that is made to be linked into a program.
    """
    triple = target.zig_triple
    if triple == "native":
        arch = host_arch()
        triple = next((row.zig_triple for row in targets() if row.arch == arch), "")
    return re.sub(r"-gnu(\w*?)\.[\d.]+$", r"-musl\1", triple) if static else triple


def host_arch() -> str:
    """This machine's architecture by Linux's name."""
    name = platform.machine().lower()
    return ARCHES.get(name, name)


def _check_kind(compiler: Compiler, target: Target, kind: Kind, sources: int) -> None:
    if kind == "object" and sources != 1:
        raise UsageError(f"an object file is made of one source, not of {sources}")
    if target.system != "bare" or kind == "object":
        return
    if kind == "library" or compiler.family == "zig":
        raise UsageError(
            f"{target.name} has no operating system: {compiler.command[-1]} cannot make a {kind} for it",
            hint=f"make an object file, and link it with the firmware ({target.cross_cc})",
        )


def _spoken(words: str, found: str) -> Compiler | None:
    """The compiler that a command names, or None where there is no such command. Raises UsageError."""
    try:
        command = tuple(shlex.split(words))
    except ValueError as error:
        raise UsageError(f"{found} cannot be read as a command: {words!r}: {error}") from None
    if not command or shutil.which(command[0]) is None:
        return None
    zig = "zig" in (Path(command[0]).name, *command) or "ziglang" in command
    return Compiler(command, "zig" if zig else "gcc", found)


def _suits(compiler: Compiler, target: Target) -> bool:
    """Whether the compiler makes programs for the target's architecture and kind of system."""
    if compiler.family == "zig":
        return True
    machine = compiler.machine()
    arch = host_arch() if target.arch == ANY_ARCH else target.arch
    bare = "linux" not in machine
    return re.match(_GCC_NAMES.get(arch, re.escape(arch)), machine) is not None and bare == (target.system == "bare")


@functools.cache
def _answer(command: tuple[str, ...]) -> str:
    """First line that a compiler says."""
    with tempfile.TemporaryDirectory(prefix="shoestring-build-") as folder:
        return _run(command, QUESTION_SECONDS, Path(folder), "its version").partition("\n")[0].strip()


def _run(command: Sequence[str], seconds: float, folder: Path, subject: str) -> str:
    """Run a compiler and return what it says on stdout. Its own temporary files go to `folder`."""
    name = shlex.join(command[: command.index("cc") + 1] if "cc" in command else command[:1])
    try:
        done = subprocess.run(
            command,
            capture_output=True,
            stdin=subprocess.DEVNULL,
            text=True,
            errors="replace",
            timeout=seconds,
            cwd=folder,
            env=_environment(folder),
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise ChildTimeoutError(
            f"{name} ran longer than {seconds:.0f} s on {subject}", hint="give it more time, or a smaller model"
        ) from None
    except OSError as error:
        raise ChildError(f"{name} cannot be started: {error.strerror}", hint="name another compiler") from None
    if done.returncode != 0:
        raise ChildError(
            f"{name} failed on {subject} (exit {done.returncode}): {_first_error(done.stderr)}",
            hint="try another compiler (--cc)",
        )
    return done.stdout


def _first_error(stderr: str) -> str:
    match = _ERROR_LINE.search(stderr)
    line = match[0] if match else stderr.strip().partition("\n")[0]
    return line.strip()[:MAX_ERROR_CHARACTERS] or "it said nothing"


def _environment(folder: Path) -> Mapping[str, str]:
    """Zig keeps the C libraries that it has built, some 10 s each, beside our own cache or where the user says."""
    store = os.environ.get("ZIG_GLOBAL_CACHE_DIR") or str(disk.make_directory(cache.default_root() / "zig"))
    return {
        **os.environ,
        "LC_ALL": "C",
        "TMPDIR": str(folder),
        "ZIG_GLOBAL_CACHE_DIR": store,
        "ZIG_LOCAL_CACHE_DIR": store,
    }


__all__ = ["ARITHMETIC", "WARNINGS", "Compiler", "build", "find_compiler", "flags", "zig_triple"]
