"""What each operator of a model takes inside ONNX Runtime, by its own profiler."""

from __future__ import annotations

import json
import re
import statistics
import tempfile
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING

from shoestring.base import disk
from shoestring.base.errors import EngineError
from shoestring.runtimes.ort import engine_errors, engine_module, reason, session_options

if TYPE_CHECKING:
    from collections.abc import Mapping

    from shoestring.runtimes.protocol import Array

_KERNEL = "_kernel_time"
_SUFFIX = re.compile(r"(_nchwc|_token_\d+)$")
WARM_UP = 3


def operator_times(model: bytes, feeds: Mapping[str, Array], runs: int) -> dict[str, float]:
    """Median milliseconds of every operator on one thread, by the name it has after ONNX Runtime's own rewriting.

    An operator that was fused is called after the original node or after the tensor that the last of the fused nodes
    wrote; suffixes that the rewriting adds are cut off.

    Args:
        model: self-contained ONNX.
        feeds: one example.
        runs: timed, at least 1, after WARM_UP that are not.

    Raises:
        EngineError: the model cannot be loaded or run, or the profile is not as expected.
    """
    engine = engine_module()
    with disk.storage_errors(Path(tempfile.gettempdir())):
        directory = tempfile.TemporaryDirectory()
    with directory as scratch:
        options = session_options(engine, 1)
        options.enable_profiling = True
        options.profile_file_prefix = str(Path(scratch) / "profile")
        try:
            session = engine.InferenceSession(model, options, providers=["CPUExecutionProvider"])
            for _ in range(WARM_UP + runs):
                session.run(None, dict(feeds))
            events = json.loads(Path(session.end_profiling()).read_bytes())
        except engine_errors() as error:
            raise EngineError(f"ONNX Runtime failed to profile the model: {reason(error)}") from error
    seen: dict[str, list[float]] = defaultdict(list)
    for event in events:
        if event.get("cat") == "Node" and event["name"].endswith(_KERNEL):
            seen[_SUFFIX.sub("", event["name"].removesuffix(_KERNEL))].append(event["dur"] / 1000)
    if not seen:
        raise EngineError("ONNX Runtime's profile names no operator")
    return {name: statistics.median(times[WARM_UP:]) for name, times in seen.items() if len(times) > WARM_UP}
