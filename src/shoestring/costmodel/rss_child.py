"""What runs in the fresh process whose memory is measured. It imports no more than a device would."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np

from shoestring.base.errors import EngineError
from shoestring.costmodel.feeds import check_answers, random_feeds
from shoestring.runtimes import registry

RUNS = 5
"""Enough for an engine to have made all its buffers; the later runs show that it keeps them."""


def peak(request: dict[str, Any]) -> int:
    """Load a model, run it, and say how much memory that took at most.

    Args:
        request: `runtime` (name), `model` (path), `threads`, and `feeds`: path of an .npz, or None for random inputs.

    Returns:
        Peak resident memory of this process, bytes.

    Raises:
        ShoestringError: the model cannot be loaded or run, or answers NaN.
    """
    with registry.get(request["runtime"]).load(Path(request["model"]), request["threads"]) as session:
        feeds = random_feeds(session.inputs)
        if request["feeds"] is not None:
            with np.load(request["feeds"], allow_pickle=False) as stored:
                feeds = {name: stored[name] for name in stored.files}
        for _ in range(RUNS):
            answers = session.run(feeds)
        check_answers(answers)
    return high_water_bytes(Path("/proc/self/status").read_text())


def high_water_bytes(status: str) -> int:
    """VmHWM out of the text of /proc/self/status, bytes.

    `ru_maxrss` would not do: Linux carries it over `exec`, so that a child of a large process starts with its parent's
    peak. VmHWM belongs to the address space, which `exec` replaces.
    """
    match = re.search(r"^VmHWM:\s+(\d+) kB$", status, re.MULTILINE)
    if match is None:
        raise EngineError("/proc/self/status has no VmHWM line, so peak memory is unknown", hint="measure on Linux")
    return int(match[1]) * 1024


__all__ = ["high_water_bytes", "peak"]
