"""Replay the golden texts of rungs that write, each in a process of its own that may do what it likes."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from shoestring.base.errors import EngineError, EngineFaultError, ModelError, SlotError, TrustError, UsageError
from shoestring.base.limits import MIB
from shoestring.base.resident import available_bytes
from shoestring.base.units import format_bytes
from shoestring.device.language.golden import golden_texts, replay_texts
from shoestring.device.language.model_files import model_file

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path

    from shoestring.bundle import Bundle
    from shoestring.domain.ladder import Rung

MEMORY_FACTOR, SPARE_BYTES = 2, 128 * MIB
"""A rung may take twice what it took where it was measured, and this for another Python and its libraries."""
WATCH_BYTES = 64 * MIB
"""Of the machine's memory that stay free beside it."""
BATCH = 64  # tokens read in one step
REASONS = {"hung": "hung", "nan": "golden"}
"""Fault of an engine -> reason of a refusal; the others break its process, and are "crashed"."""


def replay_rung(
    bundle: Bundle,
    rung: Rung,
    *,
    threads: int | None = None,
    seconds: float | None = None,
    memory_bytes: int | None = None,
    folder: Path | None = None,
) -> int:
    """Load a rung in a process of its own and replay the golden texts.

    Args:
        bundle: open.
        rung: of it.
        threads: None takes the rung's own count.
        seconds: for loading and for each answer; None for the usual.
        memory_bytes: peak resident memory of the process; None for no limit.
        folder: for the model's file, as of `model_file`.

    Returns:
        Golden texts that were compared.

    Raises:
        MissingExtraError: the engine is not installed.
        GoldenError: it answers otherwise here.
        BundleError, ModelError: it is not the model that the manifest speaks of.
        EngineError, EngineFaultError: it is refused by the engine, crashed, hung, or went past a limit.
    """
    from shoestring.runtimes.guarded import Limits
    from shoestring.runtimes.llamacpp.scorer import Scorer

    generation = bundle.manifest.generation
    if generation is None:
        raise UsageError(f"{bundle.manifest.name!r} writes no text", hint="its golden set is of images")
    path = model_file(bundle, rung.candidate.artefact_sha256, folder)
    limits = Limits() if memory_bytes is None else replace(Limits(), memory_bytes=memory_bytes)
    if seconds is not None:
        limits = replace(limits, load_s=seconds, run_s=seconds)
    longest = max(len(text.encode()) for text in golden_texts(bundle).texts) + 8  # no token is shorter than a byte
    with Scorer(
        path,
        threads=rung.threads if threads is None else threads,
        context=max(2 * BATCH, longest),
        batch=BATCH,
        expected=generation.transformer,
        limits=limits,
    ) as scorer:
        return replay_texts(bundle, rung, scorer, scorer.about.version)


def replay_writers(
    bundle: Bundle, absent: Collection[str], seconds: float, memory_bytes: int | None = None
) -> tuple[str, ...]:
    """Replay every rung that could be picked here, for a bundle that is to become active.

    Args:
        bundle: open.
        absent: rungs that are left out, since their runtime is.
        seconds: for each to start, and for each answer.
        memory_bytes: peak resident memory of a process; None: by what was measured.

    Returns:
        Names of what was replayed.

    Raises:
        SlotError: one crashed, hung, took too much memory, was refused by the engine, or answers otherwise here; or
            there is no memory left to try.
    """
    names = []
    for rung in bundle.manifest.ladder.rungs:
        if rung.name in absent:
            continue
        expected = rung.candidate.cost.peak_rss_bytes
        there = available_bytes()
        if there is not None and there < expected + WATCH_BYTES:
            raise SlotError(
                f"rung {rung.name!r} takes {format_bytes(expected)} of memory, {format_bytes(there)} are left",
                "space",
                hint="stop something else on this device and activate it again",
            )
        limit = MEMORY_FACTOR * expected + SPARE_BYTES if memory_bytes is None else memory_bytes
        try:
            replay_rung(bundle, rung, seconds=seconds, memory_bytes=limit)
        except EngineFaultError as error:
            raise _refused(rung, error, REASONS.get(error.fault, "crashed")) from error
        except (TrustError, EngineError, ModelError) as error:
            raise _refused(rung, error, "golden") from error
        except UsageError as error:  # a part of the runtime is not installed
            raise _refused(rung, error, "runtime") from error
        names.append(rung.name)
    return tuple(names)


def _refused(rung: Rung, error: TrustError | EngineError | ModelError | UsageError, reason: str) -> SlotError:
    return SlotError(f"rung {rung.name!r} does not answer here as it must: {error.message}", reason, hint=error.hint)
