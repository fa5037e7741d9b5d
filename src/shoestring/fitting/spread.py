"""Scoring and probing as tasks for an engine: what is sent, and how answers come back in order."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from shoestring.base import canonical
from shoestring.base.errors import ChildError
from shoestring.domain.evidence import Sensitivity
from shoestring.engines.protocol import Blob, Engine, Task
from shoestring.fitting.scoring import npy
from shoestring.fitting.sights import Sight
from shoestring.fitting.stamp import stamp

if TYPE_CHECKING:
    from shoestring.compress.sensitivity import Probing, Spread
    from shoestring.fitting.scoring import Given, Subject
    from shoestring.fitting.workbench import Workbench


def answers(
    bench: Workbench, engine: Engine, subject: Subject, parts: Sequence[Sequence[int]], words: str
) -> list[Given]:
    """What is read of each part of a split. Images are decoded here; their pixels travel, a few parts at a time."""
    feeding = bench.feeding
    found: list[Given] = []
    model = Blob(subject.path, subject.sha256)
    window = max(1, engine.workers)
    for first in range(0, len(parts), window):
        tasks = []
        for part in parts[first : first + window]:
            pixels = np.concatenate(list(bench.dataset.batches(part, bench.spec, feeding.batch)))
            arguments = {
                "stamp": stamp(),
                "artefact": subject.sha256,
                "runtime": subject.runtime,
                "feeding": canonical.plain(feeding),
            }
            blobs = {"model": model, "pixels": Blob.of(npy(pixels))}
            tasks.append(Task("shoestring.fitting.tasks:score", arguments, blobs))

        def said(done: int, _: int, first: int = first) -> None:
            bench.progress(words, first + done, len(parts))

        for data in engine.map(tasks, said):
            found.append(
                canonical.decode(data, tuple[tuple[int, ...], ...], ChildError)
                if feeding.head is None
                else canonical.decode(data, tuple[Sight, ...], ChildError)
            )
    return found


def probes(engine: Engine) -> Spread:
    """`sensitivity.Spread` on an engine: one task a layer, which all read the same blobs."""

    def spread(probing: Probing, progress: Callable[[int, int], None]) -> Sequence[Sensitivity]:
        graph, examples = Blob.of(probing.graph.to_bytes()), Blob.of(_examples(probing))
        shared = {
            "stamp": stamp(),
            "ranges": canonical.plain(probing.ranges),
            "scheme": canonical.plain(probing.scheme),
            "head": canonical.plain(probing.head),
        }
        tasks = [
            Task("shoestring.fitting.tasks:probe", {**shared, "layer": layer}, {"graph": graph, "examples": examples})
            for layer in probing.layers
        ]
        return [canonical.decode(data, Sensitivity, ChildError) for data in engine.map(tasks, progress)]

    return spread


def _examples(probing: Probing) -> bytes:
    """Inputs, float means and reference outputs in one .npz; names go by number, since they may hold anything."""
    arrays = {f"reference-{number}": array for number, array in enumerate(probing.reference)}
    for place, batch in enumerate(probing.batches):
        for number, name in enumerate(sorted(batch)):
            arrays[f"batch-{place}-{number}"] = batch[name]
    for number, name in enumerate(sorted(probing.wanted)):
        arrays[f"wanted-{number}"] = probing.wanted[name]
    names = [sorted(probing.batches[0]), sorted(probing.wanted), len(probing.batches), len(probing.reference)]
    arrays["names"] = np.frombuffer(canonical.encode(names), dtype=np.uint8)
    stream = io.BytesIO()
    np.savez(stream, **arrays)  # type: ignore[arg-type]  # takes arrays by any name
    return stream.getvalue()
