"""Decoding, fitting and scaling of images."""

from __future__ import annotations

import io
import random
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from shoestring.base.errors import DataError
from shoestring.base.limits import MAX_IMAGE_PIXELS
from shoestring.domain.preprocess import Preprocess
from shoestring.inputs import image as images

SPEC = Preprocess(height=8, width=8)


def encoded(image: Image.Image, form: str = "PNG", **options: object) -> bytes:
    stream = io.BytesIO()
    image.save(stream, form, **options)
    return stream.getvalue()


def noise(width: int = 40, height: int = 30, seed: int = 0) -> Image.Image:
    rng = np.random.default_rng(seed)
    small = Image.fromarray(rng.integers(0, 256, (6, 8, 3), dtype=np.uint8))
    return small.resize((width, height), Image.Resampling.BICUBIC)


def png_that_claims(width: int, height: int) -> bytes:
    """A PNG of 100 bytes whose header claims any size."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0")) + chunk(b"IEND", b"")


@pytest.mark.parametrize("form", ["PNG", "BMP", "TIFF", "PPM"])
def test_lossless_formats_decode_to_the_pixels_that_were_saved(form: str) -> None:
    image = noise()
    decoded = images.decode(encoded(image, form), "x")
    assert decoded.mode == "RGB"
    assert np.array_equal(np.asarray(decoded), np.asarray(image))


@pytest.mark.parametrize("form", ["JPEG", "WEBP"])
def test_lossy_formats_decode_close_to_what_was_saved(form: str) -> None:
    image = noise()
    decoded = images.decode(encoded(image, form, quality=95), "x")
    assert decoded.size == image.size
    assert np.abs(np.asarray(decoded, np.int16) - np.asarray(image, np.int16)).mean() < 12  # colours are subsampled


def test_the_first_frame_of_a_moving_gif_is_taken() -> None:
    frames = [Image.new("RGB", (8, 8), colour) for colour in ("red", "blue")]
    data = encoded(frames[0], "GIF", save_all=True, append_images=frames[1:])
    assert images.decode(data, "x").getpixel((3, 3)) == (255, 0, 0)


def test_exif_orientation_is_applied() -> None:
    image = Image.new("RGB", (4, 2), "black")
    image.putpixel((0, 0), (255, 255, 255))
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was turned: show it rotated by 90 degrees clockwise
    turned = images.decode(encoded(image, "PNG", exif=exif), "x")
    assert turned.size == (2, 4)
    assert turned.getpixel((1, 0)) == (255, 255, 255)


def test_transparency_is_flattened_on_black() -> None:
    image = Image.new("RGBA", (2, 1), (200, 100, 50, 255))
    image.putpixel((1, 0), (255, 255, 255, 0))
    decoded = images.decode(encoded(image), "x")
    assert [decoded.getpixel((x, 0)) for x in (0, 1)] == [(200, 100, 50), (0, 0, 0)]


def test_a_transparent_palette_colour_becomes_black() -> None:
    image = Image.new("P", (2, 1))
    image.putpalette([255, 0, 0, 0, 255, 0])
    image.putpixel((1, 0), 1)
    decoded = images.decode(encoded(image, transparency=0), "x")
    assert [decoded.getpixel((x, 0)) for x in (0, 1)] == [(0, 0, 0), (0, 255, 0)]


@pytest.mark.parametrize("form", ["PNG", "TIFF"])
def test_sixteen_bits_keep_their_high_byte(form: str) -> None:
    samples = np.array([[0, 255, 256, 0x7FFF, 0xFFFF]], np.uint16)
    decoded = np.asarray(images.decode(encoded(Image.fromarray(samples), form), "x"))
    assert decoded[0, :, 0].tolist() == [0, 0, 1, 0x7F, 0xFF]
    assert np.array_equal(decoded[..., 0], decoded[..., 2])


@pytest.mark.parametrize(
    ("mode", "form"), [("CMYK", "JPEG"), ("CMYK", "TIFF"), ("1", "PNG"), ("LA", "PNG"), ("L", "PNG")]
)
def test_other_modes_become_rgb(mode: str, form: str) -> None:
    image = noise().convert(mode)
    decoded = images.decode(encoded(image, form), "x")
    assert (decoded.mode, decoded.size) == ("RGB", image.size)


def test_floating_point_samples_are_refused() -> None:
    data = encoded(Image.fromarray(np.ones((4, 4), np.float32)), "TIFF")
    with pytest.raises(DataError, match=r"sun\.tif holds floating-point"):
        images.decode(data, "sun.tif")


@pytest.mark.parametrize(
    ("data", "words"), [(b"", "0 bytes"), (b"hello, world", "not an image"), (b"\xff\xd8\xff", "image")]
)
def test_what_is_not_an_image_is_named(data: bytes, words: str) -> None:
    with pytest.raises(DataError, match=words) as caught:
        images.probe(data, "cat.jpg")
    assert "cat.jpg" in caught.value.message
    assert caught.value.hint


@pytest.mark.parametrize("form", ["PNG", "JPEG", "WEBP", "BMP", "GIF", "TIFF", "PPM"])
def test_every_truncation_and_every_flipped_byte_is_an_image_or_a_data_error(form: str) -> None:
    whole = encoded(noise(), form)
    rng = random.Random(0)
    for _ in range(60):
        data = bytearray(whole[: rng.randrange(1, len(whole))] if rng.random() < 0.5 else whole)
        for _ in range(rng.randrange(4)):
            data[rng.randrange(len(data))] = rng.randrange(256)
        try:
            assert images.decode(bytes(data), "x").mode == "RGB"
        except DataError as error:
            assert "x" in error.message


@pytest.mark.parametrize("form", ["PNG", "JPEG", "WEBP", "BMP", "PPM"])
def test_half_an_image_is_refused(form: str) -> None:
    whole = encoded(noise(), form)
    with pytest.raises(DataError):
        images.decode(whole[: len(whole) // 2], "x")


@pytest.mark.parametrize("size", [(10_001, 10_000), (60_000, 60_000)])
def test_a_claim_of_too_many_pixels_stops_before_decoding(
    size: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(self: Image.Image) -> None:
        raise RuntimeError("decoded")

    monkeypatch.setattr("PIL.ImageFile.ImageFile.load", never)
    with pytest.raises(DataError, match=f"limit is {MAX_IMAGE_PIXELS}"):
        images.decode(png_that_claims(*size), "bomb.png")


def test_the_limit_itself_catches_what_pillow_lets_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    """Saboteur: with our limit lifted, the claim of 101 megapixels gets as far as decoding."""
    monkeypatch.setattr(images, "MAX_IMAGE_PIXELS", 10**12)
    monkeypatch.setattr("PIL.ImageFile.ImageFile.load", lambda self: (_ for _ in ()).throw(RuntimeError("decoded")))
    with pytest.raises(DataError, match="decoded"):
        images.decode(png_that_claims(10_100, 10_000), "bomb.png")


def test_an_unusual_format_is_refused_though_pillow_could_read_it() -> None:
    with pytest.raises(DataError, match="not an image that we can read"):
        images.decode(encoded(noise(), "ICO"), "x.ico")


def test_colour_orders() -> None:
    image = Image.new("RGB", (8, 8), (200, 100, 50))
    assert images.pixels(image, SPEC)[0, 0].tolist() == [200, 100, 50]
    assert images.pixels(image, Preprocess(8, 8, colour="bgr"))[0, 0].tolist() == [50, 100, 200]
    grey = images.pixels(image, Preprocess(8, 8, colour="grey", mean=(0.0,), std=(1.0,)))
    assert (grey.shape, grey[0, 0, 0]) == ((8, 8, 1), round(0.299 * 200 + 0.587 * 100 + 0.114 * 50))


def test_grey_survives_the_way_through_rgb() -> None:
    levels = np.arange(256, dtype=np.uint8).reshape(16, 16)
    decoded = images.decode(encoded(Image.fromarray(levels)), "x")
    spec = Preprocess(16, 16, colour="grey", mean=(0.0,), std=(1.0,))
    assert np.array_equal(images.pixels(decoded, spec)[..., 0], levels)


def test_an_image_of_the_right_size_is_not_touched() -> None:
    image = noise(40, 30)
    for resize in ("stretch", "none"):
        assert np.array_equal(images.pixels(image, Preprocess(30, 40, resize)), np.asarray(image))


@pytest.mark.parametrize(
    ("size", "middle"), [((640, 480), (341, 256)), ((480, 640), (256, 341)), ((333, 333), (256, 256))]
)
def test_shorter_side_and_centre_crop_are_those_of_torchvision(size: tuple[int, int], middle: tuple[int, int]) -> None:
    image = noise(*size)
    spec = Preprocess(224, 224, "shorter-side", 256)
    left, top = round((middle[0] - 224) / 2), round((middle[1] - 224) / 2)
    wanted = image.resize(middle, Image.Resampling.BILINEAR).crop((left, top, left + 224, top + 224))
    assert np.array_equal(images.pixels(image, spec), np.asarray(wanted))


def test_filters_differ_and_area_is_the_mean_of_blocks() -> None:
    image = noise(32, 32)
    results = {
        name: images.pixels(image, Preprocess(8, 8, filter=name)) for name in ("nearest", "bilinear", "bicubic", "area")
    }
    blocks = np.asarray(image, np.float64).reshape(8, 4, 8, 4, 3).mean(axis=(1, 3))
    assert np.abs(results["area"] - blocks).max() <= 1
    assert len({array.tobytes() for array in results.values()}) == 4


def test_resize_none_demands_the_size() -> None:
    with pytest.raises(DataError, match=r"cat\.png is 40x30 pixels, the pre-processing wants 8x8"):
        images.pixels(noise(), Preprocess(8, 8, "none"), "cat.png")


def test_a_sliver_of_an_image_cannot_blow_up() -> None:
    with pytest.raises(DataError, match="limit"):
        images.pixels(Image.new("RGB", (1, 1_000_000)), Preprocess(224, 224, "shorter-side", 256), "line.png")


@pytest.mark.parametrize("layout", ["nchw", "nhwc"])
def test_tensor_is_the_formula_and_does_not_depend_on_the_batch(layout: str) -> None:
    rng = np.random.default_rng(0)
    batch = rng.integers(0, 256, (5, 8, 8, 3), dtype=np.uint8)
    spec = Preprocess(8, 8, mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225), layout=layout)
    result = images.tensor(batch, spec)
    exact = (batch / 255.0 - np.array(spec.mean)) / np.array(spec.std)
    exact = exact.transpose(0, 3, 1, 2) if layout == "nchw" else exact
    assert result.dtype == np.float32
    assert result.flags.c_contiguous
    assert np.allclose(result, exact, rtol=1e-6, atol=1e-7)
    for i in range(5):
        assert images.tensor(batch[i : i + 1], spec).tobytes() == result[i : i + 1].tobytes()


def test_tensor_of_bytes_passes_them_on() -> None:
    batch = np.arange(8 * 8 * 3, dtype=np.uint8).reshape(1, 8, 8, 3)
    result = images.tensor(batch, Preprocess(8, 8, scale=1.0, dtype="uint8"))
    assert (result.dtype, result.shape) == (np.uint8, (1, 3, 8, 8))
    assert np.array_equal(result[0, 1], batch[0, :, :, 1])


@pytest.mark.parametrize(
    "batch", [np.zeros((1, 8, 8, 3), np.float32), np.zeros((8, 8, 3), np.uint8), np.zeros((1, 3, 8, 8), np.uint8)]
)
def test_tensor_refuses_other_pixels(batch: np.ndarray) -> None:
    with pytest.raises(DataError, match="wants uint8"):
        images.tensor(batch, SPEC)


def test_an_unsound_specification_is_refused() -> None:
    with pytest.raises(DataError, match="'lanczos' is not one of"):
        images.pixels(noise(), Preprocess(8, 8, filter="lanczos"))
