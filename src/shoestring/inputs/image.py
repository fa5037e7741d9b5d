"""An encoded image to pixels, and pixels to the model's input.

The workshop and the device run this same code, so that an image gives the same input on both.
"""

from __future__ import annotations

import io
import struct
import zlib
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import ExifTags, Image, ImageOps, UnidentifiedImageError

from shoestring.base.errors import DataError
from shoestring.base.limits import MAX_IMAGE_PIXELS
from shoestring.domain.preprocess import Preprocess
from shoestring.inputs.placement import BAR, placement
from shoestring.inputs.spec import check_preprocess

Pixels = npt.NDArray[np.uint8]

_FEW = 4096  # values below which plain indexing is as fast

# JPEG covers MPO, which phones write; everything that runs a helper program (EPS) stays out.
FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF", "PPM")

_FILTERS = {
    "nearest": Image.Resampling.NEAREST,
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
    "area": Image.Resampling.BOX,
}

_JPEGS = ("JPEG", "MPO")
_TURNED = (5, 6, 7, 8)  # EXIF orientations that swap width and height (CIPA DC-008, 4.6.4)

# What Pillow's readers raise on broken files. They have no common class, and each reader leaks its own.
_PILLOW_ERRORS = (
    OSError,
    SyntaxError,
    ValueError,
    TypeError,
    LookupError,
    AttributeError,
    ArithmeticError,
    EOFError,
    RuntimeError,
    MemoryError,
    AssertionError,
    struct.error,
    zlib.error,
)


def probe(data: bytes, name: str) -> tuple[int, int]:
    """Read the header only.

    Args:
        data: an encoded image.
        name: for error messages.

    Returns:
        (width, height) in pixels as stored, before any EXIF rotation.

    Raises:
        DataError: not an image in one of FORMATS, or more than MAX_IMAGE_PIXELS.
    """
    return _open(data, name).size


def probe_upright(data: bytes, name: str) -> tuple[int, int]:
    """As `probe` of a JPEG, after the rotation that EXIF asks for: the size that `decode` gives."""
    image = _open(data, name)
    try:
        turned = _is_turned(image)
    except _PILLOW_ERRORS as error:
        raise DataError(f"image {name} has a broken header: {_reason(error)}", hint="replace the file") from error
    return image.size[::-1] if turned else image.size


def decode(data: bytes, name: str, need: tuple[int, int] | None = None) -> Image.Image:
    """Decode to 8-bit RGB: first frame, EXIF orientation applied, transparency flattened on black.

    16-bit samples keep their high byte, as libpng's strip_16 does. CMYK, palettes and grey become RGB.

    Args:
        data: an encoded image.
        name: for error messages.
        need: (width, height) that the picture is to have at least. A larger JPEG is decoded at a half, a quarter or an
            eighth of its size, straight from its cosine coefficients; it then differs in its last bits from one that
            was decoded whole and averaged. None decodes all pixels.

    Raises:
        DataError: not an image in one of FORMATS, truncated, more than MAX_IMAGE_PIXELS (checked before decoding), or
            samples of a kind that has no 8-bit meaning (floating point, 32-bit integers).
    """
    image = _open(data, name)
    try:
        if need is not None and image.format in _JPEGS:
            image.draft(image.mode, need[::-1] if _is_turned(image) else need)
        image.load()
        ImageOps.exif_transpose(image, in_place=True)
        return _to_rgb(image, name)
    except _PILLOW_ERRORS as error:
        raise DataError(
            f"image {name} cannot be decoded: {_reason(error)}", hint="replace the file, or take it out of the data"
        ) from error


def pixels(image: Image.Image, spec: Preprocess, name: str = "image") -> Pixels:
    """Apply colour, resize, and centre crop or bars; `inputs.placement` says how they round.

    Args:
        image: any size and mode.
        spec: what the model wants.
        name: for error messages.

    Returns:
        (spec.height, spec.width, spec.channels), colours in the order of spec.colour.

    Raises:
        DataError: the specification is unsound, the size is wrong under resize `none`, or the image is so narrow that
            resizing it would pass MAX_IMAGE_PIXELS.
    """
    check_preprocess(spec)
    mode = "L" if spec.colour == "grey" else "RGB"
    if image.mode != mode:
        image = image.convert(mode)
    array = np.asarray(_fit(image, spec, name), dtype=np.uint8)
    if spec.colour == "grey":
        array = array[:, :, np.newaxis]
    elif spec.colour == "bgr":
        array = array[:, :, ::-1]
    return np.ascontiguousarray(array)


