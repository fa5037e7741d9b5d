"""Heads of every kind with seeded outputs: most places say nothing, as in life, and some lie near the threshold."""

from __future__ import annotations

import numpy as np

from shoestring.domain.head import Head, Part

WIDTH, HEIGHT = 96, 64
SIZE = (WIDTH, HEIGHT)
ANCHORS = (((10.0, 14.0), (23.0, 27.0)), ((37.0, 58.0), (81.0, 82.0)))


def head_of(kind: str, threshold: float = 0.25, background: bool = False) -> Head:
    classes = 4
    parts = {
        "yolo-anchors": (Part("fine", (2 * (5 + classes), 4, 6)), Part("coarse", (2 * (5 + classes), 2, 3))),
        "yolo-v5": (Part("out", (60, 5 + classes)),),
        "yolo-v8": (Part("out", (4 + classes, 60)),),
        "ssd": (Part("boxes", (60, 4)), Part("scores", (60, classes + background))),
    }[kind]
    return Head(kind, parts, classes, ANCHORS if kind == "yolo-anchors" else (), background, threshold, 0.45)


def flat_of(head: Head, seed: int) -> np.ndarray:
    """An output of the head, float32."""
    rng = np.random.default_rng(seed)
    tensors = [rng.random(part.shape, np.float32) for part in head.parts]
    if head.kind == "yolo-anchors":
        tensors = [rng.normal(-1, 3, part.shape).astype(np.float32) for part in head.parts]
    elif head.kind == "ssd":
        tensors[0][:, 2:] = tensors[0][:, :2] + tensors[0][:, 2:] / 2
        tensors[1] **= 3
    else:
        rows = tensors[0] if head.kind == "yolo-v5" else tensors[0].T
        rows[:, :4] *= np.array([WIDTH, HEIGHT, 40, 40], np.float32)
        rows[:, 4:] **= 2
    return np.concatenate([tensor.ravel() for tensor in tensors])


def tensors_of(head: Head, flat: np.ndarray) -> list[np.ndarray]:
    sizes = [int(np.prod(part.shape)) for part in head.parts]
    cuts = np.split(flat, np.cumsum(sizes)[:-1])
    return [cut.reshape(part.shape) for cut, part in zip(cuts, head.parts, strict=True)]
