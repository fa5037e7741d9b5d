"""Candidates that are compiled: the model file of another candidate, made into a program for this machine."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from shoestring.base.canonical import sha256_hex
from shoestring.base.errors import ChildError, MissingExtraError, ModelError
from shoestring.fitting.candidates import Artefact
from shoestring.fitting.sources import sources_digest
from shoestring.fitting.tried import NATIVE, check_runtimes
from shoestring.fitting.workbench import Aim, Workbench
from shoestring.native.build import Compiler, find_compiler
from shoestring.native.targets import Target, host_target

MAX_NAME_CHARACTERS = 63
"""Of the identifiers that every C compiler tells apart (C11, 5.2.4.1)."""

NOT_COMPILED = ("fp16-weights",)
"""Precisions whose program would be that of another candidate: fp16 weights are computed with as fp32."""


def compile_all(
    bench: Workbench, made: Mapping[str, Artefact], runtimes: Sequence[str] | None, threads: int | None = None
) -> tuple[dict[str, Artefact], tuple[str, ...]]:
    """A program of every artefact that can be compiled.

    Args:
        bench: model, machine, cache; with an aim each program gets a twin for that chip.
        made: ONNX artefacts by name.
        runtimes: as the user asked; None when he did not, so that a missing compiler is no error.
        threads: of the budget, or None.

    Returns:
        Artefacts by name; and what was not compiled and why, in words.

    Raises:
        MissingExtraError, ChildError: native was asked for by name, and there is no compiler, or it does not answer.
    """
    if NATIVE not in check_runtimes(runtimes):
        return {}, ()
    if threads is not None and threads > bench.program_threads:
        return {}, (f"native programs were not tried: they use at most {bench.program_threads} threads, not {threads}",)
    target = host_target(bench.machine.isa, bench.machine.arch)
    try:
        compiler = find_compiler(target)
        abroad = None if bench.aim is None else _abroad(bench.aim)
    except (MissingExtraError, ChildError) as error:
        if runtimes is not None:
            raise
        reason = "there is no C compiler" if isinstance(error, MissingExtraError) else error.message
        return {}, (f"native programs were not tried: {reason}; {error.hint}",)
    sources = [artefact for artefact in made.values() if artefact.recipe.precision not in NOT_COMPILED]
    compiled: dict[str, Artefact] = {}
    refused: dict[str, list[str]] = {}
    for done, source in enumerate(sources):
        bench.progress(f"compiling {source.name}", done, len(sources))
        try:
            program = compile_one(bench, source, target, compiler)
            if abroad is not None:
                program = replace(program, twin=compile_one(bench, source, *abroad))
        except (ModelError, ChildError) as error:
            refused.setdefault(error.message, []).append(source.name)
        else:
            compiled[program.name] = program
    notes = (f"not compiled: {', '.join(names)}: {message}" for message, names in refused.items())
    return compiled, tuple(notes)


def _abroad(aim: Aim) -> tuple[Target, Compiler]:
    """Target and compiler of the chip that the fit is for.

    Raises:
        MissingExtraError, ChildError: no compiler here makes programs for it.
    """
    target = host_target(aim.isa, aim.arch)
    return target, find_compiler(target)


def compile_one(bench: Workbench, source: Artefact, target: Target, compiler: Compiler) -> Artefact:
    """The program of one artefact, from the cache or compiled now.

    It may use `bench.program_threads` threads, since candidates are measured at one and at that many.

    Raises:
        ModelError: the model holds what cannot be compiled.
        ChildError: the C compiler failed.
    """
    from shoestring.native.compiling import compile_library

    name = program_name(bench.model.source_name)
    question = {
        "version": bench.basis["version"],
        "native": sources_digest(NATIVE),
        "compiler": [*compiler.command, compiler.version()],
        "target": target,
        "model": source.sha256,
        "name": name,
        "threads": bench.program_threads,
    }

    def write(out: Path) -> None:
        compile_library(source.path, name, target, bench.program_threads, out)

    path = bench.cache.file("programs", question, ".so", write)
    data = path.read_bytes()
    notes = (*source.notes, f"compiled for {target.name} by {compiler.version()}")
    return Artefact(source.recipe, path, sha256_hex(data), len(data), notes, NATIVE)


def program_name(source_name: str) -> str:
    """A C identifier after the model's file name: `MobileNet-v2.onnx` -> `mobilenet_v2`."""
    name = re.sub(r"[^a-z0-9]+", "_", Path(source_name).stem.lower()).strip("_")
    return (name if name and not name[0].isdigit() else f"model_{name}")[:MAX_NAME_CHARACTERS].rstrip("_")
