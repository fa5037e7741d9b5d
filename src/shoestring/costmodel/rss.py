"""Peak memory of a model, measured in a process of its own."""

from __future__ import annotations

import io
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from shoestring.base import child, disk

if TYPE_CHECKING:
    from collections.abc import Mapping

    from shoestring.runtimes.protocol import Array

TARGET = "shoestring.costmodel.rss_child:peak"
SECONDS = 300.0
"""Five runs of the slowest model that anyone would put on a board, with its load, on a busy machine."""


def peak_rss_bytes(model: Path, runtime: str, threads: int, feeds: Mapping[str, Array] | None = None) -> int:
    """Peak resident memory of a fresh process that loads `model` and runs it five times; Python and engine included.

    Args:
        model: file.
        runtime: name.
        threads: at least 1.
        feeds: inputs, or None for random ones.

    Raises:
        ShoestringError: what loading or running raised in that process.
        ChildCrashedError: that process died.
        ChildTimeoutError: it did not end in time.
    """
    with tempfile.TemporaryDirectory(prefix="shoestring-rss-") as folder:
        stored = None
        if feeds is not None:
            buffer = io.BytesIO()
            np.savez(buffer, allow_pickle=False, **dict(feeds))
            stored = Path(folder) / "feeds.npz"
            disk.write_bytes(stored, buffer.getvalue())
        request = {
            "runtime": runtime,
            "model": str(model),
            "threads": threads,
            "feeds": None if stored is None else str(stored),
        }
        return int(child.run_in_child(TARGET, request, child.ChildLimits(seconds=SECONDS)))


__all__ = ["peak_rss_bytes"]
