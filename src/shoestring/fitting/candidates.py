"""Make every candidate, measure what it costs, and score it on the selection split (in the order of `racing`)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from shoestring.base.canonical import digest, sha256_hex
from shoestring.base.errors import EngineError, ModelError
from shoestring.compress.apply import apply
from shoestring.compress.candidates import REFERENCE, dynamic_recipes, float_recipes, static_recipes
from shoestring.compress.candidates_matrix import matrix_recipes
from shoestring.compress.graph import Graph
from shoestring.compress.neighbours import last_layers
from shoestring.compress.passes import PASSES
from shoestring.compress.scheme import Scheme
from shoestring.costmodel.measure import SECONDS_EACH, Measured, describe
from shoestring.costmodel.measure import measure_all as measure_able
from shoestring.domain.budget import Budget
from shoestring.domain.cost import Cost
from shoestring.domain.evidence import Sensitivity, Trace
from shoestring.domain.ladder import HOME_RUNTIME, candidate_name
from shoestring.domain.recipe import Recipe
from shoestring.domain.score import Paired, Score
from shoestring.evaluate.metrics import paired
from shoestring.evaluate.statistics import drop_interval
from shoestring.fitting.mixing import find_mixtures
from shoestring.fitting.progress import Progress
from shoestring.fitting.sessions import blame
from shoestring.fitting.workbench import Workbench
from shoestring.heads.pieces import distance
from shoestring.runtimes import registry
from shoestring.runtimes.protocol import Array

TOP_5_CLASSES = 10  # with fewer classes the first five are most of them
INTERVAL_CONFIDENCE = 0.95
MAX_LOSS_IMAGES = 256  # of the selection split; the mean divergence of more says little new
MAX_LOSS_BYTES = 32_000_000  # of outputs, of the original and of a candidate each: 37 images of YOLOv3-tiny
SECONDS_ALL = 16.0  # of timing at one thread count, for all candidates together ...
SECONDS_LEAST = 1.0  # ... but no candidate gets less


@dataclass(frozen=True)
class Artefact:
    """A candidate's model file, and the runtime it is for.

    `twin` is the same program compiled for another chip, which this machine cannot run; its arithmetic is this one's,
    bit for bit.
    """

    recipe: Recipe
    path: Path
    sha256: str
    size_bytes: int
    notes: tuple[str, ...]
    runtime: str = HOME_RUNTIME
    twin: Artefact | None = None

    @property
    def shipped(self) -> Artefact:
        """What a bundle holds of it: the program for the chip where that is not this machine."""
        return self.twin or self

    @property
    def name(self) -> str:
        return candidate_name(self.recipe, self.runtime)


def make(bench: Workbench, progress: Progress) -> tuple[dict[str, Artefact], tuple[Sensitivity, ...], tuple[str, ...]]:
    """Every candidate that its passes accept.

    Returns:
        Artefacts by name; the sensitivity of the layers; and why recipes were refused, in words.
    """
    graph = Graph.load(bench.model.path)
    recipes = [*float_recipes(), *dynamic_recipes(graph)]
    scheme = bench.scheme
    recipes += matrix_recipes(graph, scheme)
    sensitivity: tuple[Sensitivity, ...] = ()
    refusals = []
    refusal = PASSES["static_int8"].requires(bench.graph, {"scheme": scheme.name})
    if refusal is None:
        sensitivity = bench.sensitivity(scheme)
        sets = float_sets(bench, scheme, sensitivity)
        recipes += static_recipes(scheme, sensitivity, sets, drift=bench.follow_drift(scheme))
    else:
        refusals.append(f"static int8 was not tried: {refusal}")
    made: dict[str, Artefact] = {}
    for done, recipe in enumerate(recipes):
        progress(f"making {recipe.name}", done, len(recipes))
        try:
            one = make_one(bench, graph, recipe)
            made[recipe.name] = one if recipe.name == REFERENCE else with_loss(bench, one)
        except ModelError as error:
            if recipe.name == REFERENCE:
                raise
            refusals.append(error.message)
    return made, sensitivity, tuple(refusals)


def float_sets(bench: Workbench, scheme: Scheme, sensitivity: tuple[Sensitivity, ...]) -> list[tuple[str, ...]]:
    """Layers to leave in float: the mixtures that pay, and of a detector first the layers that its boxes are read from.

    Those make few of the products and answer in pixels and logits, which 256 steps hold badly.
    """
    sets = [one.float_layers for one in find_mixtures(bench, scheme, sensitivity)]
    last = () if bench.head is None else last_layers(bench.graph)
    if last and all(set(one) != set(last) for one in sets):
        sets.insert(0, last)
    return sets


def make_one(bench: Workbench, graph: Graph, recipe: Recipe) -> Artefact:
    """The model file of one recipe, from the cache or made now."""
    question = {**bench.basis, "model": bench.model.sha256, "recipe": recipe, "images": bench.calibration_digest}
    said: list[str] = []

    def write(target: Path) -> None:
        said.extend(apply(recipe, graph, bench.workshop, target))

    path = bench.cache.file("artefacts", question, ".onnx", write)
    notes = bench.cache.noun("notes", question, tuple[str, ...], lambda: tuple(said))
    data = path.read_bytes()
    return Artefact(recipe, path, sha256_hex(data), len(data), notes)


def with_loss(bench: Workbench, artefact: Artefact) -> Artefact:
    """The artefact with its measured loss in its recipe: predictions add up only nearly, and a few hundred outputs tell
    candidates apart far better than as many first classes do. Kept.
    """
    indices = bench.splits.selection[: loss_images(bench)]
    question = {
        **bench.basis,
        "loss of": artefact.sha256,
        "original": bench.model.sha256,
        "images": digest([bench.dataset.hashes[i] for i in indices]),
        **bench.head_basis,
    }

    def compute() -> float:
        bench.progress(f"comparing outputs of {artefact.name}", 0, 0)
        before, after = (_outputs(bench, path, indices) for path in (bench.model.path, artefact.path))
        return distance(bench.head, [before], [after])

    loss = bench.cache.noun("losses", question, float, compute)
    return replace(artefact, recipe=replace(artefact.recipe, loss=loss))


def loss_images(bench: Workbench) -> int:
    """How many images outputs are compared on: MAX_LOSS_IMAGES, or as many as MAX_LOSS_BYTES of outputs hold."""
    values = bench.model.outputs[0].shape[1]
    return MAX_LOSS_IMAGES if values is None else max(1, min(MAX_LOSS_IMAGES, MAX_LOSS_BYTES // (4 * values)))


def _outputs(bench: Workbench, path: Path, indices: Sequence[int]) -> Array:
    feeding = bench.feeding
    with registry.get(bench.runtime).load(path, bench.threads) as session:
        parts = [feeding.run(session, one) for one in bench.dataset.batches(indices, bench.spec, feeding.batch)]
    return np.concatenate(parts)


def runtime_versions(made: Mapping[str, Artefact]) -> dict[str, str]:
    """Version of every runtime that an artefact is for."""
    return {name: registry.get(name).version() for name in sorted({one.runtime for one in made.values()})}


def thread_counts(bench: Workbench, budget: Budget) -> tuple[int, ...]:
    """One thread, all of them, half of them (two threads of one core may be slower than one), and the budget's."""
    return tuple(sorted({1, (bench.threads + 1) // 2, bench.threads, budget.threads or 1}))


def measure(
    artefacts: Sequence[Measured],
    reference: str,
    threads: Sequence[int],
    *,
    seconds_each: float,
    progress: Callable[[str], None],
) -> dict[str, Cost]:
    """Costs of all artefacts, measured side by side.

    Raises:
        CandidateError: one on a runtime of others fails; the rest can be measured again without it.
        EngineError: another one fails.
    """
    found = measure_able(artefacts, reference, threads, seconds_each=seconds_each, progress=progress)
    for one in artefacts:
        if one.name in found.failures:
            with blame(one.name, one.runtime):
                raise EngineError(found.failures[one.name])
    return found.costs


def measure_all(bench: Workbench, made: dict[str, Artefact], threads: tuple[int, ...]) -> dict[str, Cost]:
    """Cost of every artefact, measured side by side; kept for this machine and this set of candidates."""
    seconds = seconds_each(len(made))
    question = {
        "artefacts": {name: artefact.sha256 for name, artefact in made.items()},
        "machine": bench.machine,
        "threads": threads,
        "seconds": seconds,
        "runtimes": runtime_versions(made),
    }

    def compute() -> dict[str, Cost]:
        return measure(
            [Measured(name, one.path, one.runtime, one.size_bytes) for name, one in made.items()],
            REFERENCE,
            threads,
            seconds_each=seconds,
            progress=lambda words: bench.progress(f"measuring: {words}", 0, 0),
        )

    return bench.cache.noun("costs", question, dict[str, Cost], compute)


def seconds_each(count: int) -> float:
    """How long each of `count` candidates is timed at a thread count: many of them share SECONDS_ALL."""
    return max(SECONDS_LEAST, min(SECONDS_EACH, SECONDS_ALL / count))


def describe_measurement(made: dict[str, Artefact], threads: tuple[int, ...]) -> str:
    """How `measure_all` measured, for the evidence."""
    return describe(len(made), REFERENCE, threads, seconds_each=seconds_each(len(made)))


def score(
    bench: Workbench, artefact: Artefact, metric: str, classes: int, count: int | None = None
) -> tuple[Score, ...]:
    """Scores on the selection split, or its first `count` images, paired with the original."""
    original = bench.trace("original", bench.model.path, bench.model.sha256, "selection")
    variant = selection_trace(bench, artefact, count)
    first, labels = original.top[: len(variant.top)], split_labels(bench, "selection")
    labels = None if labels is None else labels[: len(variant.top)]
    found = [_score(metric, "selection", paired(first, variant.top, labels))]
    if labels is not None and classes >= TOP_5_CLASSES:
        found.append(_score("top-5", "selection", paired(first, variant.top, labels, 5)))
    return tuple(found)


def traces(bench: Workbench, artefact: Artefact, split: str) -> tuple[Trace, Trace]:
    """What the original and the artefact answer on a split."""
    original = bench.trace("original", bench.model.path, bench.model.sha256, split)
    own = bench.of(artefact.name)
    return original, own.trace(artefact.name, artefact.path, artefact.sha256, split, artefact.runtime)


def selection_trace(bench: Workbench, artefact: Artefact, count: int | None) -> Trace:
    """What the artefact answers on the first `count` images of the selection split; None for all."""
    own = bench.of(artefact.name)
    return own.trace(artefact.name, artefact.path, artefact.sha256, "selection", artefact.runtime, count)


def split_labels(bench: Workbench, split: str) -> tuple[int, ...] | None:
    """Labels of a split in its order, or None."""
    labels = bench.dataset.labels
    indices: tuple[int, ...] = getattr(bench.splits, split)
    return None if labels is None else tuple(labels[i] for i in indices)


def _score(metric: str, split: str, counts: Paired) -> Score:
    low, high = drop_interval(counts, metric, INTERVAL_CONFIDENCE)
    return Score(
        metric=metric,
        split=split,
        paired=counts,
        value=counts.variant_hits / counts.n,
        original=counts.original_hits / counts.n,
        drop_low=low,
        drop_high=high,
        confidence=INTERVAL_CONFIDENCE,
    )
