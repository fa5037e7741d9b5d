"""What flows through a pipeline."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from shoestring.device.answers import Answer
    from shoestring.inputs.image import Pixels


@dataclass(frozen=True)
class Frame:
    """A picture that a source gave.

    Args:
        number: counted by the source from 0; dropped frames leave gaps.
        at_s: monotonic clock when it arrived, s.
        pixels: uint8 (height, width, 3), RGB; the source may have decoded it smaller than it was.
        size: (width, height) of the picture before any scaling.
        name: of the file it came from, or empty.
    """

    number: int
    at_s: float
    pixels: Pixels
    size: tuple[int, int]
    name: str = ""


@dataclass(frozen=True)
class Box:
    """Something seen.

    Args:
        left, top, right, bottom: in 0..1 of the picture's width and height.
        index: of the class.
        label: name of the class, or its number.
        score: 0 to 1.
        track: number that the same thing keeps from frame to frame, or None.
    """

    left: float
    top: float
    right: float
    bottom: float
    index: int
    label: str
    score: float
    track: int | None = None

    def tracked(self, track: int) -> Box:
        """The same box under a track's number."""
        return replace(self, track=track)


BY = ("model", "track", "still")
"""Who answered: the model; a tracker between two runs of the model; nobody anew, since nothing moved."""


@dataclass(frozen=True)
class Result:
    """What was found in one frame.

    Args:
        frame: its number.
        arrived_s: monotonic clock when the frame arrived, s.
        answered_s: when this answer was there, s.
        rung: whose answer it is or goes back to.
        by: one of BY.
        boxes: of a detector, best first.
        answer: of a classifier.
        name: of the file the frame came from, or empty.
    """

    frame: int
    arrived_s: float
    answered_s: float
    rung: str
    by: str
    boxes: tuple[Box, ...] = ()
    answer: Answer | None = None
    name: str = ""
