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
    for box in reversed(tuple(boxes)):
        colour = colour_of(box.index)
        left, right = (round(side * (image.width - 1)) for side in (box.left, box.right))
        top, bottom = (round(side * (image.height - 1)) for side in (box.top, box.bottom))
        pen.rectangle((left, top, right, bottom), outline=colour, width=line)
        _label(pen, font, caption(box), (left, top), colour, image.size)
    if answer is not None:
        words = f"{_short(answer.label)} {answer.score:.0%}".replace("%", " %")
        _label(pen, font, words, (0, image.height), colour_of(answer.index), image.size)
    return image


def _label(
    pen: ImageDraw.ImageDraw,
    font: ImageFont.FreeTypeFont | ImageFont.ImageFont,
    words: str,
    corner: tuple[int, int],
    colour: Colour,
    size: tuple[int, int],
) -> None:
    """Words on a ground of their colour, above a corner or, without room there, below it; always within the picture."""
    left, top, right, bottom = (round(side) for side in pen.textbbox((0, 0), words, font=font))
    width, height = right - left + 4, bottom - top + 4
    x = max(0, min(corner[0], size[0] - width))
    y = corner[1] - height if corner[1] >= height else min(corner[1], size[1] - height)
    pen.rectangle((x, y, x + width, y + height), fill=colour)
    pen.text((x + 2 - left, y + 2 - top), words, fill=ink_on(colour), font=font)