def tensor(batch: Pixels, spec: Preprocess) -> npt.NDArray[Any]:
    """(pixel * scale - mean) / std, in the model's layout and type.

    Each of the 256 values is computed once in float64 and rounded once to float32, so the result depends neither on the
    batch nor on the processor.

    Args:
        batch: (n, spec.height, spec.width, spec.channels), as `pixels` gives it.
        spec: what the model wants.

    Returns:
        (n, channels, height, width) or (n, height, width, channels), of spec.dtype.

    Raises:
        DataError: the specification is unsound, or the batch has another shape or type.
    """
    tables = _tables(spec)
    wanted = (spec.height, spec.width, spec.channels)
    if batch.dtype != np.uint8 or batch.ndim != 4 or batch.shape[1:] != wanted:
        raise DataError(f"pixels are {batch.dtype} {batch.shape}, the pre-processing wants uint8 (n, *{wanted})")
    if spec.dtype == "uint8":
        return np.ascontiguousarray(batch.transpose(0, 3, 1, 2)) if spec.layout == "nchw" else batch.copy()
    n, height, width, channels = batch.shape
    if spec.layout == "nchw":
        planes = np.empty((n, channels, height, width), np.float32)
        for image, made in zip(batch, planes, strict=True):
            for channel, table in enumerate(tables):
                _look_up(table, image[..., channel], made[channel])
        return planes
    planes = np.empty(batch.shape, np.float32)
    for channel, table in enumerate(tables):
        planes[..., channel] = table[batch[..., channel]]
    return planes


@lru_cache(maxsize=16)
def _tables(spec: Preprocess) -> tuple[npt.NDArray[np.float32], ...]:
    """What each of the 256 values becomes, for each channel. Raises DataError for an unsound specification."""
    check_preprocess(spec)
    scaled = np.arange(256, dtype=np.float64) * spec.scale
    return tuple(((scaled - mean) / std).astype(np.float32) for mean, std in zip(spec.mean, spec.std, strict=True))


def _look_up(table: npt.NDArray[np.float32], plane: Pixels, made: npt.NDArray[np.float32]) -> None:
    """made[...] = table[plane], into contiguous memory."""
    if plane.size < _FEW:
        made[...] = table[plane]
    else:
        # Every uint8 is a place of the table: told to clip, numpy looks up without a check and without a copy.
        np.take(table, plane, out=made, mode="clip")


def _open(data: bytes, name: str) -> Image.Image:
    if not data:
        raise DataError(f"image {name} is empty (0 bytes)", hint="replace the file, or take it out of the data")
    try:
        image = Image.open(io.BytesIO(data), formats=FORMATS)
    except Image.DecompressionBombError:
        raise _too_large(name, "far more") from None
    except UnidentifiedImageError as error:
        raise DataError(
            f"{name} is not an image that we can read ({len(data)} bytes)",
            hint=f"formats: {', '.join(FORMATS)}; take other files out of the data",
        ) from error
    except _PILLOW_ERRORS as error:
        raise DataError(f"image {name} has a broken header: {_reason(error)}", hint="replace the file") from error
    width, height = image.size
    if width * height > MAX_IMAGE_PIXELS:
        raise _too_large(name, f"{width}x{height} = {width * height}")
    if width < 1 or height < 1:
        raise DataError(f"image {name} claims a size of {width}x{height} pixels", hint="replace the file")
    return image


def _is_turned(image: Image.Image) -> bool:
    return image.getexif().get(ExifTags.Base.Orientation, 1) in _TURNED


def _to_rgb(image: Image.Image, name: str) -> Image.Image:
    if image.mode == "F":
        raise DataError(f"image {name} holds floating-point samples", hint="convert it to 8 bits a channel")
    if image.mode == "I" or image.mode.startswith("I;16"):
        # Pillow gives 16-bit PNGs as `I` or `I;16` by version, and clips both on conversion instead of scaling.
        samples = np.asarray(image).astype(np.int64)
        if samples.min() < 0 or samples.max() > 65535:
            raise DataError(
                f"image {name} holds samples from {samples.min()} to {samples.max()}, outside 16 bits",
                hint="convert it to 8 bits a channel",
            )
        return Image.fromarray((samples >> 8).astype(np.uint8)).convert("RGB")
    if image.has_transparency_data:
        rgba = image.convert("RGBA")
        black = Image.new("RGBA", rgba.size, (0, 0, 0, 255))
        return Image.alpha_composite(black, rgba).convert("RGB")
    return image if image.mode == "RGB" else image.convert("RGB")


def _fit(image: Image.Image, spec: Preprocess, name: str) -> Image.Image:
    wanted = (spec.width, spec.height)
    resample = _FILTERS[spec.filter]
    if spec.resize == "stretch":
        return image.resize(wanted, resample)
    if spec.resize == "none":
        if image.size != wanted:
            raise DataError(
                f"{name} is {image.width}x{image.height} pixels, the pre-processing wants {wanted[0]}x{wanted[1]}",
                hint="set resize to 'stretch', 'shorter-side' or 'letterbox'",
            )
        return image
    place = placement(image.size, spec)
    size = (place.width, place.height)
    if place.width * place.height > MAX_IMAGE_PIXELS:
        raise _too_large(f"{name} of {image.width}x{image.height}, resized", f"{place.width}x{place.height}")
    image = image.resize(size, resample)
    if spec.resize == "letterbox":
        canvas = Image.new(image.mode, wanted, BAR if image.mode == "L" else (BAR, BAR, BAR))
        canvas.paste(image, (place.left, place.top))
        return canvas
    return image.crop((-place.left, -place.top, wanted[0] - place.left, wanted[1] - place.top))


def _too_large(name: str, pixel_count: str) -> DataError:
    return DataError(
        f"image {name} has {pixel_count} pixels, the limit is {MAX_IMAGE_PIXELS}",
        hint="scale it down, or take it out of the data",
    )


def _reason(error: BaseException) -> str:
    lines = str(error).splitlines()
    return lines[0] if lines else type(error).__name__
