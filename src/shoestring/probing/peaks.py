"""What a processor can do at most, by the meter, or without a compiler by numpy."""

from __future__ import annotations

import ctypes
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from shoestring.base.errors import EngineError

if TYPE_CHECKING:
    from pathlib import Path

KINDS = ("copy", "cycles", "fp32", "int8", "fp16")
"""In the order of `shoestring_meter`."""
WINDOW_MS = 150.0
WINDOWS = 5
LARGEST_BLOCK = 64 << 20
MEMORY_SHARE = 16
"""A block is at most this part of the memory, so that two of them fit a small board."""
NUMPY_SIZE = 768


@dataclass(frozen=True)
class Speed:
    """One measured rate.

    Args:
        kind: one of KINDS.
        threads: that worked.
        rate: bytes copied, cycles, or operations (two a multiply-accumulate) a second; the best of some windows.
        method: in words.
    """

    kind: str
    threads: int
    rate: float
    method: str


def block_bytes(memory_bytes: int) -> int:
    """Size of each of the two blocks of a copy."""
    return min(LARGEST_BLOCK, memory_bytes // MEMORY_SHARE)


def measure_peaks(meter: Path | None, threads: Sequence[int], memory_bytes: int) -> tuple[Speed, ...]:
    """Every rate that can be measured here, at each thread count.

    Args:
        meter: library of `native.meter`; None measures with numpy, which uses as many threads as it likes.
        threads: counts, each at least 1.
        memory_bytes: installed.

    Raises:
        EngineError: the library cannot be loaded, or there is no memory or no thread for it.
    """
    block = block_bytes(memory_bytes)
    if meter is None:
        return _by_numpy(block)
    try:
        library = ctypes.CDLL(str(meter))
    except OSError as error:
        raise EngineError(f"the meter cannot be loaded: {error}", hint="the memory may not be mounted noexec") from None
    measure = library.shoestring_meter
    measure.restype = ctypes.c_double
    measure.argtypes = [ctypes.c_int, ctypes.c_int, ctypes.c_uint64, ctypes.c_double, ctypes.c_int]
    words = {
        "copy": f"memcpy of two blocks of {block >> 20} MiB, shared by the threads",
        "cycles": "a chain of sums, one a cycle",
    }
    speeds = []
    for count in threads:
        for number, kind in enumerate(KINDS):
            rate = measure(number, count, block if kind == "copy" else 1, WINDOW_MS, WINDOWS)
            if rate < 0:
                if kind == "fp16":  # only built for processors that compute with it
                    continue
                raise EngineError(f"the meter cannot measure {kind} at {count} thread(s): no memory or no threads")
            how = words.get(kind, "the inner loop of our kernels")
            speeds.append(Speed(kind, count, rate, f"{how}; best of {WINDOWS} windows of {WINDOW_MS:g} ms"))
    return tuple(speeds)


def _by_numpy(block: int) -> tuple[Speed, ...]:
    source, target = np.ones(block, np.uint8), np.zeros(block, np.uint8)
    copied = block / _best_seconds(lambda: np.copyto(target, source))
    square = np.ones((NUMPY_SIZE, NUMPY_SIZE), np.float32)
    product = 2 * NUMPY_SIZE**3 / _best_seconds(lambda: square @ square)
    return (
        Speed("copy", 1, copied, f"numpy.copyto of {block >> 20} MiB; best of {WINDOWS}; no compiler was found"),
        Speed("fp32", 0, product, f"numpy matrix product of {NUMPY_SIZE}, its own threads; best of {WINDOWS}"),
    )


def _best_seconds(work: Callable[[], object]) -> float:
    work()
    times = []
    for _ in range(WINDOWS):
        start = time.perf_counter_ns()
        work()
        times.append(max(1, time.perf_counter_ns() - start) / 1e9)
    return min(times)


__all__ = ["KINDS", "Speed", "block_bytes", "measure_peaks"]
