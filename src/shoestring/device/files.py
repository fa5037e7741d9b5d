"""Image files that a user names, and their pixels."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from shoestring.base.addresses import without_password
from shoestring.base.errors import DataError
from shoestring.base.limits import MAX_IMAGES, MIB
from shoestring.inputs.image import Pixels, decode, pixels

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from shoestring.domain.preprocess import Preprocess

MAX_FILE_BYTES = 512 * MIB  # a 100-megapixel image stored raw, with room for an alpha channel and 8 bits more
JPEG_SUFFIXES = (".jpg", ".jpeg", ".jpe", ".jfif", ".mpo")
OTHER_SUFFIXES = (".png", ".webp", ".bmp", ".dib", ".gif", ".tif", ".tiff", ".ppm", ".pgm", ".pbm", ".pnm")
SUFFIXES = frozenset(JPEG_SUFFIXES + OTHER_SUFFIXES)


def expand(paths: Iterable[Path | str]) -> list[Path]:
    """Files as they are named, folders as the images in them and below, sorted by path.

    In folders, hidden entries and links are passed over, and so are files without an image's extension. A file that is
    named itself is taken whatever it is called.

    Args:
        paths: files and folders, in any order.

    Returns:
        Each file once, sorted.

    Raises:
        DataError: a path does not exist or cannot be listed, a folder holds no image, or there are more than
            MAX_IMAGES.
    """
    found: set[Path] = set()
    for path in map(Path, paths):
        if path.is_dir():
            inside = 0
            for image in _walk(path):
                inside += 1
                found.add(image)
                _check_count(found)
            if inside == 0:
                raise DataError(f"{path} holds no images", hint=f"extensions: {' '.join(sorted(SUFFIXES))}")
        elif path.exists():
            found.add(path)
            _check_count(found)
        else:
            raise DataError(f"{without_password(str(path))} does not exist", hint="check the path")
    if not found:
        raise DataError("no image was named", hint="name image files, or folders of them")
    return sorted(found)


def read_image(path: Path, spec: Preprocess) -> Pixels:
    """Pixels of an image file, resized and cropped for the model: (spec.height, spec.width, spec.channels).

    Args:
        path: of a regular file.
        spec: what the model wants.

    Raises:
        DataError: as `read_picture`.
    """
    return read_picture(path, spec)[0]


def read_picture(path: Path, spec: Preprocess) -> tuple[Pixels, tuple[int, int]]:
    """Pixels of an image file, resized and cropped for the model, and how large it is.

    Args:
        path: of a regular file.
        spec: what the model wants.

    Returns:
        (spec.height, spec.width, spec.channels), and (width, height) of the picture as it is shown.

    Raises:
        DataError: it cannot be read, is not a regular file, is larger than MAX_FILE_BYTES, or is not an image.
    """
    image = decode(read_bytes(path), str(path))
    return pixels(image, spec, str(path)), image.size


def read_bytes(path: Path) -> bytes:
    """What an image file holds.

    Args:
        path: of a regular file.

    Raises:
        DataError: it cannot be read, is not a regular file, or is larger than MAX_FILE_BYTES.
    """
    path = Path(path)
    try:
        with _open_regular(path) as stream:
            size = os.fstat(stream.fileno()).st_size
            if size > MAX_FILE_BYTES:
                raise DataError(f"{path} has {size} bytes, the limit is {MAX_FILE_BYTES}", hint="leave it out")
            return stream.read(MAX_FILE_BYTES)
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror or error}", hint="check the path") from error


def _open_regular(path: Path) -> BinaryIO:
    """Raises OSError, and DataError for anything but a regular file."""
    # Non-blocking, so that a named pipe is refused instead of waited for.
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise DataError(f"{path} is not a regular file", hint="name an image, or a folder of images")
    return os.fdopen(descriptor, "rb")


def _walk(folder: Path) -> Iterator[Path]:
    """Images in and below a folder."""

    def refuse(error: OSError) -> None:
        raise DataError(f"cannot list {error.filename}: {error.strerror or error}", hint="check its permissions")

    for directory, folders, files in os.walk(folder, onerror=refuse, followlinks=False):
        folders[:] = [name for name in folders if not name.startswith(".") and name != "__MACOSX"]
        for name in files:
            path = Path(directory, name)
            if not name.startswith(".") and path.suffix.lower() in SUFFIXES and not path.is_symlink():
                yield path


def _check_count(found: set[Path]) -> None:
    if len(found) > MAX_IMAGES:
        raise DataError(f"more than the limit of {MAX_IMAGES} images were named", hint="take fewer at a time")
