"""Letterboxing, scaled decoding, and where a picture comes to lie."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from shoestring.base.errors import DataError
from shoestring.domain.preprocess import Preprocess
from shoestring.inputs.image import decode, pixels, probe_upright
from shoestring.inputs.placement import BAR, Placement, placement
from shoestring.inputs.spec import describe, dump_preprocess, load_preprocess

BOX = Preprocess(96, 128, "letterbox")


def smooth(width: int, height: int, seed: int = 0) -> Image.Image:
    small = np.random.default_rng(seed).integers(0, 256, (9, 12, 3), dtype=np.uint8)
    return Image.fromarray(small).resize((width, height), Image.Resampling.BICUBIC)


def jpeg(image: Image.Image, **options: object) -> bytes:
    stream = io.BytesIO()
    image.save(stream, "JPEG", quality=92, **options)
    return stream.getvalue()


def test_a_letterboxed_picture_stands_whole_between_grey_bars() -> None:
    picture = smooth(200, 100)
    got = pixels(picture, BOX)
    assert placement(picture.size, BOX) == Placement(0, 16, 128, 64)
    assert (got[:16] == BAR).all() and (got[80:] == BAR).all()
    wanted = np.asarray(picture.resize((128, 64), Image.Resampling.BILINEAR))
    assert np.array_equal(got[16:80], wanted)


@pytest.mark.parametrize(
    ("size", "wanted"),
    [
        ((100, 200), Placement(40, 0, 48, 96)),
        ((128, 96), Placement(0, 0, 128, 96)),
        ((1, 5000), Placement(63, 0, 1, 96)),
        ((3, 2), Placement(0, 5, 128, 85)),
    ],
)
def test_letterboxes_of_other_shapes(size: tuple[int, int], wanted: Placement) -> None:
    assert placement(size, BOX) == wanted


def test_a_grey_letterbox_has_one_channel() -> None:
    got = pixels(smooth(200, 100), Preprocess(96, 128, "letterbox", colour="grey", mean=(0.0,), std=(1.0,)))
    assert got.shape == (96, 128, 1) and (got[:16] == BAR).all()


def test_the_specification_survives_its_file(tmp_path) -> None:
    (tmp_path / "spec.toml").write_text(dump_preprocess(BOX))
    assert load_preprocess(tmp_path / "spec.toml") == BOX
    assert "grey bars" in describe(BOX)


@pytest.mark.parametrize(
    ("need", "size"), [((416, 234), (480, 270)), ((481, 234), (960, 540)), ((1000, 9), (1920, 1080))]
)
def test_a_large_jpeg_is_decoded_no_larger_than_needed(need: tuple[int, int], size: tuple[int, int]) -> None:
    data = jpeg(smooth(1920, 1080))
    assert decode(data, "x", need).size == size
    assert decode(data, "x").size == (1920, 1080)


def test_a_smaller_decoding_shows_the_same_picture() -> None:
    data = jpeg(smooth(1280, 720))
    spec = Preprocess(180, 320, "letterbox")
    whole, small = (pixels(decode(data, "x", need), spec).astype(int) for need in (None, (320, 180)))
    assert np.abs(whole - small).mean() < 1.5 and np.abs(whole - small).max() < 24


@pytest.mark.parametrize("orientation", [1, 3, 6, 8])
def test_a_turned_jpeg_keeps_what_is_needed_after_the_turn(orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = jpeg(smooth(1600, 800), exif=exif)
    upright = (800, 1600) if orientation > 4 else (1600, 800)
    assert probe_upright(data, "x") == upright == decode(data, "x").size
    need = (upright[0] // 4, upright[1] // 4)
    assert decode(data, "x", need).size == need


def test_other_formats_are_decoded_whole() -> None:
    stream = io.BytesIO()
    smooth(400, 300).save(stream, "PNG")
    assert decode(stream.getvalue(), "x", (40, 30)).size == (400, 300)


def test_a_torn_jpeg_is_an_error_at_any_size() -> None:
    data = jpeg(smooth(1920, 1080))
    for need in (None, (100, 100)):
        with pytest.raises(DataError, match="torn"):
            decode(data[: len(data) // 2], "torn", need)
