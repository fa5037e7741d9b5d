"""What the walls around an importer cost: imports with them and without, in turns.

    python benchmarks/quarantine.py examples/cifar10_main.onnx other.tflite --rounds 9

Medians of whole imports: the child process, reading, normalising, writing. Without walls means the same child with the
same limits, in which shutting in does nothing. On a busy machine the processor's seconds are the ones to look at.
"""

from __future__ import annotations

import argparse
import resource
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from shoestring.base import closed, quarantine
from shoestring.importers import import_model

WALLED = quarantine.ENTRY


def without_walls(call: dict[str, Any]) -> dict[str, Any]:
    """The child's side, left open."""
    closed.shut_in_as_far_as_it_goes = lambda *_, **__: closed.Held((), None)  # type: ignore[assignment]
    return quarantine.enter(call)


def seconds(source: Path, entry: str) -> tuple[float, float]:
    """By the clock, and of the processor in the child processes."""
    quarantine.ENTRY = entry
    with tempfile.TemporaryDirectory() as scratch:
        before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
        import_model(source, Path(scratch) / "out.onnx")
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
    busy = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return time.perf_counter() - start, busy


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("models", nargs="*", type=Path, default=sorted(Path("examples").glob("*.onnx")))
    parser.add_argument("--rounds", type=int, default=9)
    arguments = parser.parse_args()
    sys.path.insert(0, str(Path(__file__).resolve().parent))
    entries = {"open": f"{Path(__file__).stem}:without_walls", "closed": WALLED}
    print("| model | open, s | closed, s | open, processor s | closed, processor s | difference, processor ms |")
    print("|---|---|---|---|---|---|")
    for source in arguments.models:
        taken: dict[str, list[tuple[float, float]]] = {name: [] for name in entries}
        for _ in range(arguments.rounds):
            for name, entry in entries.items():
                taken[name].append(seconds(source, entry))
        clock = [statistics.median(wall for wall, _ in taken[name]) for name in entries]
        busy = [statistics.median(cpu for _, cpu in taken[name]) for name in entries]
        figures = " | ".join(f"{value:.3f}" for value in (*clock, *busy))
        print(f"| {source.name} | {figures} | {1000 * (busy[1] - busy[0]):+.0f} |", flush=True)


if __name__ == "__main__":
    main()
