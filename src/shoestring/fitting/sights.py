"""What a detector sees in images, as it is kept, and how a candidate's sights differ from the original's."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from shoestring.domain.detection import Detections, Differences
from shoestring.heads.alike import DEFAULT_RULE, Compared, compare
from shoestring.heads.detect import detect
from shoestring.heads.found import Found

if TYPE_CHECKING:
    from shoestring.domain.head import Head
    from shoestring.fitting.candidates import Artefact
    from shoestring.fitting.scoring import Subject
    from shoestring.fitting.workbench import Workbench
    from shoestring.runtimes.protocol import Array

RULE = DEFAULT_RULE
ALIKE, DIFFERENT = (1,), (0,)
"""A detector's answer on an image, in the place of a classifier's classes: the original's is always ALIKE."""

Box = tuple[int, float, float, float, float, float]
"""Class, score, left, top, right, bottom."""


@dataclass(frozen=True)
class Sight:
    """Boxes in one image from `RULE.seen` on, best first."""

    boxes: tuple[Box, ...]

    @property
    def found(self) -> Found:
        """As arrays."""
        table = np.array(self.boxes, np.float64).reshape(-1, 6)
        return Found(table[:, 2:], table[:, 0].astype(np.int64), table[:, 1])


@dataclass(frozen=True)
class Sights:
    """Of a part of a split, in its order."""

    images: tuple[Sight, ...]


def sights_of(head: Head, outputs: Array, size: tuple[int, int]) -> tuple[Sight, ...]:
    """What each row of flat outputs shows.

    Args:
        head: how to read them.
        outputs: (n, length).
        size: (height, width) of the model's input, pixels.
    """
    return tuple(_sight(detect(head, row, size, RULE.seen)) for row in outputs)


def _sight(found: Found) -> Sight:
    rows = zip(found.classes.tolist(), found.scores.tolist(), found.corners.tolist(), strict=True)
    return Sight(tuple((index, score, *corners) for index, score, corners in rows))


def compared(bench: Workbench, subject: Subject, split: str, count: int | None = None) -> tuple[Compared, ...]:
    """How the subject's sights of the first `count` images of a split differ from the original's; None for all."""
    from shoestring.fitting import scoring

    original = scoring.Subject("the original", bench.model.path, bench.model.sha256, bench.runtime)
    before, after = scoring.given(bench, original, split, count), scoring.given(bench, subject, split, count)
    return tuple(compare(one.found, other.found, RULE) for one, other in zip(before, after, strict=True))


def verdicts(found: Sequence[Compared]) -> tuple[tuple[int, ...], ...]:
    """ALIKE or DIFFERENT for each image, as traces hold them."""
    return tuple(ALIKE if one.alike else DIFFERENT for one in found)


def confident_images(bench: Workbench, split: str) -> tuple[int, ...]:
    """Confident objects of the original in each image of a split."""
    from shoestring.fitting import scoring

    subject = scoring.Subject("the original", bench.model.path, bench.model.sha256, bench.runtime)
    return tuple(one.confident for one in compared(bench, subject, split))


def detections(bench: Workbench, rungs: Sequence[Artefact]) -> Detections:
    """What the evidence keeps of these rungs on the certification split."""
    from shoestring.fitting import scoring

    found = []
    for one in rungs:
        subject = scoring.Subject(one.name, one.path, one.sha256, one.runtime)
        every = compared(bench, subject, "certification")
        kept = sum(image.confident - image.lost for image in every)
        found.append(
            Differences(
                one.name,
                tuple(image.lost for image in every),
                tuple(image.invented for image in every),
                sum(image.overlap for image in every) / kept if kept else 0.0,
            )
        )
    return Detections(RULE, confident_images(bench, "certification"), tuple(found))


__all__ = ["RULE", "Sight", "Sights", "compared", "confident_images", "detections", "sights_of", "verdicts"]
