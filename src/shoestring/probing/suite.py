"""Makes the suite for one machine: every network in fp32 and int8, for every runtime, and the meter."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from shoestring.base import canonical, disk
from shoestring.base.errors import ChildError, MissingExtraError, ModelError
from shoestring.convert.registry import WRITERS, convert_for
from shoestring.domain.features import Features
from shoestring.native.build import find_compiler
from shoestring.native.compiling import MOST_THREADS, compile_library
from shoestring.native.meter import build_meter
from shoestring.native.targets import host_target
from shoestring.probing.nets import SEED, SUITE, Net

if TYPE_CHECKING:
    from shoestring.domain.cost import Machine

PRECISIONS = ("fp32", "int8")
CALIBRATION = 4
"""Random examples whose ranges the 8-bit forms take; nobody asks how accurate a random network is."""


@dataclass(frozen=True)
class Entry:
    """Something to time.

    Args:
        model: name, as rows have it.
        input: as rows have it.
        runtime: that runs it.
        precision: of its arithmetic.
        path: model file or compiled program.
    """

    model: str
    input: str
    runtime: str
    precision: str
    path: Path


@dataclass(frozen=True)
class Suite:
    """Everything that is measured on one machine.

    Args:
        entries: to time.
        networks: features by (model, input).
        meter: library of `native.meter`, or None where there is no compiler.
        notes: what is left out and why.
    """

    entries: tuple[Entry, ...]
    networks: dict[tuple[str, str], Features]
    meter: Path | None
    notes: tuple[str, ...]


def make_suite(
    machine: Machine,
    runtimes: Sequence[str],
    folder: Path,
    say: Callable[[str], None],
    nets: Sequence[Callable[[], Net]] = SUITE,
    cc: str | None = None,
    until: float = math.inf,
) -> Suite:
    """Write the models, compile the programs and the meter.

    Args:
        machine: that will be measured; programs are compiled for its instruction sets.
        runtimes: to make entries for.
        folder: exists; the files go there.
        say: called before each step.
        nets: of the suite.
        cc: compiler, or None to look for one.
        until: value of `time.monotonic` after which nothing more is compiled.

    Raises:
        StorageError: the disk refused.
        EngineError: a network cannot be run to find the ranges of its 8-bit form.
    """
    notes: list[str] = []
    meter = _meter(machine, folder, notes, cc)
    try:
        models, networks = _models(machine, folder, say, nets)
    except MissingExtraError as error:
        return Suite((), {}, meter, (*notes, f"no network was timed: {error.message}; {error.hint}"))
    entries: list[Entry] = []
    for runtime in runtimes:
        if runtime == "native":
            if meter is not None:
                entries += _programs(machine, models, folder, say, notes, cc, until)
        elif runtime in WRITERS:
            entries += _converted(runtime, models, folder, say, notes)
        else:
            entries += [Entry(name, shape, runtime, precision, path) for name, shape, precision, path in models]
    return Suite(tuple(entries), networks, meter, tuple(notes))


def _meter(machine: Machine, folder: Path, notes: list[str], cc: str | None) -> Path | None:
    target = host_target(machine.isa, machine.arch)
    try:
        return build_meter(target, machine.isa, folder / "meter.so", cc).path
    except (MissingExtraError, ChildError) as error:
        notes.append(
            f"no C compiler: bandwidth and fp32 peak are numpy's, native programs were not timed ({error.message})"
        )
        return None


def _models(
    machine: Machine, folder: Path, say: Callable[[str], None], nets: Sequence[Callable[[], Net]]
) -> tuple[list[tuple[str, str, str, Path]], dict[tuple[str, str], Features]]:
    """Both forms of every network as (name, input, precision, path), and features. Raises MissingExtraError."""
    from shoestring.analysis import counting
    from shoestring.compress.graph import Graph
    from shoestring.compress.observe import value_ranges
    from shoestring.compress.quantize import needed_ranges, to_qdq
    from shoestring.compress.scheme import scheme_for

    scheme = scheme_for(machine.isa)
    random = np.random.default_rng(SEED)
    models, networks = [], {}
    for make in nets:
        net = make()
        say(f"making {net.name}")
        path = folder / f"{net.name}.onnx"
        disk.write_bytes(path, net.data())
        found = canonical.convert({**counting.features(str(path)), "name": net.name}, Features, ModelError)
        graph = Graph.load(path)
        shape = tuple(one.dim_value for one in graph.proto.graph.input[0].type.tensor_type.shape.dim)
        batches = [{"input": random.standard_normal(shape).astype(np.float32)} for _ in range(CALIBRATION)]
        ranges = value_ranges(graph, lambda batches=batches: iter(batches), needed_ranges(graph))  # type: ignore[misc]
        quantized = folder / f"{net.name}-int8.onnx"
        disk.write_bytes(quantized, to_qdq(graph, ranges, scheme, frozenset()).to_bytes())
        networks[net.name, found.input] = found
        models += [(net.name, found.input, "fp32", path), (net.name, found.input, "int8", quantized)]
    return models, networks


def _converted(
    runtime: str,
    models: Sequence[tuple[str, str, str, Path]],
    folder: Path,
    say: Callable[[str], None],
    notes: list[str],
) -> list[Entry]:
    """The models in the form of a runtime of others; what cannot go becomes a note."""
    entries: list[Entry] = []
    for name, shape, precision, path in models:
        say(f"converting {name} in {precision} for {runtime}")
        out = folder / f"{name}-{precision}.{runtime}"
        try:
            disk.write_bytes(out, convert_for(runtime, path, precision).data)
        except (ModelError, MissingExtraError) as error:
            notes.append(f"{name} in {precision} was not converted for {runtime}: {error.message}")
        else:
            entries.append(Entry(name, shape, runtime, precision, out))
    return entries


def _programs(
    machine: Machine,
    models: Sequence[tuple[str, str, str, Path]],
    folder: Path,
    say: Callable[[str], None],
    notes: list[str],
    cc: str | None,
    until: float,
) -> list[Entry]:
    target = host_target(machine.isa, machine.arch)
    find_compiler(target, cc)
    entries = []
    for number, (name, shape, precision, path) in enumerate(models):
        if time.monotonic() > until:
            notes.append(f"time was up: {len(models) - number} of {len(models)} networks were not compiled")
            break
        say(f"compiling {name} in {precision}")
        out = path.with_suffix(".so")
        try:
            compile_library(path, name.replace("-", "_"), target, min(machine.cores, MOST_THREADS), out, cc)
        except (ModelError, ChildError) as error:
            notes.append(f"{name} in {precision} was not compiled: {error.message}")
        else:
            entries.append(Entry(name, shape, "native", precision, out))
    return entries


__all__ = ["Entry", "Suite", "make_suite"]
