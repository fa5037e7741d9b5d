"""Engines by name. The adapter of Ray is imported when it is asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shoestring.base.errors import UsageError

if TYPE_CHECKING:
    from shoestring.engines.protocol import Engine

ENGINES = ("local", "ray")
MAX_WORKERS = 1024


def check_engine(name: str, workers: int | None, address: str | None) -> None:
    """Raises UsageError unless `open_engine` can take these."""
    if name not in ENGINES:
        raise UsageError(f"there is no engine {name!r}", hint=f"one of: {', '.join(ENGINES)}")
    if workers is not None and not 1 <= workers <= MAX_WORKERS:
        raise UsageError(f"{workers} workers are outside 1..{MAX_WORKERS}", hint="1 works in this process")
    if address is not None and name != "ray":
        raise UsageError(f"the address {address!r} is of a Ray cluster, the engine is {name!r}", hint="--engine ray")


def open_engine(name: str = "local", workers: int | None = None, address: str | None = None) -> Engine | None:
    """The engine to give to `fit`, to be closed afterwards.

    Args:
        name: `local` or `ray`.
        workers: processes of the local engine (None or 1: no engine, all in this process), or the most tasks at a time
            on a Ray cluster (None: as many as it has CPUs).
        address: of the Ray cluster; None for the one that this machine belongs to, or $RAY_ADDRESS.

    Raises:
        UsageError: an unknown name, or workers or an address that make no sense.
        MissingExtraError: Ray is not installed.
        ChildError: there is no cluster at the address.
    """
    check_engine(name, workers, address)
    if name == "ray":
        from shoestring.engines.ray_cluster import RayEngine

        return RayEngine(address, workers)
    if workers is None or workers == 1:
        return None
    from shoestring.engines.local import LocalEngine

    return LocalEngine(workers)
