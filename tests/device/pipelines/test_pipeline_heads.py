"""Heads: threshold-first decoding finds what a textbook decoder finds, and boxes lie where the picture shows them."""

from __future__ import annotations

import math
import warnings
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

import slow_heads
from head_cases import ANCHORS, SIZE, flat_of, head_of, tensors_of
from shoestring.base.errors import EngineError, EngineFaultError
from shoestring.device.pipelines.heads import decode, detect, yolo_anchors
from shoestring.domain.head import Head, Part
from shoestring.domain.preprocess import Preprocess
from shoestring.inputs.image import pixels

KINDS = ("yolo-anchors", "yolo-v5", "yolo-v8", "ssd")


def agree(head: Head, flat: np.ndarray) -> int:
    """Raise unless both decoders find the same boxes; how many there were."""
    found = decode(head, flat, SIZE)
    wanted = slow_heads.DECODERS[head.kind](head, tensors_of(head, flat), SIZE)
    # A score that lies on the threshold to float32's precision may fall on either side of it.
    firm = [one for one in wanted if one[1] > head.threshold + 1e-5]
    assert len(firm) <= len(found) <= len(wanted) + 2
    for corners, score, index in zip(
        found.corners.tolist(), found.scores.tolist(), found.classes.tolist(), strict=True
    ):
        close = min(wanted, key=lambda one: sum(abs(a - b) for a, b in zip(one[0], corners, strict=True)))
        wanted.remove(close)
        assert close[2] == index
        assert close[1] == pytest.approx(score, abs=1e-4)
        assert close[0] == pytest.approx(corners, rel=1e-4, abs=1e-3)
    return len(found)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("threshold", [0.05, 0.25, 0.6, 0.95])
def test_every_kind_agrees_with_its_textbook_decoder(kind: str, threshold: float) -> None:
    counts = [agree(head_of(kind, threshold), flat_of(head_of(kind), seed)) for seed in range(6)]
    assert sum(counts) > 0 or threshold > 0.9
    if threshold == 0.25:
        assert 0 < sum(counts) < 6 * 60


def test_a_background_column_is_no_class() -> None:
    head = head_of("ssd", background=True)
    assert agree(head, flat_of(head, 3)) > 0


def test_a_wrong_logit_of_the_threshold_would_be_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(yolo_anchors, "_logit", lambda chance: chance)  # the saboteur takes a chance for a logit
    with pytest.raises(AssertionError):
        for seed in range(6):
            agree(head_of("yolo-anchors", 0.05), flat_of(head_of("yolo-anchors"), seed))


@pytest.mark.parametrize("threshold", [0.0, 1e-6, 0.25, 0.5, 0.999, 1.0])
def test_no_objectness_at_the_threshold_is_lost_to_rounding(threshold: float) -> None:
    for value in np.linspace(-20, 20, 4001, dtype=np.float32):
        if 1 / (1 + math.exp(-float(value))) >= threshold and threshold < 1:
            assert value >= yolo_anchors._logit(threshold)


def test_extreme_logits_give_finite_boxes_without_warnings() -> None:
    head = head_of("yolo-anchors")
    flat = np.where(np.random.default_rng(0).random(flat_of(head, 0).size) < 0.5, -3e38, 3e38).astype(np.float32)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = decode(head, flat / 1e6, SIZE)
    assert len(found) and np.isfinite(found.corners).all() and found.scores.max() <= 1


