"""What a head must keep so that a flat output can be read by it."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from shoestring.domain.head import KINDS

if TYPE_CHECKING:
    from shoestring.domain.head import Head, Part

BOX = 5
MAX_PARTS = 16  # detectors have one to six heads
MAX_CLASSES = 100_000  # as many as a model may name
MAX_ELEMENTS = 1 << 26  # of the flat vector; YOLOv8 at 1,280 pixels has 3 million values


def part_lengths(head: Head) -> list[int]:
    """Values of each part."""
    return [math.prod(part.shape) for part in head.parts]


def flat_length(head: Head) -> int:
    """Values of the whole flat vector."""
    return sum(part_lengths(head))


def head_problems(head: Head) -> list[str]:
    """Every rule of `domain.head.Head` that this one breaks, in words; empty when it is sound."""
    if head.kind not in KINDS:
        return [f"kind {head.kind!r} is not one of {', '.join(KINDS)}"]
    if not 1 <= head.classes <= MAX_CLASSES:
        return [f"classes {head.classes} is outside 1..{MAX_CLASSES}"]
    if not 1 <= len(head.parts) <= MAX_PARTS:
        return [f"it has {len(head.parts)} outputs, outside 1..{MAX_PARTS}"]
    found = []
    names = [part.name for part in head.parts]
    if len(set(names)) != len(names):
        found.append(f"an output is named twice: {', '.join(names)}")
    for part in head.parts:
        if not part.shape or len(part.shape) > 4 or min(part.shape) < 1:
            return [*found, f"output {part.name!r} has the shape {part.shape}"]
    if flat_length(head) > MAX_ELEMENTS:
        found.append(f"its outputs hold {flat_length(head)} values, the limit is {MAX_ELEMENTS}")
    for name, value in (("threshold", head.threshold), ("overlap", head.overlap)):
        if not 0 < value < 1:
            found.append(f"{name} {value} is not between 0 and 1")
    if head.background and head.kind != "ssd":
        found.append("only kind 'ssd' may have a background class")
    found += _anchors(head) if head.kind == "yolo-anchors" else _plain(head)
    return found


def _anchors(head: Head) -> list[str]:
    if len(head.anchors) != len(head.parts):
        return [f"it has anchors for {len(head.anchors)} outputs and {len(head.parts)} outputs"]
    found = []
    for part, anchors in zip(head.parts, head.anchors, strict=True):
        channels = len(anchors) * (BOX + head.classes)
        if not anchors or len(part.shape) != 3 or part.shape[0] != channels:
            words = f"{len(anchors)} anchors and {head.classes} classes"
            found.append(f"output {part.name!r} has the shape {part.shape}; {words} need ({channels}, rows, columns)")
        if not all(math.isfinite(length) and length > 0 for pair in anchors for length in pair):
            found.append(f"the anchors of output {part.name!r} are not all above zero: {anchors}")
    return found


def _plain(head: Head) -> list[str]:
    found = [f"kind {head.kind!r} has no anchors"] if head.anchors else []
    shapes = tuple(part.shape for part in head.parts)
    if head.kind == "ssd":
        scores = head.classes + head.background
        if len(shapes) != 2 or shapes[0][1:] != (4,) or shapes[1] != (shapes[0][0], scores):
            found.append(f"the outputs have the shapes {_words(head.parts)}; 'ssd' needs (n, 4) and (n, {scores})")
        return found
    across = (BOX if head.kind == "yolo-v5" else 4) + head.classes
    axis = 1 if head.kind == "yolo-v5" else 0
    if len(shapes) != 1 or len(shapes[0]) != 2 or shapes[0][axis] != across:
        wanted = f"(n, {across})" if axis else f"({across}, n)"
        found.append(f"the outputs have the shapes {_words(head.parts)}; {head.kind!r} needs one of {wanted}")
    return found


def _words(parts: tuple[Part, ...]) -> str:
    return " and ".join(str(part.shape) for part in parts)
