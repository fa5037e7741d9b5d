"""Every candidate of an encoder as a model file: passes, then the probe where there is one."""

from __future__ import annotations

import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from shoestring.base import disk
from shoestring.base.canonical import sha256_hex
from shoestring.base.errors import ModelError
from shoestring.base.outputs import mean_kl, relative_error, softmax
from shoestring.compress.apply import apply
from shoestring.compress.candidates import REFERENCE
from shoestring.domain.ladder import HOME_RUNTIME
from shoestring.domain.recipe import Recipe
from shoestring.fitting.candidates import Artefact
from shoestring.fitting.sessions import open_session
from shoestring.fitting.text.bench import TextBench
from shoestring.fitting.text.probe import choose_ridge, fit_probe, one_hot, with_probe
from shoestring.fitting.text.recipes import DYNAMIC, SMOOTH, base_recipes, smaller_recipes

Array = npt.NDArray[Any]
GUEST, GUEST_RECIPES = "openvino", (REFERENCE, DYNAMIC, SMOOTH)
"""The other runtime that runs transformers from the same file, and what it is tried on; 4-bit products are ONNX
Runtime's own."""
PROBE_RUNS = 9  # of each, in turn, to tell which way of 8 bits is faster


@dataclass(frozen=True)
class Teacher:
    """What variants' probes learn.

    Args:
        targets: the original's probabilities of the calibration texts (n, classes).
        ridge: chosen for the original.
    """

    targets: Array
    ridge: float


def make(bench: TextBench, runtimes: Sequence[str], classes: int | None) -> tuple[dict[str, Artefact], tuple[str, ...]]:
    """Every candidate that its passes accept.

    Args:
        bench: model and texts.
        runtimes: to try.
        classes: of a probe; None for an encoder without one.

    Returns:
        Artefacts by name, the reference first; and why recipes were refused, in words.
    """
    made: dict[str, Artefact] = {}
    refusals: list[str] = []
    teacher: Teacher | None = None
    graph = bench.graph

    def add(recipes: Sequence[Recipe]) -> None:
        nonlocal teacher
        for done, recipe in enumerate(recipes):
            bench.progress(f"making {recipe.name}", done, len(recipes))
            try:
                plain = make_one(bench, recipe)
                if classes is not None:
                    teacher = teacher or _teacher(bench, plain, classes)
                    made[recipe.name] = probed(bench, plain, teacher)
                else:
                    made[recipe.name] = plain
            except ModelError as error:
                if recipe.name == REFERENCE:
                    raise
                refusals.append(error.message)

    add(base_recipes(graph, bench.scheme))
    lengths = [len(one.ids) for one in bench.reader.tokens(bench.split_texts("calibration"))]
    add(smaller_recipes(graph, bench.scheme, _faster(bench, made), lengths, bench.spec.buckets[-1]))
    if GUEST in runtimes:
        guests = [replace(made[name], runtime=GUEST) for name in GUEST_RECIPES if name in made]
        made |= {one.name: one for one in guests}
    return made, tuple(refusals)


def make_one(bench: TextBench, recipe: Recipe) -> Artefact:
    """The model file of one recipe without a probe, from the cache or made now."""
    question = {**bench.basis, "recipe": recipe}
    said: list[str] = []
    path = bench.cache.file(
        "artefacts", question, ".onnx", lambda target: said.extend(apply(recipe, bench.graph, bench.workshop, target))
    )
    notes = bench.cache.noun("notes", question, tuple[str, ...], lambda: tuple(said))
    data = path.read_bytes()
    return Artefact(recipe, path, sha256_hex(data), len(data), notes, HOME_RUNTIME)


def _teacher(bench: TextBench, original: Artefact, classes: int) -> Teacher:
    """The original's own probe, fitted to the labels of the calibration split."""
    labels = bench.split_labels("calibration") or ()
    rows = embeddings(bench, original, "calibration")
    question = {**bench.basis, "ridge for": original.sha256, "labels": labels}
    ridge = bench.cache.noun("ridges", question, float, lambda: choose_ridge(rows, labels, classes))
    probe = fit_probe(rows, one_hot(labels, classes), ridge)
    return Teacher(softmax(probe(rows)), ridge)


def probed(bench: TextBench, plain: Artefact, teacher: Teacher) -> Artefact:
    """The artefact with a probe of its own: the original's is fitted to labels, a variant's to the teacher."""
    labels = bench.split_labels("calibration") or ()
    question = {**bench.basis, "probe of": plain.sha256, "labels": labels}

    def write(target: Path) -> None:
        rows = embeddings(bench, plain, "calibration")
        own = plain.recipe.name == REFERENCE
        targets = one_hot(labels, teacher.targets.shape[1]) if own else teacher.targets
        probe = fit_probe(rows, targets, teacher.ridge)
        disk.write_bytes(target, with_probe(plain.path.read_bytes(), probe))

    path = bench.cache.file("artefacts", question, ".onnx", write)
    data = path.read_bytes()
    return replace(plain, path=path, sha256=sha256_hex(data), size_bytes=len(data))


def embeddings(bench: TextBench, one: Artefact, split: str) -> Array:
    """What an artefact answers to the texts of a split."""
    return bench.outputs(one.name, one.path, one.sha256, one.runtime, split)


def with_loss(bench: TextBench, one: Artefact, original: Artefact, *, classes: bool) -> Artefact:
    """The artefact with its distance from the original's outputs on the selection split in its recipe.

    Of classes the mean KL divergence, of embeddings the squared error over the original's square.
    """
    before, after = embeddings(bench, original, "selection"), embeddings(bench, one, "selection")
    loss = mean_kl(before, after) if classes else relative_error([before], [after])
    return replace(one, recipe=replace(one.recipe, loss=loss))


def _faster(bench: TextBench, made: dict[str, Artefact]) -> str:
    """Which way of 8 bits is faster here for a typical text, measured in turn; kept."""
    there = [name for name in (DYNAMIC, SMOOTH) if name in made]
    if len(there) < 2:
        return DYNAMIC
    question = {**bench.basis, "faster of": [made[name].sha256 for name in there], "machine": bench.machine}

    def compute() -> str:
        feeds, _ = bench.typical()
        times: dict[str, list[float]] = {name: [] for name in there}
        sessions = {name: open_session(HOME_RUNTIME, made[name].path, 1) for name in there}
        try:
            for _ in range(PROBE_RUNS):
                for name, session in sessions.items():
                    start = time.perf_counter()
                    session.run(feeds)
                    times[name].append(time.perf_counter() - start)
        finally:
            for session in sessions.values():
                session.close()
        return min(there, key=lambda name: statistics.median(times[name]))

    return bench.cache.noun("faster", question, str, compute)


def check_finite(rows: Array, what: str) -> None:
    """Raise ModelError where an original answers with anything but finite numbers."""
    if not np.isfinite(rows).all():
        raise ModelError(f"{what} answers NaN or infinity to {int((~np.isfinite(rows)).any(axis=1).sum())} texts")
