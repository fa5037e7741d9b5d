"""What the walls around an importer cost: imports with them and without, in turns.

    python benchmarks/quarantine.py examples/cifar10_main.onnx other.tflite --rounds 9

Medians in seconds of whole imports: both child processes, reading, normalising, writing. Without walls means the same
child with the same limits, in which shutting in does nothing.
"""

from __future__ import annotations

import argparse
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


def seconds(source: Path, entry: str) -> float:
    quarantine.ENTRY = entry
    with tempfile.TemporaryDirectory() as scratch:
        start = time.perf_counter()
        import_model(source, Path(scratch) / "out.onnx")
        return time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("models", nargs="*", type=Path, default=sorted(Path("examples").glob("*.onnx")))
    parser.add_argument("--rounds", type=int, default=9)
    arguments = parser.parse_args()
    sys.path.insert(0, str(Path(__file__).resolve().parent))
    entries = {"open": f"{Path(__file__).stem}:without_walls", "closed": WALLED}
    print("| model | open, s | closed, s | difference, ms |\n|---|---|---|---|")
    for source in arguments.models:
        taken: dict[str, list[float]] = {name: [] for name in entries}
        for _ in range(arguments.rounds):
            for name, entry in entries.items():
                taken[name].append(seconds(source, entry))
        opened, shut = (statistics.median(taken[name]) for name in ("open", "closed"))
        print(f"| {source.name} | {opened:.3f} | {shut:.3f} | {1000 * (shut - opened):+.0f} |", flush=True)


if __name__ == "__main__":
    main()
