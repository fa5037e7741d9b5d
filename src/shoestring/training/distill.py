"""A smaller network with the original's interface that meets a latency and answers like the original.

find the shapes     image, depth and width that meet the latency, measured here in 8 bits
race                each is trained for a short while; the one nearest to the original stays
train               from the original's answers, on images that no certificate will rest on
round               the last epochs with 8-bit rounding inside; what is better in 8 bits stays
write               one ONNX file that `shoestring fit` takes, and the hashes of its training images
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from shoestring._version import __version__
from shoestring.base import disk
from shoestring.base.cache import Cache
from shoestring.base.canonical import digest, plain, sha256_hex
from shoestring.base.errors import UsageError
from shoestring.domain.preprocess import Preprocess
from shoestring.fitting import prepare
from shoestring.fitting.fit import import_into
from shoestring.fitting.progress import Progress, silent
from shoestring.importers.trained_on import hashes_text, write_hashes
from shoestring.training.images import choose_images
from shoestring.training.settings import Settings


@dataclass(frozen=True)
class Distilled:
    """A student and how it does.

    Args:
        path: ONNX file, as asked.
        sha256: of it.
        shape: how it differs from the original, in words.
        latency_ms: of its 8-bit form on the faster of ONNX Runtime and native code, one image.
        original_ms: of the original's 8-bit form, measured likewise.
        target_ms: as asked.
        agreement: part of the held-out images on which its first class is the original's, in float32.
        agreement_int8: the same in 8 bits.
        parameters: weights and biases.
        images: learned from.
        held: images that agreement is taken on.
        notes: in words.
    """

    path: Path
    sha256: str
    shape: str
    latency_ms: float
    original_ms: float
    target_ms: float
    agreement: float
    agreement_int8: float
    parameters: int
    images: int
    held: int
    notes: tuple[str, ...]


def distill(
    model: Path | str,
    data: Path | str,
    target_latency_ms: float,
    out: Path | str,
    *,
    train_data: Path | str | None = None,
    preprocess: Preprocess | None = None,
    labels: Sequence[str] = (),
    limit: int | None = None,
    settings: Settings | None = None,
    work: Path | str | None = None,
    cache: Path | str | None = None,
    progress: Progress = silent,
) -> Distilled:
    """Make a student of an image classifier.

    Args:
        model: ONNX; one image input, one output (batch, classes).
        data: images that `fit` will be run on, with the same seed and limit; those that it certifies on are not used.
        target_latency_ms: of one image in 8 bits on this machine, above zero.
        out: ONNX file to write.
        train_data: other images to learn from, labels are not needed; what is in `data` too is left out.
        preprocess: from image to input; None proposes one and checks it.
        labels: class names in the model's order.
        limit: take at most this many images of `data`.
        settings: how to train.
        work: directory of unfinished work; None for one in the cache.
        cache: directory of finished steps; None for the user's own.
        progress: called as work goes on.

    Raises:
        UsageError, MissingExtraError: an argument makes no sense, or torch or torch-pruning is missing.
        ModelError: the model holds an operator that cannot be trained, is no image classifier, or is answered by torch
            otherwise than by ONNX Runtime.
        DataError: the images cannot be used.
        BudgetError: no student is as fast as asked.
        EngineError: training diverged, or the student has another interface than the original.
        StorageError: something cannot be written.
    """
    settings = settings or Settings()
    target = Path(out)
    check_arguments(target_latency_ms, target, settings)
    from shoestring.training.lib import check_device
    from shoestring.training.run import Run
    from shoestring.training.work import Question, Work

    check_device(settings.device)
    store = Cache(Path(cache) if cache is not None else None)
    progress("importing the model", 0, 0)
    imported = import_into(store, Path(model))
    prepare.check_model(imported)
    progress("reading the images", 0, 0)
    images = choose_images(Path(data), _path(train_data), tuple(labels), settings.seed, limit)
    spec, said = prepare.settle_preprocess(imported, images.judged, images.shown, preprocess, store)
    asked: dict[str, Any] = {**plain(settings), "target_ms": target_latency_ms, "preprocess": plain(spec)}
    question = Question(__version__, imported.sha256, sha256_hex(hashes_text(images.hashes).encode()), asked)
    folder = Path(work) if work is not None else store.root / "distill" / digest(question)
    run = Run(imported, images, spec, settings, target_latency_ms, Work.open(folder, question), progress)
    found, student, notes = run.student()
    data_bytes = run.deliver(student)
    write_hashes(target, images.hashes)
    disk.write_bytes(target, data_bytes)
    scores = run.judge(student)
    return Distilled(
        path=target,
        sha256=sha256_hex(data_bytes),
        shape=found.shape.words(),
        target_ms=target_latency_ms,
        images=len(images.train),
        held=len(images.held),
        notes=(*imported.notes, *images.notes, said, *notes, *run.remarks),
        **dataclasses.asdict(scores),
    )


def check_arguments(target_ms: float, out: Path, settings: Settings) -> None:
    """Raises UsageError before any work is done."""
    if not 0 < target_ms < float("inf"):
        raise UsageError(f"the target latency must be above zero, got {target_ms:g} ms", hint="write 2ms")
    if not out.absolute().parent.is_dir() or out.is_dir():
        raise UsageError(f"{out} cannot be a file: no such directory, or a directory itself", hint="name a file")
    problem = settings.problem()
    if problem is not None:
        raise UsageError(problem)


def _path(named: Path | str | None) -> Path | None:
    return None if named is None else Path(named)
