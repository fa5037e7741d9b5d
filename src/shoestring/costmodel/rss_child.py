"""What runs in the fresh process whose memory is measured. It imports no more than a device would."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from shoestring.base.resident import high_water_bytes
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


__all__ = ["RUNS", "peak"]
