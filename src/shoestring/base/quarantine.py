"""The one way in for files that somebody else made: a fresh process that shuts itself in before it opens them.

`ask` is the caller's side and `enter` the child's. What a reader may touch stands in `Walls`: the files it reads, the
one it writes. The code that parses is imported only when the walls stand, so that no library has a thread outside.
"""

from __future__ import annotations

import importlib
import importlib.util
import math
import os
import resource
import sys
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from shoestring.base import closed
from shoestring.base.child import ChildLimits, run_in_child
from shoestring.base.limits import MAX_CHILD_REPLY_BYTES

ENTRY = "shoestring.base.quarantine:enter"

# numpy's threads reserve address space for each core, which the memory limit counts, and there is nothing to share out.
ONE_THREAD = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
_KEPT = ("LD_LIBRARY_PATH", "LANG", "LC_ALL")  # where libraries stand, and the language of messages; nothing secret
_SPARE_CPU_S = 1  # so that the watch by the clock, which says what happened, comes first


@dataclass(frozen=True)
class Walls:
    """What a child may touch.

    Args:
        readable: files and directories, beside Python's own and the system's libraries.
        writable: files that exist.
        largest_file_bytes: that a file may grow to, the reply among them.
        packages: that the reader imports; where each stands may be read.
        required: whether a kernel that cannot close a process is an error.
    """

    readable: tuple[Path, ...]
    writable: tuple[Path, ...]
    largest_file_bytes: int = MAX_CHILD_REPLY_BYTES
    packages: tuple[str, ...] = ()
    required: bool = False


@dataclass(frozen=True)
class Told:
    """What came out.

    Args:
        result: of the reader, plain JSON values.
        held: what the process had given up, in plain words.
        lacking: what this kernel could not make it give up; None when nothing.
    """

    result: Any
    held: tuple[str, ...]
    lacking: str | None


def ask(
    target: str, request: object, limits: ChildLimits, walls: Walls, *, env: Mapping[str, str] | None = None
) -> Told:
    """Call `package.module:function` with `request` in a fresh process that was shut in first.

    Args:
        target, request, limits: see `run_in_child`; processor time has the limit of the clock, and no core is dumped.
        walls: what it may touch.
        env: added to the few variables that the child sees; ours may hold secrets.

    Raises:
        ShoestringError: the same error that the function raised.
        ChildError: it died, or `walls.required` and this kernel cannot close a process.
        ValueError, KeyError, TypeError: it ran foreign code and answered in no way of ours.
    """
    call = {
        "target": target,
        "request": request,
        "readable": [str(path.absolute()) for path in (*walls.readable, *package_roots(walls.packages))],
        "writable": [str(path.absolute()) for path in walls.writable],
        "largest_file_bytes": walls.largest_file_bytes,
        "required": walls.required,
        "cpu_s": math.ceil(limits.seconds) + _SPARE_CPU_S,
    }
    kept = {name: os.environ[name] for name in _KEPT if name in os.environ}
    answer = run_in_child(ENTRY, call, limits, env={**kept, **ONE_THREAD, **(env or {})}, inherit_env=False)
    held, lacking = answer["held"], answer["lacking"]
    sound = isinstance(held, list) and (lacking is None or (isinstance(lacking, str) and lacking.isprintable()))
    if not sound:
        raise TypeError(f"{target} answered in no way of ours")
    return Told(answer["result"], tuple(str(word) for word in held), lacking)


def enter(call: dict[str, Any]) -> dict[str, Any]:
    """The child's side: shut this process in, then import the target and call it."""
    readable = [Path(name) for name in call["readable"]]
    writable = [Path(name) for name in call["writable"]]
    held = shut(readable, writable, call["largest_file_bytes"], call["cpu_s"], required=call["required"])
    module, _, name = call["target"].partition(":")
    result = getattr(importlib.import_module(module), name)(call["request"])
    return {"result": result, "held": list(held.words), "lacking": held.lacking}


def shut(
    readable: Iterable[Path], writable: list[Path], largest_file_bytes: int, cpu_s: int, *, required: bool
) -> closed.Held:
    """Shut this very process in, with limits on processor time and file size. It cannot be undone.

    Raises:
        ChildError: `required`, and this kernel cannot; nothing was opened.
    """
    resource.setrlimit(resource.RLIMIT_CPU, (cpu_s, cpu_s))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    sys.dont_write_bytecode = True  # nothing may be written where code stands
    if writable:
        tempfile.tempdir = str(writable[0].parent)  # libraries ask; none could be written to
    if required:
        return closed.Held(closed.shut_in(readable, writable, largest_file_bytes=largest_file_bytes), None)
    return closed.shut_in_as_far_as_it_goes(readable, writable, largest_file_bytes=largest_file_bytes)


def package_roots(packages: Iterable[str]) -> list[Path]:
    """The directories from which these packages would be imported; none is imported, and a missing one left out."""
    specs = [importlib.util.find_spec(package) for package in packages]
    places = [place for spec in specs if spec is not None for place in spec.submodule_search_locations or ()]
    return sorted({Path(place).parent for place in places})
