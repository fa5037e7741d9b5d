"""Candidates on the runtimes of others: the model file of another candidate in that runtime's format.

A runtime is scouted with one candidate of each kind (the plain fp32 and the plain 8-bit one), loaded and run in a
process of its own, so that one that crashes, hangs or answers NaN costs a note and nothing else. Only where it comes
within FOLLOW of the fastest runtime of that kind are the other candidates of the kind converted too: what is far behind
with one stays behind with its neighbours, and every candidate costs seconds of timing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from shoestring.base import disk
from shoestring.base.canonical import sha256_hex
from shoestring.base.errors import EngineError, MissingExtraError, ModelError
from shoestring.base.units import format_ms
from shoestring.convert.registry import convert_for, writer
from shoestring.fitting import scouting, tried
from shoestring.fitting.candidates import Artefact
from shoestring.fitting.sources import sources_digest
from shoestring.runtimes import registry

if TYPE_CHECKING:
    from shoestring.fitting.elsewhere import Elsewhere
    from shoestring.fitting.workbench import Workbench

KINDS = {"fp32": ("fp32",), "int8": ("int8", "int8-mixed")}
"""Kind of arithmetic -> precisions of the candidates that have it and can be converted."""
FOLLOW = 1.5
"""A judgement: layers left in float, and noise, move a candidate by less than this against another runtime's."""


def port_all(
    bench: Workbench,
    made: Mapping[str, Artefact],
    compiled: Mapping[str, Artefact],
    runtimes: Sequence[str] | None,
    there: Elsewhere | None,
) -> tuple[dict[str, Artefact], tuple[str, ...]]:
    """What other runtimes can run of `made`, as far as it promises something.

    Args:
        bench: model, machine, cache.
        made: ONNX artefacts by name.
        compiled: programs of some of them, for comparison.
        runtimes: as the user asked, or None.
        there: the chip that costs are predicted for; None for this machine or a board that is measured.

    Returns:
        Artefacts by name; and what was not converted or not followed, and why, in words.

    Raises:
        UsageError, MissingExtraError: as `tried.check_runtimes`.
    """
    guests = tried.guests(bench, runtimes)
    found: dict[str, Artefact] = {}
    notes: list[str] = []
    for kind, precisions in KINDS.items():
        sources = [one for one in made.values() if one.recipe.precision in precisions]
        if not guests or not sources:
            continue
        plain, *others = sources
        scouts, said = _scouts(bench, plain, kind, guests)
        found |= {one.name: one for one in scouts}
        notes += said
        programs = [one for one in compiled.values() if one.recipe == plain.recipe]
        times = scouting.times(bench, [plain, *programs, *scouts], there)
        followed, said = follow(times, [one.name for one in scouts])
        notes += said
        for scout in scouts:
            if scout.name in followed:
                ported, said = _port(bench, others, kind, scout.runtime)
                found |= {one.name: one for one in ported}
                notes += said
    return found, tuple(notes)


def follow(times: Mapping[str, float | None], scouts: Iterable[str]) -> tuple[set[str], list[str]]:
    """The scouts whose runtime is worth more candidates, and what is to be said of the others.

    Args:
        times: of one recipe on every runtime, ms, by the candidate's name; None where nothing is known.
        scouts: names of those on runtimes of others.
    """
    known = {name: ms for name, ms in times.items() if ms is not None}
    best = min(known, key=known.__getitem__, default=None)
    if best is None:
        return set(), []
    followed = {name for name in scouts if name in known and known[name] <= FOLLOW * known[best]}
    return followed, [
        f"{name} takes {format_ms(known[name])}, {best} {format_ms(known[best])}: "
        f"no further candidates were made for {name.rpartition('@')[2]}"
        for name in scouts
        if name in known and name not in followed
    ]


def _scouts(bench: Workbench, plain: Artefact, kind: str, guests: Sequence[str]) -> tuple[list[Artefact], list[str]]:
    """The plain candidate on every guest that can load and run it in a process of its own."""
    scouts: list[Artefact] = []
    notes: list[str] = []
    for done, runtime in enumerate(guests):
        bench.progress(f"trying {plain.name} on {runtime}", done, len(guests))
        ported, said = _port(bench, [plain], kind, runtime)
        notes += said
        for one in ported:
            fault = scouting.fault(bench, one)
            if fault is None:
                scouts.append(one)
            else:
                notes.append(f"{one.name} was not tried further: {fault}")
    return scouts, notes


def _port(bench: Workbench, sources: Sequence[Artefact], kind: str, runtime: str) -> tuple[list[Artefact], list[str]]:
    ported: list[Artefact] = []
    refused: dict[str, list[str]] = {}
    for source in sources:
        try:
            ported.append(port_one(bench, source, kind, runtime))
        except (ModelError, MissingExtraError, EngineError) as error:
            refused.setdefault(error.message, []).append(source.name)
    return ported, [f"not converted for {runtime}: {', '.join(names)}: {words}" for words, names in refused.items()]


def port_one(bench: Workbench, source: Artefact, kind: str, runtime: str) -> Artefact:
    """One artefact for one runtime, from the cache or converted now.

    Raises:
        ModelError: it holds operators that cannot go.
        MissingExtraError: the package that knows the format is missing.
    """
    if writer(runtime).module is None:
        return replace(source, runtime=runtime, twin=None)
    question = {
        "version": bench.basis["version"],
        "convert": sources_digest("convert"),
        "native": sources_digest("native"),
        "runtime_version": registry.get(runtime).version(),
        "model": source.sha256,
        "kind": kind,
        "runtime": runtime,
    }
    said: list[str] = []

    def write(target: Path) -> None:
        converted = convert_for(runtime, source.path, kind)
        said.extend(converted.notes)
        disk.write_bytes(target, converted.data)

    path = bench.cache.file("ported", question, writer(runtime).suffix, write)
    notes = bench.cache.noun("notes", question, tuple[str, ...], lambda: tuple(said))
    data = path.read_bytes()
    return Artefact(source.recipe, path, sha256_hex(data), len(data), (*source.notes, *notes), runtime)


__all__ = ["FOLLOW", "follow", "port_all", "port_one"]
