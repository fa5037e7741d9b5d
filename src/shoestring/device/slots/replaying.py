"""Replay a bundle's golden set on this very device, each rung in a process of its own that may do what it likes.

It is the process that would answer people (`device.supervise`), under the same limits. It opens the file that was
verified by its descriptor, so what is replayed is what is activated.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from shoestring.base.errors import EngineError, EngineFaultError, ShoestringError, SlotError, TrustError, UsageError
from shoestring.base.limits import GUARD_LOAD_SECONDS, MIB
from shoestring.base.resident import available_bytes
from shoestring.base.units import format_bytes
from shoestring.device.language.replaying import replay_writers
from shoestring.device.supervise.nouns import CASCADE
from shoestring.device.supervise.supervised import expected_bytes
from shoestring.device.supervise.worker import Order, ProcessWorker
from shoestring.device.text.golden import replay_rungs

if TYPE_CHECKING:
    from collections.abc import Collection

    from shoestring.bundle import Bundle

MEMORY_FACTOR, SPARE_BYTES = 2, 128 * MIB
"""A rung may take twice what it took where it was measured, and this for another Python and its libraries."""
WATCH_BYTES = 64 * MIB
"""Of the machine's memory that stay free beside it, as in `Care.spare_bytes`."""
LOOK_S = 0.01
"""Between two looks at whether the process is done."""
REASONS = {"hung": "hung", "nan": "golden", "shape": "golden"}
"""Fault of an engine -> reason of a refusal; the others break its process, and are "crashed"."""


@dataclass(frozen=True)
class ReplayLimits:
    """What one rung may take.

    Args:
        seconds: to start, to load the model and to answer all golden inputs.
        memory_bytes: peak resident memory of the process; None: by what was measured, see MEMORY_FACTOR.
    """

    seconds: float = GUARD_LOAD_SECONDS
    memory_bytes: int | None = None


def replay_golden(bundle: Bundle, absent: Collection[str], limits: ReplayLimits) -> tuple[str, ...]:
    """Replay every rung that could be picked here, and the cascade.

    Args:
        bundle: open.
        absent: rungs that are left out, since their runtime is.
        limits: for each.

    Returns:
        Names of what was replayed.

    Raises:
        SlotError: one crashed, hung, took too much memory, was refused by its runtime, or answers otherwise here; or
            there is no memory left to try.
        EngineFaultError: no process can be started.
    """
    if bundle.manifest.generation is not None:
        return replay_writers(bundle, absent, limits.seconds, limits.memory_bytes)
    if bundle.manifest.text is not None:
        return replay_rungs(bundle, absent, limits.seconds, limits.memory_bytes)
    ladder = bundle.manifest.ladder
    names = [rung.name for rung in ladder.rungs if rung.name not in absent]
    if ladder.cascade is not None:
        names.append(CASCADE)
    for name in names:
        _replay(bundle, name, limits)
    return tuple(names)


def _replay(bundle: Bundle, name: str, limits: ReplayLimits) -> None:
    expected = expected_bytes(bundle.manifest)[name]
    _check_memory(name, expected)
    memory = MEMORY_FACTOR * expected + SPARE_BYTES if limits.memory_bytes is None else limits.memory_bytes
    lengths = bundle.manifest.output.shape[1:]
    count = None if None in lengths else math.prod(one for one in lengths if one is not None)
    worker = ProcessWorker(bundle, Order(name, memory, limits.seconds), None, count)
    try:
        while worker.poll() is None:
            time.sleep(LOOK_S)
    except EngineFaultError as error:
        raise _refused(name, error, REASONS.get(error.fault, "crashed")) from error
    except (TrustError, EngineError) as error:  # another answer, no answer, or not the model that the manifest says
        raise _refused(name, error, "golden") from error
    except UsageError as error:  # a part of the runtime is not installed
        raise _refused(name, error, "runtime") from error
    finally:
        worker.close()


def _check_memory(name: str, expected: int) -> None:
    """Raises SlotError where memory would run out: the bundle would be blamed for what others hold."""
    there = available_bytes()
    if there is not None and there < expected + WATCH_BYTES:
        raise SlotError(
            f"rung {name!r} takes {format_bytes(expected)} of memory, {format_bytes(there)} are left",
            "space",
            hint="stop something else on this device and activate it again",
        )


def _refused(name: str, error: ShoestringError, reason: str) -> SlotError:
    return SlotError(f"rung {name!r} does not answer here as it must: {error.message}", reason, hint=error.hint)


__all__ = ["ReplayLimits", "replay_golden"]
