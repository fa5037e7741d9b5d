"""The board's side of measuring over a connection: plain JSON in and out, progress on stderr.

Imports no more than a device has. Called through `base.child.serve_one_call`, in a directory that holds the files.
"""

from __future__ import annotations

import contextlib
import sys
from pathlib import Path
from typing import Any

from shoestring.base import canonical
from shoestring.base.errors import EngineError, MissingExtraError
from shoestring.chips.host import this_machine
from shoestring.costmodel.contest import IN_PROCESS
from shoestring.costmodel.measure import Measured, measure
from shoestring.runtimes import registry
from shoestring.runtimes.guarded import GuardedRuntime

LOOK = "shoestring.costmodel.measure_there:look"
MEASURE = "shoestring.costmodel.measure_there:measure_files"


def look(_: object) -> dict[str, Any]:
    """This machine and the versions of its runtimes."""
    versions: dict[str, str] = {}
    for name in registry.installed():
        one = registry.get(name) if name in IN_PROCESS else GuardedRuntime(name)
        with contextlib.suppress(EngineError, MissingExtraError):  # one that dies when it is loaded is not there
            versions[name] = one.version()
    return {"machine": canonical.plain(this_machine()), "versions": versions}


def measure_files(request: dict[str, Any]) -> dict[str, Any]:
    """Costs of files in the working directory.

    Args:
        request: `artefacts` (each name, file, runtime, size_bytes), `reference`, `threads`, `seconds_each`.

    Raises:
        As `measure`.
    """
    here = Path.cwd()
    artefacts = [
        Measured(one["name"], here / one["file"], one["runtime"], one["size_bytes"]) for one in request["artefacts"]
    ]
    costs = measure(
        artefacts,
        request["reference"],
        request["threads"],
        seconds_each=request["seconds_each"],
        progress=lambda words: print(words, file=sys.stderr, flush=True),
    )
    return {name: canonical.plain(cost) for name, cost in costs.items()}


__all__ = ["LOOK", "MEASURE", "look", "measure_files"]