@pytest.mark.parametrize("kind", KINDS)
def test_an_output_that_is_not_a_number_is_no_empty_picture(kind: str) -> None:
    head = head_of(kind)
    flat = flat_of(head, 1)
    flat[:] = math.nan
    with pytest.raises(EngineFaultError) as caught:
        decode(head, flat, SIZE)
    assert caught.value.fault == "nan"
    flat = flat_of(head, 1)
    flat[len(flat) // 2] = math.nan
    with pytest.raises(EngineFaultError):
        decode(head, flat, SIZE)


@pytest.mark.parametrize("kind", KINDS)
def test_any_bits_give_boxes_within_the_picture_or_an_error(kind: str) -> None:
    head, outcomes = head_of(kind, 0.01), set()
    for seed in range(200):
        rng = np.random.default_rng(seed)
        flat = np.frombuffer(rng.bytes(4 * flat_of(head, 0).size), np.float32).copy()
        if seed % 4:  # random bits alone are hardly ever all numbers
            flat = np.where(np.isfinite(flat), flat, 0).clip(-(10.0 ** (seed % 40 - 1)), 10.0 ** (seed % 40 - 1))
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            try:
                boxes = detect(head, flat.astype(np.float32), Preprocess(64, 96), (200, 100), ())
            except EngineFaultError as error:
                outcomes.add(error.fault)
                continue
        outcomes.add("boxes" if boxes else "none")
        for box in boxes:
            assert 0 <= box.left < box.right <= 1 and 0 <= box.top < box.bottom <= 1 and math.isfinite(box.score)
    assert {"boxes", "nan"} <= outcomes


@pytest.mark.parametrize("kind", KINDS)
def test_another_length_is_refused(kind: str) -> None:
    head = head_of(kind)
    for flat in (flat_of(head, 1)[:-1], flat_of(head, 1)[None]):
        with pytest.raises(EngineFaultError) as caught:
            decode(head, flat, SIZE)
        assert caught.value.fault == "shape"


def test_an_unknown_kind_is_refused() -> None:
    with pytest.raises(EngineError, match="yolo-v9"):
        decode(replace(head_of("yolo-v5"), kind="yolo-v9"), flat_of(head_of("yolo-v5"), 1), SIZE)


SPECS = {
    "stretch": Preprocess(96, 96),
    "letterbox": Preprocess(96, 96, "letterbox"),
    "shorter-side": Preprocess(96, 96, "shorter-side", 120),
}


@pytest.mark.parametrize("resize", SPECS)
@pytest.mark.parametrize("size", [(320, 180), (180, 320), (200, 200), (97, 61)])
def test_a_box_lands_where_the_picture_shows_the_thing(resize: str, size: tuple[int, int]) -> None:
    """The head is told where a white patch lies in the model's input; the box must be where it lies in the picture."""
    spec, (width, height) = SPECS[resize], size
    wanted = (0.4, 0.35, 0.6, 0.55)
    picture = np.zeros((height, width, 3), np.uint8)
    left, right = (round(side * width) for side in wanted[::2])
    top, bottom = (round(side * height) for side in wanted[1::2])
    picture[top:bottom, left:right] = 255
    rows, columns = np.nonzero(pixels(Image.fromarray(picture), spec)[:, :, 0] > 190)
    x0, y0, x1, y1 = columns.min(), rows.min(), columns.max() + 1, rows.max() + 1
    head = Head("yolo-v8", (Part("out", (5, 1)),), 1)
    flat = np.array([(x0 + x1) / 2, (y0 + y1) / 2, x1 - x0, y1 - y0, 0.9], np.float32)
    (box,) = detect(head, flat, spec, size, ("thing",))
    assert (box.left, box.top, box.right, box.bottom) == pytest.approx(
        (left / width, top / height, right / width, bottom / height), abs=0.03
    )
    assert (box.label, box.index, box.score) == ("thing", 0, pytest.approx(0.9))


def test_a_box_on_a_bar_is_left_out_and_one_across_the_edge_is_cut() -> None:
    head = Head("yolo-v8", (Part("out", (5, 2)),), 1)
    flat = np.array([[48, 48], [5, 24], [20, 20], [8, 20], [0.9, 0.8]], np.float32).ravel()
    (box,) = detect(head, flat, Preprocess(96, 96, "letterbox"), (320, 160), ())
    assert box.top == 0 and 0.19 < box.bottom < 0.22 and box.label == "0"


def test_boxes_come_best_first_and_one_for_each_thing() -> None:
    head = Head("yolo-v5", (Part("out", (3, 7)),), 2)
    rows = [[30, 30, 20, 20, 0.9, 0.7, 0.1], [31, 30, 20, 20, 1, 0.9, 0.1], [30, 30, 20, 20, 0.9, 0.1, 0.8]]
    boxes = detect(head, np.array(rows, np.float32).ravel(), Preprocess(64, 96), (96, 64), ("a", "b"))
    assert [(box.label, round(box.score, 2)) for box in boxes] == [("a", 0.9), ("b", 0.72)]


def test_the_coarse_grid_has_the_coarse_anchors() -> None:
    head = head_of("yolo-anchors")
    flat = np.full(flat_of(head, 0).size, -20, np.float32)
    fine, coarse = tensors_of(head, flat)
    coarse[0:4, 1, 2], coarse[4:6, 1, 2] = 0, 20
    found = decode(head, np.concatenate([fine.ravel(), coarse.ravel()]), SIZE)
    width, height = ANCHORS[1][0]
    assert found.corners[0].tolist() == pytest.approx(
        [80 - width / 2, 48 - height / 2, 80 + width / 2, 48 + height / 2]
    )
