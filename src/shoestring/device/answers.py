"""From a model's outputs to an answer with class names."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from shoestring.base.errors import EngineError
from shoestring.base.outputs import softmax
from shoestring.device.pipelines.nouns import Box
from shoestring.inputs.placement import placement

if TYPE_CHECKING:
    from shoestring.domain.preprocess import Preprocess
    from shoestring.heads import Found

TOP = 5
_SUM_TOLERANCE = 0.02  # an int8 softmax rounds each of its probabilities to 1/256


@dataclass(frozen=True)
class Answer:
    """What a model says about one image.

    Args:
        label: name of the best class, or its number where the bundle has no name for it.
        index: of the best class.
        score: its probability by softmax, in 0 to 1. It says how sure the model is, not how often it is right.
        top: up to five (index, label, score), best first; of equal scores the lower index comes first.
        rung: that answered.
        stages: of a cascade that ran before the answer stood; 1 for a single rung.
    """

    label: str
    index: int
    score: float
    top: tuple[tuple[int, str, float], ...]
    rung: str = ""
    stages: int = 1


def are_probabilities(outputs: npt.NDArray[Any]) -> bool:
    """Whether a model ends in a softmax of its own: no value below zero, and each row sums to 1.

    Args:
        outputs: (n, classes) of several inputs.
    """
    if not (np.isfinite(outputs).all() and (outputs >= 0).all()):
        return False
    return bool((np.abs(outputs.sum(axis=1, dtype=np.float64) - 1) <= _SUM_TOLERANCE).all())


def to_answer(
    outputs: npt.NDArray[Any], labels: tuple[str, ...], *, probabilities: bool, rung: str = "", stages: int = 1
) -> Answer:
    """The best classes of one output.

    Args:
        outputs: (classes,).
        labels: class names in order; may be shorter.
        probabilities: whether `outputs` are probabilities already.
        rung: that gave it.
        stages: that ran.

    Raises:
        EngineError: an output is not a finite number.
    """
    if not np.isfinite(outputs).all():
        raise EngineError("the model's output is not a finite number", hint="check the image and the pre-processing")
    values = outputs.astype(np.float64)
    scores = values if probabilities else softmax(values[np.newaxis])[0]
    best = np.argsort(-values, kind="stable")[:TOP].tolist()
    top = tuple((i, labels[i] if i < len(labels) else str(i), float(scores[i])) for i in best)
    index, label, score = top[0]
    return Answer(label=label, index=index, score=score, top=top, rung=rung, stages=stages)


def boxes_of(found: Found, labels: tuple[str, ...], spec: Preprocess, size: tuple[int, int]) -> tuple[Box, ...]:
    """Boxes with class names, in the order found, in 0..1 of the whole picture and cut off at its edges.

    Args:
        found: in 0..1 of the model's input.
        labels: class names in order; may be shorter.
        spec: that made the input out of the picture.
        size: (width, height) of the picture, pixels, as it was given to `spec` or in the same proportion.

    Returns:
        A box that lies outside of the picture, on a bar, is left out.
    """
    place = placement(size, spec)
    pixels = found.corners * np.array([spec.width, spec.height] * 2)
    corners = (pixels - np.array([place.left, place.top] * 2)) / np.array([place.width, place.height] * 2)
    corners = np.clip(corners, 0.0, 1.0)
    seen = (corners[:, 2] > corners[:, 0]) & (corners[:, 3] > corners[:, 1])
    return tuple(
        Box(left, top, right, bottom, index, labels[index] if index < len(labels) else str(index), score)
        for (left, top, right, bottom), index, score in zip(
            corners[seen].tolist(), found.classes[seen].tolist(), found.scores[seen].tolist(), strict=True
        )
    )
