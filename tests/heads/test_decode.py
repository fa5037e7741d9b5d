"""Every kind of head against a decoder written by loops, and what no head may do."""

from __future__ import annotations

import math

import numpy as np
import pytest

from shoestring.base.errors import EngineError
from shoestring.domain.head import Head, Part
from shoestring.heads import decode, detect, flat_length, head_problems
from shoestring.heads.found import Found
from shoestring.heads.pieces import pieces

SIZE = (96, 128)  # rows, columns: unequal, so that swapped axes show
ANCHORS = Head(
    "yolo-anchors",
    (Part("coarse", (16, 3, 4)), Part("fine", (16, 6, 8))),
    3,
    (((40.0, 20.0), (30.0, 60.0)), ((10.0, 8.0), (6.0, 12.0))),
)
V5 = Head("yolo-v5", (Part("out", (50, 8)),), 3)
V8 = Head("yolo-v8", (Part("out", (7, 50)),), 3)
SSD = Head("ssd", (Part("boxes", (50, 4)), Part("scores", (50, 3))), 3)
SSD_GROUND = Head("ssd", (Part("boxes", (50, 4)), Part("scores", (50, 4))), 3, background=True)
HEADS = {"anchors": ANCHORS, "v5": V5, "v8": V8, "ssd": SSD, "ssd with background": SSD_GROUND}


def logistic(x: float) -> float:
    return 1 / (1 + math.exp(-x))


def one_by_one(head: Head, flat: np.ndarray, least: float) -> list[tuple[int, float, tuple[float, ...]]]:
    """(class, score, corners) of every box from `least` on, by plain loops."""
    parts, start = [], 0
    for part in head.parts:
        count = math.prod(part.shape)
        parts.append(flat[start : start + count].astype(float).reshape(part.shape))
        start += count
    if head.kind == "yolo-anchors":
        rows = [row for part, anchors in zip(parts, head.anchors, strict=True) for row in cells(part, anchors)]
    elif head.kind == "yolo-v5":
        rows = [(pixels(row), list(row[4] * row[5:])) for row in parts[0]]
    elif head.kind == "yolo-v8":
        rows = [(pixels(row), list(row[4:])) for row in parts[0].T]
    else:
        scores = parts[1][:, 1:] if head.background else parts[1]
        rows = [(tuple(box), list(seen)) for box, seen in zip(parts[0], scores, strict=True)]
    found = []
    for corners, scores in rows:
        best = max(range(head.classes), key=lambda index: scores[index])
        if scores[best] >= least:
            found.append((best, scores[best], corners))
    return found


def around(x: float, y: float, w: float, h: float) -> tuple[float, ...]:
    """Corners of a box by its centre and size."""
    return x - w / 2, y - h / 2, x + w / 2, y + h / 2


def pixels(row: np.ndarray) -> tuple[float, ...]:
    """Corners of a box in pixels of the input."""
    return around(row[0] / SIZE[1], row[1] / SIZE[0], row[2] / SIZE[1], row[3] / SIZE[0])


def cells(part: np.ndarray, anchors: tuple[tuple[float, float], ...]) -> list[tuple[tuple[float, ...], list[float]]]:
    """Corners and scores of every anchor in every cell."""
    each, found = part.shape[0] // len(anchors), []
    for number, (across, down) in enumerate(anchors):
        for y in range(part.shape[1]):
            for x in range(part.shape[2]):
                t = part[number * each : (number + 1) * each, y, x]
                middle = (logistic(t[0]) + x) / part.shape[2], (logistic(t[1]) + y) / part.shape[1]
                size = across * math.exp(t[2]) / SIZE[1], down * math.exp(t[3]) / SIZE[0]
                found.append((around(*middle, *size), [logistic(t[4]) * logistic(one) for one in t[5:]]))
    return found


