"""Boxes in the model's input become boxes in the picture."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from shoestring.device.answers import boxes_of
from shoestring.device.pipelines.nouns import Box
from shoestring.domain.head import Head, Part
from shoestring.domain.preprocess import Preprocess
from shoestring.heads import detect
from shoestring.inputs.image import pixels


def seen(
    head: Head, flat: np.ndarray, spec: Preprocess, size: tuple[int, int], labels: tuple[str, ...]
) -> tuple[Box, ...]:
    """As every caller on the device does it."""
    return boxes_of(detect(head, flat, (spec.height, spec.width)), labels, spec, size)


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
    (box,) = seen(head, flat, spec, size, ("thing",))
    assert (box.left, box.top, box.right, box.bottom) == pytest.approx(
        (left / width, top / height, right / width, bottom / height), abs=0.03
    )
    assert (box.label, box.index, box.score) == ("thing", 0, pytest.approx(0.9))


def test_a_box_on_a_bar_is_left_out_and_one_across_the_edge_is_cut() -> None:
    head = Head("yolo-v8", (Part("out", (5, 2)),), 1)
    flat = np.array([[48, 48], [5, 24], [20, 20], [8, 20], [0.9, 0.8]], np.float32).ravel()
    (box,) = seen(head, flat, Preprocess(96, 96, "letterbox"), (320, 160), ())
    assert box.top == 0 and 0.19 < box.bottom < 0.22 and box.label == "0"


def test_boxes_come_best_first_and_one_for_each_thing() -> None:
    head = Head("yolo-v5", (Part("out", (3, 7)),), 2)
    rows = [[30, 30, 20, 20, 0.9, 0.7, 0.1], [31, 30, 20, 20, 1, 0.9, 0.1], [30, 30, 20, 20, 0.9, 0.1, 0.8]]
    boxes = seen(head, np.array(rows, np.float32).ravel(), Preprocess(64, 96), (96, 64), ("a", "b"))
    assert [(box.label, round(box.score, 2)) for box in boxes] == [("a", 0.9), ("b", 0.72)]
