"""Drawn boxes: where they belong, in colours that stay apart, with words that can be read."""

from __future__ import annotations

import io
import itertools

import numpy as np
import pytest
from PIL import Image

from shoestring.base.errors import UsageError
from shoestring.device.answers import to_answer
from shoestring.device.pipelines.draw import (
    BLACK,
    COLOURS,
    WHITE,
    caption,
    colour_of,
    draw,
    encode_jpeg,
    ink_on,
    luminance,
)
from shoestring.device.pipelines.nouns import Box, Frame


def blank(width: int = 320, height: int = 240) -> np.ndarray:
    return np.full((height, width, 3), 90, np.uint8)


def box(left: float, top: float, right: float, bottom: float, index: int = 0, label: str = "person") -> Box:
    return Box(left, top, right, bottom, index, label, 0.87, 3)


def test_a_box_is_drawn_where_it_is_and_the_picture_is_left_alone() -> None:
    picture = blank()
    drawn = draw(picture, [box(0.25, 0.5, 0.75, 0.9)])
    assert (picture == 90).all()
    same = (drawn == colour_of(0)).all(axis=2)
    assert same[120:216, 80].all() and same[120:216, 239].all() and same[215, 80:240].all()
    assert not same[140:200, 100:220].any()


@pytest.mark.parametrize(
    "corners", [(0, 0, 1, 1), (0.98, 0.0, 1, 0.05), (0.0, 0.98, 0.02, 1.0), (0.5, 0.5, 0.5, 0.5), (0.9, 0.4, 1.0, 0.6)]
)
@pytest.mark.parametrize("size", [(320, 240), (33, 17), (1, 1)])
def test_no_place_and_no_size_breaks_it(corners: tuple[float, ...], size: tuple[int, int]) -> None:
    drawn = draw(blank(*size), [box(*corners, label="a very long name of a thing that nobody has ever seen before")])
    assert drawn.shape == (size[1], size[0], 3)


def test_a_label_at_the_upper_edge_is_still_there() -> None:
    drawn = draw(blank(), [box(0.3, 0.0, 0.6, 0.5)])
    assert (drawn[:12, 96:150] == colour_of(0)).all(axis=2).sum() > 200


def test_labels_of_neighbours_do_not_cover_each_other() -> None:
    boxes = [box(0.3 + 0.05 * n, 0.4, 0.35 + 0.05 * n, 0.7, n, "person") for n in range(3)]
    crowded = draw(blank(640, 480), boxes)
    for n, one in enumerate(boxes):  # as many pixels of the label's ground as when it is alone
        alone = (draw(blank(640, 480), [one]) == colour_of(n)).all(axis=2).sum()
        assert (crowded == colour_of(n)).all(axis=2).sum() > 0.85 * alone


def contrast(one: tuple[int, int, int], other: tuple[int, int, int]) -> float:
    lighter, darker = sorted((luminance(one), luminance(other)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def test_every_label_can_be_read_and_every_colour_told_from_the_others() -> None:
    for colour in COLOURS:
        assert contrast(colour, ink_on(colour)) >= 4.5  # WCAG 2.2, 1.4.3
        assert contrast(colour, ink_on(colour)) >= contrast(colour, WHITE if ink_on(colour) == BLACK else BLACK)
    for one, other in itertools.combinations(COLOURS, 2):
        assert np.linalg.norm(np.subtract(one, other)) > 60


def test_a_caption_says_what_how_sure_and_which_one() -> None:
    assert caption(box(0, 0, 1, 1)) == "person 87 % #3"
    assert caption(Box(0, 0, 1, 1, 2, "dog\n\x1b[31m", 0.5)) == "dog  [31m 50 %"


@pytest.mark.parametrize("quality", [1, 95])
def test_a_jpeg_opens_again_with_its_boxes(quality: int) -> None:
    frame = Frame(0, 0.0, blank(), (320, 240))
    data = encode_jpeg(frame, [box(0.25, 0.25, 0.75, 0.75)], quality)
    image = Image.open(io.BytesIO(data))
    assert image.format == "JPEG" and image.size == (320, 240)
    if quality == 95:
        red, green, blue = image.convert("RGB").getpixel((80, 120))
        assert red > 150 and green > 90 and blue < 110


def test_a_quality_that_jpeg_has_not_is_refused() -> None:
    for quality in (0, 96):
        with pytest.raises(UsageError):
            encode_jpeg(Frame(0, 0.0, blank(), (320, 240)), [], quality)


def test_a_classifiers_answer_is_written_into_the_picture() -> None:
    answer = to_answer(np.array([0.1, 5.0]), ("cat", "dog"), probabilities=False)
    assert (draw(blank(), [], answer) != 90).any()
