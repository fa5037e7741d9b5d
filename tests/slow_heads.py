"""Textbook decoders, one box after another in Python's own floats, for the tests to compare with."""

from __future__ import annotations

import math


def sigmoid(value: float) -> float:
    return 1 / (1 + math.exp(-value)) if value > -700 else 0.0


def _box(x, y, w, h, scores, weight, head):
    index = max(range(len(scores)), key=lambda one: scores[one])
    score = weight * scores[index]
    return [((x - w / 2, y - h / 2, x + w / 2, y + h / 2), score, index)] if score >= head.threshold else []


def yolo_anchors(head, tensors, size):
    found = []
    for tensor, anchors in zip(tensors, head.anchors, strict=True):
        _, rows, columns = tensor.shape
        for a, anchor in enumerate(anchors):
            for row in range(rows):
                for column in range(columns):
                    t = tensor[a * (5 + head.classes) : (a + 1) * (5 + head.classes), row, column].tolist()
                    x = (sigmoid(t[0]) + column) / columns * size[0]
                    y = (sigmoid(t[1]) + row) / rows * size[1]
                    w, h = anchor[0] * math.exp(min(t[2], 80)), anchor[1] * math.exp(min(t[3], 80))
                    found += _box(x, y, w, h, [sigmoid(one) for one in t[5:]], sigmoid(t[4]), head)
    return found


def yolo_v5(head, tensors, size):
    return [
        box for x, y, w, h, weight, *scores in tensors[0].tolist() for box in _box(x, y, w, h, scores, weight, head)
    ]


def yolo_v8(head, tensors, size):
    return [box for x, y, w, h, *scores in tensors[0].T.tolist() for box in _box(x, y, w, h, scores, 1.0, head)]


def ssd(head, tensors, size):
    found = []
    for corners, scores in zip(tensors[0].tolist(), tensors[1].tolist(), strict=True):
        scores = scores[1:] if head.background else scores
        index = max(range(len(scores)), key=lambda one: scores[one])
        if scores[index] >= head.threshold:
            left, top, right, bottom = corners
            found.append(((left * size[0], top * size[1], right * size[0], bottom * size[1]), scores[index], index))
    return found


DECODERS = {"yolo-anchors": yolo_anchors, "yolo-v5": yolo_v5, "yolo-v8": yolo_v8, "ssd": ssd}


def overlap(one, other) -> float:
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    if width <= 0 or height <= 0:
        return 0.0
    area = sum((box[2] - box[0]) * (box[3] - box[1]) for box in (one, other))
    return width * height / (area - width * height)


def suppressed(corners, scores, classes, limit) -> list[int]:
    """Places that stay, best first: every box against every better one that stays."""
    kept: list[int] = []
    for place in sorted(range(len(scores)), key=lambda one: -scores[one]):
        if all(classes[place] != classes[one] or overlap(corners[place], corners[one]) <= limit for one in kept):
            kept.append(place)
    return kept
