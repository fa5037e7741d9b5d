"""The main job: model and images in, a proven ladder out.

import        the model is parsed in quarantine and normalised
divide        the images are split by content: calibration, selection, certification
prepare       pre-processing is settled and checked against the original's own accuracy
compress      every candidate is made (calibration split)
compile       each into a native program as well, where a C compiler is found
convert       and for the other runtimes that are installed, as far as they promise something
measure       all candidates side by side on this machine
              (or on a board that a meter reaches)
predict       their costs on another chip, when the fit is for one
race          they are scored, the cheap ones first, each until its verdict is certain (selection split)
select        what breaks the budget or is beaten goes (selection split)
certify       rungs and cascades, in an order fixed before, on the split that no choice has seen
store         manifest, evidence, golden set
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from shoestring.base import disk
from shoestring.base.cache import Cache
from shoestring.base.errors import BudgetError, UsageError
from shoestring.chips.host import this_machine
from shoestring.costmodel.meter import Meter
from shoestring.domain.budget import Budget
from shoestring.domain.ladder import HOME_RUNTIME
from shoestring.domain.model import Model
from shoestring.domain.preprocess import Preprocess
from shoestring.domain.score import AGREEMENT, DETECTION_AGREEMENT
from shoestring.engines.protocol import Engine
from shoestring.evaluate.dataset import Dataset, open_dataset
from shoestring.evaluate.dataset_labels import check_label_range
from shoestring.evaluate.metrics import paired
from shoestring.evaluate.propose import check_diverse, check_not_chance
from shoestring.evaluate.race import CERTAIN, check_rule
from shoestring.evaluate.sample_size import smallest_n, too_small_message
from shoestring.evaluate.splits import Splits, split
from shoestring.evaluate.statistics import check_confidence
from shoestring.fitting import (
    accelerators,
    board,
    candidates,
    detectors,
    elsewhere,
    learned,
    ported,
    prepare,
    programs,
    tried,
)
from shoestring.fitting import students as students_
from shoestring.fitting.outcome import Fitted
from shoestring.fitting.progress import Progress, silent
from shoestring.fitting.settling import Asked, settle
from shoestring.fitting.workbench import Aim, Workbench
from shoestring.importers import import_model, import_module
from shoestring.importers.kinds import WRITER, kind_of
from shoestring.importers.module import is_module

if TYPE_CHECKING:
    import torch

    from shoestring.domain.head import Head
    from shoestring.heads.spec import HeadSpec

THIS_MACHINE = "this-machine"


def fit(
    model: Path | str | torch.nn.Module,
    data: Path | str,
    *,
    example: torch.Tensor | Sequence[torch.Tensor] | None = None,
    weights: Path | str | None = None,
    out: Path | str | None = None,
    budget: Budget | None = None,
    chip: str = THIS_MACHINE,
    chip_file: Path | str | None = None,
    rows: Path | str | None = None,
    meter: Meter | None = None,
    preprocess: Preprocess | None = None,
    head: HeadSpec | Path | str | None = None,
    labels: Sequence[str] = (),
    limit: int | None = None,
    seed: int = 0,
    runtimes: Sequence[str] | None = None,
    students: Sequence[Path | str] = (),
    cascade: bool = True,
    race: str = CERTAIN,
    engine: Engine | None = None,
    cache: Path | str | None = None,
    progress: Progress = silent,
) -> Fitted:
    """Compress an image classifier, a detector or a model that writes text, and prove what it costs and what it loses.

    Args:
        model: a file in ONNX, opset 11 or later, or in another format that is read (`docs/importers.md`), or a PyTorch
            module in evaluation mode; one image input, one output (batch, classes), or the outputs of a detector. A
            GGUF file or a folder of Hugging Face with a decoder: see `fitting.language.fit_language`.
        data: a folder of class folders, a folder of images, a CSV of path,label, or an .npz; texts for one that writes.
        example: of the input, for a PyTorch module (see `import_module`); None for a file.
        weights: of a Darknet network; None takes the file beside it.
        out: bundle to write; None writes nothing (see `Fitted.save`).
        budget: limits; None for none.
        chip: `this-machine`, whose costs are measured, or a chip of the catalogue, whose costs are predicted: each
            then carries its interval and what it rests on (ADR 12).
        chip_file: a chip file of the user's own.
        rows: CSV of measurements that the predictions may rest on too (see `chips.rows`).
        meter: measures the costs on another machine (see `shoestring.probing.board_meter`); scores are made here. None
            measures here.
        preprocess: from image to input; None proposes one and checks it.
        head: of a detector: a file or the name of a known head (see docs/detectors.md); None takes what a Darknet
            network says of itself, and anything else for a classifier.
        labels: class names in the model's order.
        limit: take at most this many images.
        seed: of the splits.
        runtimes: to try: `onnxruntime`, `native` for programs compiled here, `openvino`, `litert`, `ncnn`; None tries
            what is there.
        students: other ONNX models for the same images and classes; compressed likewise, and paired with the original.
        cascade: whether to look for a cascade, which needs a margin.
        race: when scoring a candidate stops: `certain` (its rejection is certain; no ladder changes), `likely` (or all
            but certain, at an error of 0.001) or `off`.
        engine: does scoring and probing elsewhere (see `shoestring.engines.open_engine`); None does them here.
        cache: directory of finished steps; None for the user's own.
        progress: called as work goes on.

    Returns:
        The ladder with its evidence.

    Raises:
        UsageError, MissingExtraError: an argument makes no sense, or an extra is missing.
        ModelError, DataError: the model or the images cannot be used.
        BudgetError: nothing meets the budget; `rows` holds what can be had.
        StorageError: the bundle cannot be written.
    """
    budget = budget or Budget()
    if not is_module(model) and kind_of(Path(model)) == WRITER:
        check_of_no_images(
            {"head": head, "preprocess": preprocess, "students": students, "labels": labels, "rows": rows}
        )
        return language_job()(
            model,
            data,
            out=out,
            budget=budget,
            chip=chip,
            chip_file=chip_file,
            seed=seed,
            cache=cache,
            progress=progress,
        )
    machine = this_machine()
    there = find_chip(chip, chip_file, rows)
    aim = find_aim(there, meter)
    check_arguments(budget, out, machine.cores if aim is None else aim.cores)
    tried.check_runtimes(runtimes)
    check_rule(race)
    store = Cache(Path(cache) if cache is not None else None)
    progress("importing the model", 0, 0)
    imported = import_into(store, model, example, weights)
    imported, found_head = detectors.settle_head(imported, head, store)
    classes = prepare.check_model(imported) if found_head is None else found_head.classes
    detectors.check_asked(found_head, students, labels)
    progress("reading the images", 0, 0)
    dataset = read_images(Path(data), tuple(labels), limit, classes, found_head)
    splits = split(dataset, seed=seed)
    for path in (*(() if is_module(model) else (model,)), *students):
        learned.check_not_learned(Path(path), dataset, splits, store)
    metric = metric_of(dataset, found_head)
    check_enough(len(splits.certification), budget, metric)
    shown = (*splits.calibration, *splits.selection)
    spec, proposed = settle_preprocess(imported, dataset, shown, preprocess, store, found_head)
    bench = Workbench(
        imported, dataset, splits, spec, HOME_RUNTIME, machine, store, progress, engine, aim=aim, head=found_head
    )
    pupils = students_.prepare(bench, students, classes, lambda path: import_into(store, path))
    bench = replace(bench, students=pupils)
    original = check_original(bench, metric, classes)
    notes = [*imported.notes, *dataset.notes, proposed, describe_splits(splits), original]
    made, sensitivity, failed = candidates.make(bench, progress)
    compiled, not_compiled = programs.compile_all(bench, made, runtimes, budget.threads)
    elsewhere_too, not_ported = ported.port_all(bench, made, compiled, runtimes, there)
    made |= compiled | elsewhere_too
    taught, not_taught = students_.make_all(bench, runtimes, budget.threads, there)
    made |= taught
    said = (
        *notes,
        *failed,
        *not_compiled,
        *not_ported,
        *not_taught,
        *detectors.left_out(found_head, cascade and aim is None),
    )
    fitted = accelerators.extend(
        settle(
            bench,
            Asked(there, meter, budget, metric, classes, race, cascade and found_head is None, seed),
            made,
            sensitivity,
            said,
        ),
        bench,
        there,
        made,
    )
    if out is not None:
        progress("writing the bundle", 0, 0)
        fitted.save(Path(out))
    return fitted


def language_job() -> Callable[..., Fitted]:
    """`fitting.language.fit_language`, which brings other libraries than images need."""
    from shoestring.fitting.language.fit import fit_language

    return fit_language


def check_of_no_images(given: Mapping[str, object]) -> None:
    """Raises UsageError for an argument that says nothing about a model that writes."""
    for name, value in given.items():
        if value:
            raise UsageError(f"{name} says nothing about a model that writes text", hint="leave it out")


def find_chip(chip: str, chip_file: Path | str | None, rows: Path | str | None) -> elsewhere.Elsewhere | None:
    """The chip to predict costs for; None when it is this machine.

    Raises:
        UsageError: no such chip, or files about a chip when none is named.
        DataError: the rows cannot be used.
    """
    if chip != THIS_MACHINE:
        return elsewhere.find(chip, *(None if path is None else Path(path) for path in (chip_file, rows)))
    if chip_file is not None or rows is not None:
        raise UsageError(
            f"a chip file or rows say nothing about {THIS_MACHINE}, whose costs are measured",
            hint="name the chip with --chip",
        )
    return None


def find_aim(there: elsewhere.Elsewhere | None, meter: Meter | None) -> Aim | None:
    """What candidates are made for; None for this machine.

    Raises:
        UsageError: both a chip to predict for and a board to measure on, or a board that cannot run the original.
    """
    if meter is None:
        return None if there is None else there.aim
    if there is not None:
        raise UsageError(
            f"costs are measured on {meter.place}, or predicted for {there.chip.name}, not both",
            hint="leave out --chip, --chip-file and --rows, or --ssh",
        )
    return board.aim_at(meter)


def check_arguments(budget: Budget, out: Path | str | None, cores: int) -> None:
    """Raises UsageError before any work is done."""
    for name in ("max_drop", "latency_ms", "memory_bytes", "size_bytes"):
        value = getattr(budget, name)
        if value is not None and not value > 0:
            raise UsageError(f"budget {name} must be above zero, got {value}", hint="None leaves it open")
    if budget.max_drop is not None and budget.max_drop >= 1:
        raise UsageError(f"budget max_drop is a fraction below 1, got {budget.max_drop}", hint="0.01 is one point")
    if budget.threads is not None and not 1 <= budget.threads <= cores:
        raise UsageError(
            f"budget threads must be in 1..{cores}, the cores of the chip, got {budget.threads}",
            hint="1 is a usual choice",
        )
    check_confidence(budget.confidence)
    if out is not None and not Path(out).absolute().parent.is_dir():
        raise UsageError(f"the directory of {out} does not exist", hint="create it first")
    if out is not None and Path(out).is_dir():
        raise UsageError(f"{out} is a directory", hint=f"name a file, like {Path(out) / 'camera.shoe'}")


def import_into(store: Cache, source: Any, example: Any = None, weights: Path | str | None = None) -> Model:
    """Import a file, or a module with its example, into the cache, named by content: later steps refer to it.

    Raises:
        UsageError: an example for a file, or none for a module.
    """
    if not is_module(source) and example is not None:
        raise UsageError(f"an example belongs to a PyTorch module, and {source} is a file", hint="leave it out")
    with disk.storage_errors(Path(tempfile.gettempdir())):
        directory = tempfile.TemporaryDirectory()
    with directory as scratch:
        target = Path(scratch) / "model.onnx"
        if is_module(source):
            imported = import_module(source, example, target)
        else:
            imported = import_model(Path(source), target, weights=None if weights is None else Path(weights))
        path = store.file("models", {"sha256": imported.sha256}, ".onnx", lambda target: _copy(imported.path, target))
    return Model(**{**imported.__dict__, "path": path})


def _copy(source: Path, target: Path) -> None:
    disk.write_bytes(target, source.read_bytes())


def check_enough(n: int, budget: Budget, metric: str) -> None:
    """Raises BudgetError before long work when n images cannot certify the asked drop whatever the candidate."""
    if budget.max_drop is None:
        return
    fewest = smallest_n(budget.max_drop, budget.confidence, metric)
    if n < fewest:
        raise BudgetError(
            too_small_message(n, budget.max_drop, fewest),
            hint="that is the certification split, even if not one answer changed; give more images or a larger drop",
        )


def read_images(path: Path, labels: tuple[str, ...], limit: int | None, classes: int, head: Head | None) -> Dataset:
    """The data set; for a detector without labels, since class folders do not say where things are."""
    dataset = open_dataset(path, label_names=labels, limit=limit)
    if head is None:
        if dataset.labels is not None:
            check_label_range(dataset.labels, classes)
        return dataset
    return detectors.without_labels(dataset, labels)


def settle_preprocess(
    model: Model,
    dataset: Dataset,
    shown: Sequence[int],
    given: Preprocess | None,
    store: Cache,
    head: Head | None,
) -> tuple[Preprocess, str]:
    """The pre-processing, and where it came from; nothing is proposed from what a detector answers."""
    if head is not None:
        return detectors.settle_preprocess(model, head, given)
    return prepare.settle_preprocess(model, dataset, shown, given, store)


def metric_of(dataset: Dataset, head: Head | None) -> str:
    """What candidates are scored by."""
    if head is not None:
        return DETECTION_AGREEMENT
    return AGREEMENT if dataset.labels is None else "top-1"


def check_original(bench: Workbench, metric: str, classes: int) -> str:
    """Score the original on the selection split; stops when its answers look like chance. What is to be said of it."""
    if bench.head is not None:
        return detectors.check_original(bench)
    trace = bench.trace("the original", bench.model.path, bench.model.sha256, "selection")
    labels = candidates.split_labels(bench, "selection")
    counts = paired(trace.top, trace.top, labels)
    if metric == AGREEMENT:
        check_diverse([top[0] for top in trace.top])
    else:
        check_not_chance(counts.original_hits, counts.n, classes)
    return prepare.labels_note(counts, metric)


def describe_splits(splits: Splits) -> str:
    """Sizes, for people."""
    return (
        f"{len(splits.calibration):,} images to calibrate, {len(splits.selection):,} to select, "
        f"{len(splits.certification):,} to certify; no image is in two"
    )
