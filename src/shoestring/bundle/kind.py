"""Tell a bundle from a model by its first bytes, without trusting either."""

from __future__ import annotations

from pathlib import Path

ZIP_MAGIC = b"PK\x03\x04"
NAME_OFFSET = 30  # of the first file's name in a zip's local header
FIRST_NAME = b"manifest.json"


def is_bundle(path: Path) -> bool:
    """Whether the file starts as a bundle does. A missing or unreadable file is none: who opens it says why."""
    if not path.is_file():
        return False
    try:
        with path.open("rb") as stream:
            head = stream.read(NAME_OFFSET + len(FIRST_NAME))
    except OSError:
        return False
    return head.startswith(ZIP_MAGIC) and head[NAME_OFFSET:] == FIRST_NAME
