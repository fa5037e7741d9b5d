"""The inside of the child process: parse, infer, count."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from shoestring.analysis import counting
from shoestring.analysis.buffers import buffers, peak_bytes
from shoestring.analysis.graphs import main_view, read
from shoestring.analysis.layers import layers
from shoestring.base import canonical
from shoestring.domain.model import Profile


def profile(request: dict[str, Any]) -> Any:
    """The profile of the file `path` at `batch`, as plain values. Raises ModelError."""
    view = main_view(read(Path(request["path"])), request["batch"])
    return canonical.plain(Profile(tuple(layers(view, set())), peak_bytes(view, buffers(view)), request["batch"]))


def features(request: dict[str, Any]) -> Any:
    """The features of the file `path`, as plain values. Raises ModelError."""
    return counting.features(request["path"])
