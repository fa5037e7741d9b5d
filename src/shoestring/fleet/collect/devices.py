"""Which devices may report: a file with one id a line."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from shoestring.base.errors import UsageError
from shoestring.trust.small_file import read_within

if TYPE_CHECKING:
    from pathlib import Path

MAX_FILE_BYTES = 64 * 1024 * 1024  # a million devices with a word each
_LINE = re.compile(r"^([0-9a-f]{64})(\s.*)?$")


def read_devices(path: Path) -> frozenset[str]:
    """Ids of a file, `ID [whatever its owner wants to note]` a line; `#` starts a comment.

    Raises:
        StorageError: the file cannot be read.
        UsageError: a line is none of these, or the file is longer than MAX_FILE_BYTES.
    """
    data, _ = read_within(path, MAX_FILE_BYTES, lambda: UsageError(f"{path} has more than {MAX_FILE_BYTES} bytes"))
    found = set()
    for number, line in enumerate(data.decode("utf-8", errors="replace").splitlines(), start=1):
        words = line.partition("#")[0].strip()
        if not words:
            continue
        match = _LINE.match(words)
        if match is None:
            raise UsageError(
                f"line {number} of {path} does not begin with a device's id",
                hint="64 digits, as `agent --show-id` shows",
            )
        found.add(match[1])
    return frozenset(found)
