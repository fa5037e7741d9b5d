"""What a candidate answers and how sure it is, one image at a time, through the code that runs on the device."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from shoestring.base.canonical import digest
from shoestring.base.sureness import MEASURES, best_class, sureness
from shoestring.device.answers import are_probabilities
from shoestring.device.single import Single
from shoestring.domain.evidence import Reading
from shoestring.fitting.candidates import Artefact
from shoestring.fitting.sessions import blame, open_session
from shoestring.fitting.workbench import Workbench
from shoestring.inputs.image import Pixels, tensor
from shoestring.inputs.rescale import rescale
from shoestring.runtimes.protocol import Array

BATCH = 16  # images decoded together; each is run alone
PROBED = 8  # images that tell probabilities from logits
TIMED = 200  # runs of each small step


@dataclass(frozen=True)
class Kept:
    """A reading as it is kept: the name of the candidate is no part of the question."""

    probabilities: bool
    first: tuple[int, ...]
    levels: dict[str, tuple[int, ...]]


@dataclass(frozen=True)
class Overhead:
    """What a stage takes beside its model, median, ms."""

    input_ms: float
    asking_ms: float


def read(bench: Workbench, artefact: Artefact, split: str, threads: int) -> tuple[Reading, bool]:
    """What `artefact` answers on a split, and how sure it is; kept.

    Args:
        bench: of the original.
        artefact: of any candidate.
        split: `selection` or `certification`.
        threads: that it is meant to run at.

    Returns:
        The reading; and whether the outputs are probabilities already, as the first selection images tell.
    """
    indices: tuple[int, ...] = getattr(bench.splits, split)
    own = bench.of(artefact.name)
    question = {
        **own.basis_on(artefact.runtime),
        "artefact": artefact.sha256,
        "images": digest([bench.dataset.hashes[i] for i in indices]),
        "probed": digest([bench.dataset.hashes[i] for i in bench.splits.selection[:PROBED]]),
        "threads": threads,
        "measures": MEASURES,
    }

    def compute() -> Kept:
        first: list[int] = []
        levels: dict[str, list[int]] = {measure: [] for measure in MEASURES}
        probed = np.stack(list(_outputs(bench, artefact, bench.splits.selection[:PROBED], threads)))
        probabilities = are_probabilities(probed)
        for done, output in enumerate(_outputs(bench, artefact, indices, threads), start=1):
            first.append(best_class(output))
            for measure, level in sureness(output, probabilities=probabilities).items():
                levels[measure].append(level)
            bench.progress(f"asking {artefact.name} how sure it is on {split}", done, len(indices))
        return Kept(probabilities, tuple(first), {measure: tuple(seen) for measure, seen in levels.items()})

    kept = bench.cache.noun("readings", question, Kept, compute)
    return Reading(artefact.name, split, kept.first, kept.levels), kept.probabilities


def _outputs(bench: Workbench, artefact: Artefact, indices: Sequence[int], threads: int) -> Iterator[Array]:
    """(classes,) of each image."""
    own = bench.of(artefact.name)
    with (
        blame(artefact.name, artefact.runtime),
        open_session(artefact.runtime, artefact.path, threads) as session,
    ):
        single = Single(session, own.model.inputs[0], own.model.outputs[0], bench.spec, own.spec)
        for pixels in bench.dataset.batches(indices, bench.spec, BATCH):
            for image in pixels:
                yield single.infer(image)


def overhead(bench: Workbench, artefact: Artefact, classes: int) -> Overhead:
    """What being a stage adds to a candidate, measured; kept for this machine."""
    own = bench.of(artefact.name)
    question = {**own.basis, "machine": bench.machine, "classes": classes, "timed": TIMED}

    def compute() -> Overhead:
        rng = np.random.default_rng(0)
        outputs = rng.standard_normal(classes).astype(np.float32)
        asking = median_ms(lambda: sureness(outputs, probabilities=False))
        if own.spec == bench.spec:  # the same input as a rung alone needs
            return Overhead(0.0, asking)
        image: Pixels = rng.integers(0, 256, (bench.spec.height, bench.spec.width, bench.spec.channels), np.uint8)
        return Overhead(median_ms(lambda: tensor(rescale(image, bench.spec, own.spec)[None], own.spec)), asking)

    return bench.cache.noun("overheads", question, Overhead, compute)


def median_ms(step: Callable[[], object]) -> float:
    """Median time of a small step over TIMED runs, after as many untimed ones."""
    taken = []
    for _ in range(2 * TIMED):
        started = time.perf_counter()
        step()
        taken.append(1000 * (time.perf_counter() - started))
    return round(statistics.median(taken[TIMED:]), 6)
