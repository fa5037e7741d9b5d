"""What the contract suite runs in a fresh process, where nothing else takes memory, threads or time."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

from runtime_forms import FORMS
from shoestring.runtimes import registry

IDLE_SECONDS = 1.0


def soak(request: dict[str, Any]) -> dict[str, Any]:
    """Use a runtime again and again, and tell what that leaves behind.

    Args:
        request: `runtime`, `model` (path), `first`: uses before the first look, `runs` and `sessions`: uses between
            that and the second.

    Returns:
        For runs of one session and for sessions (loaded, run, closed) the growth of resident memory between the looks,
        bytes, and of the number of threads; `idle_ms`: processor time used over IDLE_SECONDS of rest after all.
    """
    name, model = request["runtime"], Path(request["model"])
    runtime, feeds = registry.get(name), FORMS[name].feeds()

    def one_session() -> None:
        with runtime.load(model, 2) as session:
            session.run(feeds)

    grown: dict[str, Any] = {}
    with runtime.load(model, 2) as session:
        grown["runs"] = _growth(lambda: session.run(feeds), request["first"], request["runs"])
    grown["sessions"] = _growth(one_session, request["first"], request["sessions"])
    with runtime.load(model, 2) as session:
        session.run(feeds)
        grown["open_idle_ms"] = _idle_ms()
    grown["closed_idle_ms"] = _idle_ms()
    return grown


def _growth(use: Any, first: int, more: int) -> dict[str, int]:
    for _ in range(first):
        use()
    resident, threads = _resident_bytes(), _threads()
    for _ in range(more):
        use()
    return {"bytes": _resident_bytes() - resident, "threads": _threads() - threads}


def _idle_ms() -> float:
    start = time.process_time()  # of all threads
    time.sleep(IDLE_SECONDS)
    return 1000 * (time.process_time() - start)


def _resident_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def _threads() -> int:
    return len(list(Path("/proc/self/task").iterdir()))
