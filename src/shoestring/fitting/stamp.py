"""What must be the same on two machines for the same task to give the same bytes."""

from __future__ import annotations

import functools
import platform

import numpy as np

from shoestring._version import __version__
from shoestring.base.canonical import digest
from shoestring.base.errors import ChildError, MissingExtraError
from shoestring.chips.host import this_machine
from shoestring.fitting.sources import sources_digest
from shoestring.runtimes import registry

ROOMS = ("base", "compress", "evaluate", "heads", "inputs", "runtimes")


@functools.cache
def stamp() -> dict[str, str]:
    """Versions, sources and instruction set: integer answers differ between instruction sets."""
    machine = this_machine()
    return {
        "shoestring": __version__,
        "sources": digest([sources_digest(room) for room in ROOMS]),
        "instruction set": f"{machine.arch} {' '.join(machine.isa)}",
        "numpy": np.__version__,
        "python": ".".join(platform.python_version_tuple()[:2]),
        **{f"runtime {name}": _version(name) for name in ("onnxruntime", "native")},
    }


def _version(runtime: str) -> str:
    try:
        return registry.get(runtime).version()
    except MissingExtraError:
        return "not installed"


def check_stamp(wanted: dict[str, str]) -> None:
    """Raises ChildError when this machine would not give the answers of the one that asks."""
    mine = stamp()
    for name, value in wanted.items():
        if mine.get(name) != value:
            raise ChildError(
                f"{name} of the worker on {platform.node()} is {mine.get(name)!r}, of this machine {value!r}",
                hint="answers could differ; use workers of the same processor and the same installation",
            )