def flat_of(head: Head, seed: int) -> np.ndarray:
    """A plausible output: logits, or boxes in pixels with scores in 0..1."""
    rng = np.random.default_rng(seed)
    if head.kind == "yolo-anchors":
        return rng.normal(0, 1.5, flat_length(head)).astype(np.float32)
    boxes = rng.uniform(5, 60, (50, 4))
    scores = rng.uniform(0, 1, (50, flat_length(head) // 50 - 4))
    if head.kind == "yolo-v5":
        return np.concatenate([boxes, scores], axis=1).ravel().astype(np.float32)
    if head.kind == "yolo-v8":
        return np.concatenate([boxes, scores], axis=1).T.ravel().astype(np.float32)
    corners = rng.uniform(0, 0.5, (50, 4)) + np.array([0, 0, 0.4, 0.4])
    return np.concatenate([corners.ravel(), scores.ravel()]).astype(np.float32)


@pytest.mark.parametrize("least", [0.05, 0.3, 0.7])
@pytest.mark.parametrize("head", HEADS.values(), ids=HEADS)
def test_it_finds_what_loops_find_in_their_order(head: Head, least: float) -> None:
    for seed in range(5):
        flat = flat_of(head, seed)
        wanted = one_by_one(head, flat, least)
        found = decode(head, flat, SIZE, least)
        assert found.classes.tolist() == [index for index, _, _ in wanted]
        np.testing.assert_allclose(found.scores, [score for _, score, _ in wanted], rtol=1e-6)
        np.testing.assert_allclose(
            found.corners, np.array([corners for _, _, corners in wanted]).reshape(-1, 4), rtol=1e-6, atol=1e-9
        )


def test_the_oracle_catches_rows_taken_for_columns() -> None:
    """The saboteur: a grid of 8 rows and 6 columns in the place of 6 and 8."""
    turned = Head("yolo-anchors", (Part("coarse", (16, 4, 3)), Part("fine", (16, 8, 6))), 3, ANCHORS.anchors)
    flat = flat_of(ANCHORS, 0)
    wanted = [corners for _, _, corners in one_by_one(ANCHORS, flat, 0.3)]
    assert not np.allclose(decode(turned, flat, SIZE, 0.3).corners, np.array(wanted))


@pytest.mark.parametrize("head", HEADS.values(), ids=HEADS)
def test_what_a_person_sees_lies_inside_and_comes_best_first(head: Head) -> None:
    found = detect(head, flat_of(head, 3), SIZE)
    assert len(found) > 0
    assert (found.scores >= head.threshold).all()
    assert (np.diff(found.scores) <= 0).all()
    assert found.corners.min() >= 0
    assert found.corners.max() <= 1


@pytest.mark.parametrize("broken", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("head", HEADS.values(), ids=HEADS)
def test_values_that_are_no_numbers_are_told(head: Head, broken: float) -> None:
    flat = flat_of(head, 0)
    flat[len(flat) // 2] = broken
    with pytest.raises(EngineError, match="NaN or infinity"):
        decode(head, flat, SIZE)


@pytest.mark.parametrize("head", HEADS.values(), ids=HEADS)
def test_another_length_is_told(head: Head) -> None:
    with pytest.raises(EngineError, match="its head says"):
        decode(head, flat_of(head, 0)[:-1], SIZE)


def test_huge_logits_give_finite_boxes() -> None:
    flat = np.full(flat_length(ANCHORS), 3e38, np.float32)
    found = decode(ANCHORS, flat, SIZE)
    assert len(found) == flat_length(ANCHORS) // 8
    assert np.isfinite(found.corners).all()
    assert found.scores.max() == 1.0


@pytest.mark.parametrize("head", HEADS.values(), ids=HEADS)
def test_pieces_hold_every_value_once_and_keep_boxes_from_scores(head: Head) -> None:
    flat = np.arange(2 * flat_length(head), dtype=np.float64).reshape(2, -1)
    found = pieces(head, flat)
    assert sorted(np.concatenate([one.ravel() for one in found])) == list(range(flat.size))
    boxes = sum(one.size for one in found[::2]) / 2
    count = 50 if head.kind != "yolo-anchors" else flat_length(head) // 8
    assert boxes == 4 * count


BROKEN = {
    "another kind": Head("yolo-v9", V8.parts, 3),
    "no class": Head("yolo-v8", V8.parts, 0),
    "no part": Head("yolo-v8", (), 3),
    "two parts": Head("yolo-v8", (*V8.parts, Part("more", (7, 50))), 3),
    "a name twice": Head("ssd", (Part("a", (50, 4)), Part("a", (50, 3))), 3),
    "another count of classes": Head("yolo-v5", V5.parts, 4),
    "turned": Head("yolo-v8", V5.parts, 4),
    "anchors where there are none": Head("yolo-v8", V8.parts, 3, ANCHORS.anchors),
    "anchors of one part": Head("yolo-anchors", ANCHORS.parts, 3, ANCHORS.anchors[:1]),
    "an anchor too many": Head("yolo-anchors", ANCHORS.parts, 3, (ANCHORS.anchors[0] * 2, ANCHORS.anchors[1])),
    "an anchor of no width": Head("yolo-anchors", ANCHORS.parts[:1], 3, (((0.0, 20.0), (30.0, 60.0)),)),
    "an infinite anchor": Head("yolo-anchors", ANCHORS.parts[:1], 3, (((math.inf, 20.0), (30.0, 60.0)),)),
    "an empty axis": Head("yolo-v8", (Part("out", (7, 0)),), 3),
    "a background": Head("yolo-v8", V8.parts, 3, background=True),
    "a background not in the scores": Head("ssd", SSD.parts, 3, background=True),
    "a threshold of nought": Head("yolo-v8", V8.parts, 3, threshold=0.0),
    "a threshold that is no number": Head("yolo-v8", V8.parts, 3, threshold=math.nan),
    "an overlap of one": Head("yolo-v8", V8.parts, 3, overlap=1.0),
    "more values than fit": Head("yolo-v8", (Part("out", (7, 1 << 26)),), 3),
}


@pytest.mark.parametrize("head", BROKEN.values(), ids=BROKEN)
def test_heads_that_cannot_be_read_say_why(head: Head) -> None:
    assert head_problems(head)


@pytest.mark.parametrize("head", HEADS.values(), ids=HEADS)
def test_sound_heads_have_no_problem(head: Head) -> None:
    assert head_problems(head) == []


def test_a_found_list_can_be_picked_from() -> None:
    found = Found(np.arange(8.0).reshape(2, 4), np.array([3, 5]), np.array([0.5, 0.25]))
    assert found.take(np.array([1])).classes.tolist() == [5]
    assert len(found.take(np.array([False, False]))) == 0
