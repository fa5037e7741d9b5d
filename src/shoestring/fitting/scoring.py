"""What a model file answers on a split, in parts that are kept one by one and may be answered elsewhere.

Parts begin at the same images whoever answers them, and hold whole batches, so that neither the number of workers nor
an interruption changes an answer.
"""

from __future__ import annotations

import io
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from shoestring.base.canonical import digest
from shoestring.domain.evidence import Trace
from shoestring.domain.head import Head
from shoestring.domain.preprocess import Preprocess
from shoestring.evaluate.metrics import top_classes
from shoestring.fitting.sessions import blame, open_session
from shoestring.fitting.sights import RULE, Sights, compared, sights_of, verdicts
from shoestring.inputs.image import Pixels, tensor
from shoestring.runtimes.protocol import Array, Session

if TYPE_CHECKING:
    from shoestring.fitting.workbench import Workbench

Top = tuple[tuple[int, ...], ...]
Given = tuple[Any, ...]
"""For each image its best classes, or a `Sight`."""
MIN_PART = 64  # images; fewer would be looked at more often than verdicts change
MOST_PARTS = 16  # of a split


@dataclass(frozen=True)
class Subject:
    """A model file that answers.

    Args:
        name: for people.
        path: of the file.
        sha256: of it.
        runtime: that runs it.
    """

    name: str
    path: Path
    sha256: str
    runtime: str


@dataclass(frozen=True)
class Feeding:
    """From pixels to outputs.

    Args:
        spec: pre-processing, settled.
        input: name of the model's input.
        output: of its output.
        batch: images a run.
        fixed: the batch that the model's input fixes, or None.
        head: of a detector, whose answer is its boxes; None for a classifier.
    """

    spec: Preprocess
    input: str
    output: str
    batch: int
    fixed: int | None
    head: Head | None = None

    def run(self, session: Session, pixels: Pixels) -> Array:
        """Outputs (n, classes) of one batch; that of a fixed-batch model is padded with its last image."""
        count = len(pixels)
        if self.fixed is not None and count < self.fixed:
            pixels = np.concatenate([pixels, np.repeat(pixels[-1:], self.fixed - count, axis=0)])
        return session.run({self.input: tensor(pixels, self.spec)})[self.output][:count]

    def read(self, outputs: Array) -> Given:
        """Of each row of outputs the best classes, or the `Sight` of a detector."""
        if self.head is None:
            return top_classes(outputs)
        return sights_of(self.head, outputs, (self.spec.height, self.spec.width))

    def answer(self, session: Session, pixels: Pixels) -> Given:
        """What is read from the outputs of any number of batches."""
        found: list[Any] = []
        for start in range(0, len(pixels), self.batch):
            found += self.read(self.run(session, pixels[start : start + self.batch]))
        return tuple(found)


def part_size(images: int, batch: int) -> int:
    """Images of each part of a split but the last: whole batches, at least MIN_PART, at most MOST_PARTS parts."""
    return math.ceil(max(MIN_PART, images / MOST_PARTS) / batch) * batch


def answers(bench: Workbench, subject: Subject, split: str, count: int | None = None) -> Top:
    """Best classes of the first `count` images of a split, in its order; None for all.

    Of a detector: whether it sees what the original sees, as `sights.verdicts` has it.
    """
    if bench.head is None:
        return given(bench, subject, split, count)
    return verdicts(compared(bench, subject, split, count))


def given(bench: Workbench, subject: Subject, split: str, count: int | None = None) -> Given:
    """What `Feeding.read` gives of the first `count` images of a split, in its order, kept in parts; None for all."""
    indices: tuple[int, ...] = getattr(bench.splits, split)
    wanted = len(indices) if count is None else count
    size = part_size(len(indices), bench.feeding.batch)
    parts = [indices[start : start + size] for start in range(0, len(indices), size)]
    needed = math.ceil(wanted / size)
    missing = [place for place, part in enumerate(parts) if not _path(bench, subject, part).exists()]
    here = [place for place in missing if place < needed]
    if here and bench.engine is not None:  # what is likely to be asked for next keeps the other workers busy
        here = missing[: max(len(here), bench.engine.workers)]
    fresh = dict(zip(here, _answered(bench, subject, split, [parts[place] for place in here]), strict=True))
    found: list[Any] = []
    for place in range(max(needed, max(here, default=-1) + 1)):

        def compute(place: int = place) -> Given:
            return fresh.get(place) or _answered(bench, subject, split, [parts[place]])[0]

        if place < needed or place in fresh:
            found += _keep(bench, split, _question(bench, subject, parts[place]), compute)
    return tuple(found[:wanted])


def _keep(bench: Workbench, split: str, question: dict[str, object], compute: Callable[[], Given]) -> Given:
    """The answers to a part, from the cache or computed now."""
    kind = _kind(bench)
    if bench.head is None:
        return bench.cache.noun(kind, question, Trace, lambda: Trace("", split, compute())).top
    return bench.cache.noun(kind, question, Sights, lambda: Sights(compute())).images


def _kind(bench: Workbench) -> str:
    return "traces" if bench.head is None else "sights"


def _question(bench: Workbench, subject: Subject, part: Sequence[int]) -> dict[str, object]:
    images = digest([bench.dataset.hashes[i] for i in part])
    asked = {**bench.basis_on(subject.runtime), "artefact": subject.sha256, "images": images}
    return asked if bench.head is None else {**asked, **bench.head_basis, "seen": RULE.seen}


def _path(bench: Workbench, subject: Subject, part: Sequence[int]) -> Path:
    return bench.cache.path(_kind(bench), _question(bench, subject, part), ".json")


def _answered(bench: Workbench, subject: Subject, split: str, parts: Sequence[Sequence[int]]) -> list[Given]:
    """Answers made now, by the engine or in this process."""
    words = f"scoring {subject.name} on {split}"
    if not parts:
        return []
    with blame(subject.name, subject.runtime):
        if bench.engine is None:
            return _answered_here(bench, subject, parts, words)
        from shoestring.fitting import spread

        return spread.answers(bench, bench.engine, subject, parts, words)


def _answered_here(bench: Workbench, subject: Subject, parts: Sequence[Sequence[int]], words: str) -> list[Given]:
    feeding, found, done = bench.feeding, [], 0
    total = sum(len(part) for part in parts)
    with open_session(subject.runtime, subject.path, bench.threads) as session:
        for part in parts:
            top: list[Any] = []
            for pixels in bench.dataset.batches(part, bench.spec, feeding.batch):
                top += feeding.read(feeding.run(session, pixels))
                done += len(pixels)
                bench.progress(words, done, total)
            found.append(tuple(top))
    return found


def npy(array: Array) -> bytes:
    """The array as an .npy file."""
    stream = io.BytesIO()
    np.save(stream, np.ascontiguousarray(array), allow_pickle=False)
    return stream.getvalue()
