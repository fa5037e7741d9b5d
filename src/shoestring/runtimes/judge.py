"""May this runtime run this artefact? One trial in a guarded process, before anything is timed or scored with it."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from shoestring.base.errors import EngineError, EngineFaultError, MissingExtraError
from shoestring.runtimes import guarded

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from shoestring.runtimes.protocol import Array

FAULTS = ("missing", "refused", "failed", *EngineFaultError.FAULTS, "infinite", "unsteady")
"""Not installed; not loaded; an error in a run; those of a guard; infinite where the reference is not; not the same
answers for the same inputs."""


@dataclass(frozen=True)
class Trial:
    """How a runtime did.

    Args:
        runtime: its name.
        artefact: name of the file it was given.
        fault: one of `FAULTS`, or None when there was none.
        reason: the fault in words, one line.
        hint: what the user can do about it.
        load_s: wall-clock time to start a process and load the artefact, seconds.
        run_ms: wall-clock time of the second run as Python sees it, milliseconds; a first idea, no measurement.
        peak_rss_bytes: of the process, Python included.
        difference: largest absolute difference from the reference over all outputs; None without a reference.
    """

    runtime: str
    artefact: str
    fault: str | None = None
    reason: str | None = None
    hint: str | None = None
    load_s: float | None = None
    run_ms: float | None = None
    peak_rss_bytes: int | None = None
    difference: float | None = None

    @property
    def ok(self) -> bool:
        """Whether there was no fault."""
        return self.fault is None


def judge(
    runtime: str,
    artefact: Path,
    feeds: Mapping[str, Array],
    reference: Mapping[str, Array] | None,
    limits: guarded.Limits | None = None,
    *,
    threads: int = 1,
) -> Trial:
    """Load an artefact in a process of its own, run it twice, and look at the answers.

    Args:
        runtime: name.
        artefact: file in that runtime's format.
        feeds: one example.
        reference: what the original model answers to it, or None to compare with nothing.
        limits: None for the usual ones.
        threads: at least 1.

    Raises:
        UsageError: there is no such runtime, or `threads` is below 1.
    """

    def trial(fault: str, reason: str, hint: str | None = None, **known: float | None) -> Trial:
        return Trial(runtime, artefact.name, fault, reason, hint, known.get("load_s"))

    load_s = None
    try:
        start = time.monotonic()
        with guarded.load(runtime, artefact, threads, limits) as session:
            load_s = time.monotonic() - start
            first = session.run(feeds)
            middle = time.monotonic()
            second = session.run(feeds)
            run_ms = 1000 * (time.monotonic() - middle)
            peak = session.peak_rss_bytes()
    except MissingExtraError as error:
        return trial("missing", error.message, error.hint)
    except EngineFaultError as error:
        return trial(error.fault, error.message, error.hint, load_s=load_s)
    except EngineError as error:
        return trial("refused" if load_s is None else "failed", error.message, error.hint, load_s=load_s)
    found = _look(first, second, reference)
    if found is not None:
        fault, words = found
        return trial(fault, f"{runtime} with {artefact.name}: {words}", load_s=load_s)
    difference = None if reference is None else max(_difference(first[name], reference[name]) for name in first)
    return Trial(runtime, artefact.name, None, None, None, load_s, run_ms, peak, difference)


def _look(
    first: Mapping[str, Array], second: Mapping[str, Array], reference: Mapping[str, Array] | None
) -> tuple[str, str] | None:
    """A fault in the answers and its words, or None."""
    if reference is not None:
        if set(first) != set(reference):
            return "shape", f"it answers {sorted(first)}, the original {sorted(reference)}"
        for name, wanted in reference.items():
            if first[name].shape != wanted.shape:
                return "shape", f"output {name!r} has shape {first[name].shape}, the original's has {wanted.shape}"
    for name, value in first.items():
        wild = ~np.isfinite(value) if reference is None else ~np.isfinite(value) & np.isfinite(reference[name])
        if wild.any():
            return "infinite", f"output {name!r} is infinite in {int(wild.sum())} of {value.size} values"
    for name, value in first.items():
        if not np.array_equal(value, second[name]):
            return "unsteady", f"output {name!r} differs between two runs with the same inputs"
    return None


def _difference(value: Array, wanted: Array) -> float:
    differs = value != wanted  # where both are infinite alike, their difference would not be a number
    apart = np.abs(value[differs].astype(np.float64) - wanted[differs].astype(np.float64))
    return float(apart.max(initial=0.0))


__all__ = ["FAULTS", "Trial", "judge"]
