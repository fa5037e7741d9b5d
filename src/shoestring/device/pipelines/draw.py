"""Boxes and labels on a picture.

The colours are those of Okabe and Ito, "Color Universal Design" (2008), which people with any kind of colour vision
tell apart; a class always has the same. The label stands on its colour in black or white, whichever contrasts more
(WCAG 2.2, relative luminance).
"""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from shoestring.base.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from shoestring.device.answers import Answer
    from shoestring.device.pipelines.nouns import Box, Frame
    from shoestring.inputs.image import Pixels

    Colour = tuple[int, int, int]
    Edge = tuple[int, int, int, int]

COLOURS: tuple[Colour, ...] = (
    (230, 159, 0),
    (86, 180, 233),
    (0, 158, 115),
    (240, 228, 66),
    (0, 114, 178),
    (213, 94, 0),
    (204, 121, 167),
)
BLACK, WHITE = (0, 0, 0), (255, 255, 255)
_MOST_LETTERS = 40  # of a label: a longer one would cover the picture


def draw(picture: Pixels, boxes: Iterable[Box], answer: Answer | None = None) -> Pixels:
    """A copy of a picture with boxes and labels on it.

    Args:
        picture: (height, width, 3) RGB.
        boxes: in 0..1 of the picture, best first; the best are drawn last, over the others.
        answer: of a classifier, written into the upper left corner.

    Returns:
        (height, width, 3) RGB.
    """
    return np.asarray(_drawn(picture, boxes, answer))


def encode_jpeg(frame: Frame, boxes: Iterable[Box], quality: int = 80, answer: Answer | None = None) -> bytes:
    """A frame with its boxes as a JPEG file.

    Args:
        frame: with its pixels.
        boxes, answer: as in `draw`.
        quality: of JPEG, 1 to 95.

    Raises:
        UsageError: a quality outside of 1..95.
    """
    if not 1 <= quality <= 95:
        raise UsageError(f"JPEG quality {quality} is outside 1..95")
    stream = io.BytesIO()
    _drawn(frame.pixels, boxes, answer).save(stream, "JPEG", quality=quality)
    return stream.getvalue()


def colour_of(index: int) -> Colour:
    """The colour of a class."""
    return COLOURS[index % len(COLOURS)]


def ink_on(colour: Colour) -> Colour:
    """Black or white, whichever contrasts more with a colour."""
    light = luminance(colour)
    return BLACK if (light + 0.05) / 0.05 >= 1.05 / (light + 0.05) else WHITE


def luminance(colour: Colour) -> float:
    """Relative luminance, 0 to 1 (WCAG 2.2, "relative luminance")."""
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in (part / 255 for part in colour)]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def caption(box: Box) -> str:
    """`person 87 % #3`: label, score, and the number of the track."""
    number = "" if box.track is None else f" #{box.track}"
    return f"{_short(box.label)} {box.score:.0%}{number}".replace("%", " %")


def _short(label: str) -> str:
    text = "".join(letter if letter.isprintable() else " " for letter in label)
    return text if len(text) <= _MOST_LETTERS else text[: _MOST_LETTERS - 1] + "…"


def _drawn(picture: Pixels, boxes: Iterable[Box], answer: Answer | None) -> Image.Image:
    image = Image.fromarray(picture)
    pen = ImageDraw.Draw(image)
    height = max(11, min(image.size) // 40)
    line, font = max(1, height // 6), ImageFont.load_default(height)
    edges = [(_pixels(box, image.size), colour_of(box.index), caption(box)) for box in boxes]
    for edge, colour, _ in reversed(edges):
        pen.rectangle(edge, outline=colour, width=line)
    if answer is not None:
        words = f"{_short(answer.label)} {answer.score:.0%}".replace("%", " %")
        edges.insert(0, ((0, image.height - 1, 0, image.height - 1), colour_of(answer.index), words))
    taken: list[Edge] = []
    for edge, colour, words in edges:  # the best choose their place first
        left, top, right, bottom = (round(side) for side in pen.textbbox((0, 0), words, font=font))
        place = _free_place(edge, (right - left + 4, bottom - top + 4), image.size, taken)
        taken.append(place)
        pen.rectangle(place, fill=colour)
        pen.text((place[0] + 2 - left, place[1] + 2 - top), words, fill=ink_on(colour), font=font)
    return image


def _pixels(box: Box, size: tuple[int, int]) -> Edge:
    left, right = (round(side * (size[0] - 1)) for side in (box.left, box.right))
    top, bottom = (round(side * (size[1] - 1)) for side in (box.top, box.bottom))
    return left, top, right, bottom


def _free_place(edge: Edge, label: tuple[int, int], size: tuple[int, int], taken: list[Edge]) -> Edge:
    """Where a label covers other labels least: above its box, below it, or inside; always within the picture."""
    left, top, right, bottom = edge
    width, height = label
    places = []
    for x, y in (
        (left, top - height),
        (right - width, top - height),
        (left, bottom),
        (right - width, bottom),
        (left, top),
        (left, bottom - height),
    ):
        x0, y0 = max(0, min(x, size[0] - width - 1)), max(0, min(y, size[1] - height - 1))
        places.append((x0, y0, x0 + width, y0 + height))
    return min(places, key=lambda place: sum(_shared(place, other) for other in taken))


def _shared(one: Edge, other: Edge) -> int:
    """Pixels that both cover."""
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    return max(0, width) * max(0, height)
