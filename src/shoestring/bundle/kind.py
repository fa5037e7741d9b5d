"""Tell a bundle from a model by its first bytes, without trusting either."""

from __future__ import annotations

from pathlib import Path

ZIP_MAGIC = b"PK\x03\x04"


def is_bundle(path: Path) -> bool:
    """Whether the file starts as a bundle does. A missing or unreadable file is none: who opens it says why."""
    try:
        with path.open("rb") as stream:
            return stream.read(len(ZIP_MAGIC)) == ZIP_MAGIC
    except OSError:
        return False
