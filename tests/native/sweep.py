"""Compiles programs, runs them, and says where their answers differ from the reference interpreter's."""

from __future__ import annotations

import dataclasses
import subprocess
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np

from shoestring.chips.host import this_machine
from shoestring.native.compiling import build_library, build_runner
from shoestring.native.form import Array, Program
from shoestring.native.interpret import run
from shoestring.native.targets import Target
from shoestring.runtimes import registry

SECONDS = 120


def runs_here(target: Target) -> bool:
    """Whether this machine's processor has the target's instruction sets."""
    machine = this_machine()
    return target.runs_on(machine.isa, machine.arch)


def merged(programs: Iterable[Program], name: str = "p_merged") -> Program:
    """One program that computes what all of them do, side by side: one run of the compiler instead of many.

    The ports of program NAME are called NAME_PORT, so names must be unique.
    """
    values, ops, inputs, outputs = {}, [], [], []
    for program in programs:

        def own(text: str, prefix: str = program.name) -> str:
            return f"{prefix}_{text}"

        values |= {own(v.name): dataclasses.replace(v, name=own(v.name)) for v in program.values.values()}
        for op in program.ops:
            names = {"name": own(op.name), "inputs": tuple(own(i) for i in op.inputs), "output": own(op.output)}
            ops.append(dataclasses.replace(op, **names))
        for ports, found in ((program.inputs, inputs), (program.outputs, outputs)):
            found += [dataclasses.replace(port, name=own(port.name), value=own(port.value)) for port in ports]
    return Program(name, values, tuple(ops), tuple(inputs), tuple(outputs), "0" * 64)


def differences(
    program: Program,
    target: Target,
    feeds: Mapping[str, Array],
    threads: int,
    cc: str | None = None,
    emulator: Sequence[str] = (),
) -> list[str]:
    """Compile, run, compare bit for bit.

    A program for this processor is loaded as a library and run twice, the second time on a used arena. Any other is
    compiled for the command line and run once under an emulator.

    Args:
        program: one that passes `check`.
        target: of a Linux system.
        feeds: inputs by port.
        threads: to run with.
        cc: compiler, or None to look for one.
        emulator: words of a command; empty for the target's own.

    Returns:
        One line for each output that differs: how often, and the first place. NaN equals NaN.
    """
    wanted = run(program, feeds, fused=target.fused)
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        if runs_here(target) and not emulator:
            answers = _loaded(program, target, feeds, threads, cc, folder)
        else:
            command = [*(emulator or target.emulator)]
            answers = [_emulated(program, target, feeds, threads, cc, command, folder)]
    return [line for found in answers for name in wanted for line in _unlike(name, wanted[name], found[name])]


def _loaded(
    program: Program, target: Target, feeds: Mapping[str, Array], threads: int, cc: str | None, folder: Path
) -> list[dict[str, Array]]:
    library = folder / "program.so"
    build_library(program, [target], threads, library, cc)
    with registry.get("native").load(library, threads) as session:
        return [session.run(feeds) for _ in range(2)]


def _emulated(
    program: Program,
    target: Target,
    feeds: Mapping[str, Array],
    threads: int,
    cc: str | None,
    emulator: list[str],
    folder: Path,
) -> dict[str, Array]:
    binary = folder / "program"
    build_runner(program, target, threads, binary, cc)
    files = []
    for number, port in enumerate(program.inputs):
        files.append(folder / f"in{number}")
        files[-1].write_bytes(np.ascontiguousarray(feeds[port.name]).tobytes())
    outs = [folder / f"out{number}" for number in range(len(program.outputs))]
    words = [*emulator, str(binary), "--threads", str(threads), *map(str, files + outs)]
    done = subprocess.run(words, capture_output=True, text=True, timeout=SECONDS, check=False)
    assert done.returncode == 0, f"{target.name} ends with {done.returncode}: {done.stderr[-500:]}"
    return {
        port.name: np.frombuffer(file.read_bytes(), port.dtype).reshape(program.values[port.value].shape)
        for port, file in zip(program.outputs, outs, strict=True)
    }


def _unlike(name: str, wanted: Array, found: Array) -> list[str]:
    if (wanted.shape, wanted.dtype) != (found.shape, found.dtype):
        return [f"{name}: {found.dtype}{found.shape} instead of {wanted.dtype}{wanted.shape}"]
    bits = np.dtype(f"u{wanted.itemsize}")
    wrong = np.ascontiguousarray(wanted).view(bits) != np.ascontiguousarray(found).view(bits)
    if wanted.dtype == np.float32:
        wrong &= ~(np.isnan(wanted) & np.isnan(found))
    if not wrong.any():
        return []
    place = tuple(int(i) for i in np.argwhere(wrong)[0])
    return [f"{name}: {wrong.sum()} of {wrong.size} differ; at {place} {found[place]!r} instead of {wanted[place]!r}"]
