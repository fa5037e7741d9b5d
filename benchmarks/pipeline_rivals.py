"""The pipelines that benchmarks/pipeline.py compares: the straightforward one, and ours with one thing more each."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
from PIL import Image

from pipeline_engines import ANCHORS, CLASSES, HEAD, SIDE, SPEC, Engine
from pipeline_film import RATE
from shoestring.device.pipelines.motion import Gating
from shoestring.device.pipelines.nouns import Box
from shoestring.device.pipelines.pipeline import Pipeline, Reading, Sparing
from shoestring.device.pipelines.sources.images import Images
from shoestring.device.pipelines.sources.opencv import VideoFile

if TYPE_CHECKING:
    from pathlib import Path

    import numpy.typing as npt

    Array = npt.NDArray[Any]

Step = Callable[[], list[Box]]
GREY = 128


@dataclass
class Rival:
    """A pipeline on its way through the film.

    Args:
        name: for the table.
        step: takes the next frame and gives its boxes.
        found: the boxes of each frame so far.
        seconds: of each round.
        by: how many frames were answered by what.
    """

    name: str
    step: Step
    found: list[list[Box]] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    by: dict[str, int] = field(default_factory=dict)

    def go(self, frames: int) -> None:
        """One round."""
        start = time.perf_counter()
        boxes = [self.step() for _ in range(frames)]
        self.seconds.append(time.perf_counter() - start)
        self.found += boxes


def decoded(path: Path) -> Iterator[Array]:
    """RGB frames of a film, by OpenCV on one thread."""
    capture = cv2.VideoCapture(str(path), cv2.CAP_FFMPEG, [cv2.CAP_PROP_N_THREADS, 1])
    while (read := capture.read())[0]:
        yield cv2.cvtColor(read[1], cv2.COLOR_BGR2RGB)


def decoded_jpegs(paths: list[Path]) -> Iterator[Array]:
    """RGB pictures, by OpenCV."""
    for path in paths:
        yield cv2.cvtColor(cv2.imread(str(path)), cv2.COLOR_BGR2RGB)


def plain(name: str, frames: Iterator[Array], engine: Engine) -> Rival:
    """The straightforward pipeline: all is decoded, resized with Pillow's bicubic filter, and decoded by the book."""

    def step() -> list[Box]:
        picture = next(frames)
        batch, geometry = letterbox(picture)
        return textbook(engine.run(batch), geometry, picture.shape[1::-1])

    return Rival(name, step)


def letterbox(picture: Array) -> tuple[Array, tuple[float, int, int]]:
    """(1, 3, SIDE, SIDE) in 0..1, and scale and offsets."""
    height, width = picture.shape[:2]
    scale = SIDE / max(height, width)
    new = round(width * scale), round(height * scale)
    left, top = (SIDE - new[0]) // 2, (SIDE - new[1]) // 2
    canvas = np.full((SIDE, SIDE, 3), GREY, np.uint8)
    canvas[top : top + new[1], left : left + new[0]] = Image.fromarray(picture).resize(new, Image.Resampling.BICUBIC)
    return np.ascontiguousarray(canvas.transpose(2, 0, 1)[None].astype(np.float32) / 255), (scale, left, top)


def textbook(heads: list[Array], geometry: tuple[float, int, int], size: tuple[int, int]) -> list[Box]:
    """Decode every box of every cell, then drop those below the threshold, then suppress in Python."""
    rows = np.concatenate([_grid(head, np.array(anchors)) for head, anchors in zip(heads, ANCHORS, strict=True)])
    scores = rows[:, 4:5] * rows[:, 5:]
    classes, best = scores.argmax(axis=1), scores.max(axis=1)
    kept = best >= HEAD.threshold
    scale, left, top = geometry
    centres = (rows[kept, :2] * SIDE - [left, top]) / scale / size
    half = rows[kept, 2:4] / scale / size / 2
    corners = np.clip(np.concatenate([centres - half, centres + half], axis=1), 0, 1)
    boxes = [
        Box(*(float(side) for side in one), int(index), str(index), float(score))
        for one, index, score in zip(corners, classes[kept], best[kept], strict=True)
    ]
    chosen: list[Box] = []
    for box in sorted(boxes, key=lambda one: -one.score):
        if all(box.index != one.index or _overlap(box, one) <= HEAD.overlap for one in chosen):
            chosen.append(box)
    return chosen


def _grid(head: Array, anchors: Array) -> Array:
    """(cells * anchors, 5 + CLASSES): centre in 0..1, size in pixels, chances."""
    cells = head.shape[-1]
    values = head.reshape(len(anchors), 5 + CLASSES, cells, cells).transpose(0, 2, 3, 1)
    chances = 1 / (1 + np.exp(-values))
    y, x = np.mgrid[:cells, :cells]
    out = chances.copy()
    out[..., 0], out[..., 1] = (chances[..., 0] + x) / cells, (chances[..., 1] + y) / cells
    out[..., 2:4] = np.exp(values[..., 2:4]) * anchors[:, None, None]
    return out.reshape(-1, 5 + CLASSES)


def _overlap(one: Box, other: Box) -> float:
    width = min(one.right, other.right) - max(one.left, other.left)
    height = min(one.bottom, other.bottom) - max(one.top, other.top)
    if width <= 0 or height <= 0:
        return 0.0
    areas = sum((box.right - box.left) * (box.bottom - box.top) for box in (one, other))
    return width * height / (areas - width * height)


def ours(name: str, source: VideoFile | Images, engine: Engine, sparing: Sparing) -> Rival:
    """Our pipeline."""
    pipeline = Pipeline(Reading(SPEC, (), HEAD), sparing, rate=RATE)
    frames = iter(source)
    rival = Rival(name, list)

    def step() -> list[Box]:
        result = pipeline.answer(next(frames), engine.infer)
        rival.by[result.by] = rival.by.get(result.by, 0) + 1
        return list(result.boxes)

    rival.step = step
    return rival


SPARINGS = {
    "threshold-first boxes": Sparing(tracking=None),
    "fast resizer": Sparing(tracking=None, resizer="fast"),
    "tracks": Sparing(),
    "every 2nd frame": Sparing(every=2),
    "gate": Sparing(gate=Gating()),
    "every 2nd frame and gate": Sparing(every=2, gate=Gating()),
}
"""Ours, each with one thing more than the one before; from the tracks on with the certified resizer again. The gate
alone is for the quiet film."""
