"""A folder of class folders, or a flat folder of images."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path

from shoestring.base.errors import DataError
from shoestring.base.limits import MAX_IMAGES
from shoestring.evaluate.dataset_found import Found, count_note
from shoestring.evaluate.dataset_source import FileSource

JPEG_SUFFIXES = (".jpg", ".jpeg", ".jpe", ".jfif", ".mpo")
OTHER_SUFFIXES = (".png", ".webp", ".bmp", ".dib", ".gif", ".tif", ".tiff", ".ppm", ".pgm", ".pbm", ".pnm")
IMAGE_SUFFIXES = frozenset(JPEG_SUFFIXES + OTHER_SUFFIXES)


@dataclass
class _Listing:
    """One directory, sorted: images, folders, and what is left out."""

    images: list[str] = field(default_factory=list)
    folders: list[str] = field(default_factory=list)
    others: list[str] = field(default_factory=list)
    links: list[str] = field(default_factory=list)


def read_folder(path: Path) -> Found:
    """Images directly in `path` (no labels), or directly in its folders (one class each).

    Links are not followed, hidden entries are passed over, files without an image's extension are left out with a note.

    Raises:
        DataError: a folder cannot be read, images lie both in `path` and in folders, or deeper than one folder.
    """
    top = _list(path, "")
    images: list[str] = []
    labels: list[str] = []
    others, links = list(top.others), list(top.links)
    for folder in top.folders:
        inner = _list(path, folder)
        others += inner.others
        links += inner.links
        images += inner.images
        labels += [folder] * len(inner.images)
        for deeper in inner.folders:
            if _list(path, deeper).images:
                raise DataError(
                    f"{path / deeper} holds images two folders deep",
                    hint=f"name the folder whose folders are the classes, perhaps {path / folder}",
                )
    if top.images and images:
        raise DataError(
            f"{path} holds {len(top.images)} images itself and {len(images)} in folders (first {images[0]!r})",
            hint="put all images into class folders, or all into one folder without labels",
        )
    if len(images) + len(top.images) > MAX_IMAGES:
        raise DataError(f"{path} holds more than the limit of {MAX_IMAGES} images", hint="take a sample of them")
    notes = [*count_note(others, "files that are not images left out"), *count_note(links, "links not followed")]
    if not images:
        return Found(FileSource(path, tuple(top.images)), None, notes=tuple(notes))
    empty = sorted(set(top.folders) - set(labels))
    notes += count_note(empty, "class folders without images, which still count as classes")
    return Found(FileSource(path, tuple(images)), tuple(labels), tuple(top.folders), tuple(notes))


def _list(root: Path, folder: str) -> _Listing:
    listing = _Listing()
    try:
        with os.scandir(root / folder) as entries:
            found = sorted(entries, key=lambda entry: entry.name)
    except OSError as error:
        raise DataError(f"cannot list {root / folder}: {error.strerror or error}") from error
    for entry in found:
        name = f"{folder}/{entry.name}" if folder else entry.name
        if any("\ud800" <= letter <= "\udfff" for letter in name):  # how Python marks bytes that are not UTF-8
            raise DataError(f"{root} holds the name {name!r}, which is not UTF-8", hint="rename it")
        if entry.name.startswith(".") or entry.name == "__MACOSX":
            continue
        if entry.is_symlink():
            listing.links.append(name)
        elif entry.is_dir(follow_symlinks=False):
            listing.folders.append(name)
        elif Path(entry.name).suffix.lower() in IMAGE_SUFFIXES:
            listing.images.append(name)
        else:
            listing.others.append(name)
    return listing
