"""How a detector's output is to be read: every rung answers one flat vector that holds all its tensors in turn."""

from __future__ import annotations

from dataclasses import dataclass

KINDS = ("yolo-anchors", "yolo-v5", "yolo-v8", "ssd")


@dataclass(frozen=True)
class Part:
    """One tensor of the original's outputs inside the flat vector.

    Args:
        name: of the original's output.
        shape: without the batch.
    """

    name: str
    shape: tuple[int, ...]


@dataclass(frozen=True)
class Head:
    """A detection head.

    Args:
        kind: `yolo-anchors`: raw logits (anchors * (5 + classes), rows, columns) for each part (YOLOv3 and v3-tiny);
            `yolo-v5`: (n, 5 + classes), centre x, y, width, height in pixels of the input, objectness, class scores;
            `yolo-v8`: (4 + classes, n), centre x, y, width, height in pixels of the input, class scores;
            `ssd`: (n, 4) corners left, top, right, bottom in 0..1 and (n, classes) scores.
        parts: in the order of the flat vector.
        classes: count, without a background class.
        anchors: of `yolo-anchors`: for each part its (width, height) in pixels of the input; else empty.
        background: of `ssd`: whether column 0 of the scores is a background class.
        threshold: below this score nothing is seen, 0 to 1.
        overlap: intersection over union above which the lesser of two boxes of one class goes, 0 to 1.
    """

    kind: str
    parts: tuple[Part, ...]
    classes: int
    anchors: tuple[tuple[tuple[float, float], ...], ...] = ()
    background: bool = False
    threshold: float = 0.25
    overlap: float = 0.45
