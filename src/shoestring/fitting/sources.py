"""Digests of our own sources: other code may make other answers of the same question."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Iterator
from importlib import resources
from importlib.resources.abc import Traversable


@functools.cache
def sources_digest(room: str) -> str:
    """SHA-256 over the sources of a room (Python, C, data)."""
    hasher = hashlib.sha256()
    for name, data in sorted(_sources(resources.files(f"shoestring.{room}"), "")):
        hasher.update(name.encode() + b"\0" + data)
    return hasher.hexdigest()


def _sources(folder: Traversable, prefix: str) -> Iterator[tuple[str, bytes]]:
    """Name below the room and content of every source file."""
    for item in folder.iterdir():
        if item.is_dir():
            yield from _sources(item, f"{prefix}{item.name}/")
        elif item.name.endswith((".py", ".toml", ".c", ".h")):
            yield prefix + item.name, item.read_bytes()
