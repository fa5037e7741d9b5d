"""What is kept of a detector's answers: when two pictures' boxes are alike, and how often they were not."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Rule:
    """When two pictures' boxes are alike.

    Args:
        sure: score from which a box counts as a confident object, 0 to 1.
        seen: score from which a box of the other side may stand for it; at most `sure`, so that a score that moves
            across one line is no change.
        overlap: intersection over union that it must have with it at least.
    """

    sure: float = 0.5
    seen: float = 0.25
    overlap: float = 0.5


@dataclass(frozen=True)
class Differences:
    """How one candidate's boxes differ from the original's on the certification split.

    Args:
        candidate: its name.
        lost: for each image, confident objects of the original without a box of the candidate.
        invented: for each image, confident objects of the candidate without a box of the original.
        overlap: mean intersection over union of the objects that were not lost, 0 to 1; 0 where there are none.
    """

    candidate: str
    lost: tuple[int, ...]
    invented: tuple[int, ...]
    overlap: float


@dataclass(frozen=True)
class Detections:
    """Behind the certificates of a detector.

    Args:
        rule: that decided which images are alike.
        confident: for each image of the certification split, confident objects of the original.
        differences: of every rung.
    """

    rule: Rule
    confident: tuple[int, ...]
    differences: tuple[Differences, ...]

    def of(self, candidate: str) -> Differences:
        """Of `candidate`. Raises KeyError."""
        for one in self.differences:
            if one.candidate == candidate:
                return one
        raise KeyError(candidate)
