"""Other models for the same images and classes: their candidates join those of the original, and are paired with it."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from shoestring.base.errors import ModelError, UsageError
from shoestring.domain.manifest import STUDENT_MARK, Student
from shoestring.domain.model import Model
from shoestring.domain.preprocess import Preprocess
from shoestring.evaluate.dataset import Dataset
from shoestring.fitting.candidates import Artefact, make
from shoestring.fitting.elsewhere import Elsewhere
from shoestring.fitting.ported import port_all
from shoestring.fitting.prepare import check_model
from shoestring.fitting.programs import compile_all
from shoestring.fitting.workbench import Workbench
from shoestring.inputs.image import Pixels
from shoestring.inputs.matching import check_fits
from shoestring.inputs.rescale import rescale, resized

MAX_STUDENTS = 8  # each brings some ten candidates, all measured side by side
MAX_NAME_CHARACTERS = 40  # it stands before the name of every candidate


@dataclass(frozen=True)
class View(Dataset):
    """A data set whose pixels come from those of another pre-processing, as on a device.

    Args:
        seen_through: pre-processing of the original model.
    """

    seen_through: Preprocess

    def pixels(self, index: int, spec: Preprocess) -> Pixels:
        """(height, width, channels) of `spec`. Raises DataError."""
        return rescale(super().pixels(index, self.seen_through), self.seen_through, spec)


def prepare(
    bench: Workbench, paths: Sequence[Path | str], classes: int, load: Callable[[Path], Model]
) -> dict[str, Workbench]:
    """A workbench for every student, by its name.

    Args:
        bench: of the original.
        paths: of the students.
        classes: that the original tells apart.
        load: imports a model file.

    Raises:
        UsageError: too many, or one that is the original or another student over again.
        ModelError: a student cannot be read, or takes or answers something else than the original.
    """
    if len(paths) > MAX_STUDENTS:
        raise UsageError(f"{len(paths)} students were given, the limit is {MAX_STUDENTS}", hint="give the best of them")
    found: dict[str, Workbench] = {}
    sources = {bench.model.source_sha256: bench.model.source_name}
    for path in map(Path, paths):
        bench.progress(f"importing the student {path.name}", 0, 0)
        model = load(path)
        if model.source_sha256 in sources:
            raise UsageError(
                f"the student {path.name} is the same file as {sources[model.source_sha256]}", hint="leave one out"
            )
        sources[model.source_sha256] = model.source_name
        spec = student_spec(bench, model, classes)
        data = bench.dataset
        view = View(
            data.path, data.hashes, data.labels, data.names, data.notes, data.source, data.positions, bench.spec
        )
        found[student_name(path, found)] = replace(bench, model=model, dataset=view, spec=spec, through=bench.spec)
    return found


def student_spec(bench: Workbench, model: Model, classes: int) -> Preprocess:
    """The original's pre-processing at the student's size.

    Raises:
        ModelError: the student is no classifier of these classes, or its input differs in more than its size.
    """
    answers = check_model(model)
    if answers != classes:
        raise ModelError(
            f"the student {model.source_name} tells {answers} classes apart, the original {classes}",
            hint="a student must answer the same classes in the same order",
        )
    wanted = model.inputs[0]
    _, *sizes = wanted.shape
    channels = bench.spec.channels
    if wanted.dtype != bench.spec.dtype:
        raise ModelError(
            f"the student {model.source_name} takes {wanted.dtype}, the original's pre-processing gives "
            f"{bench.spec.dtype}",
            hint="export the student with the same pre-processing as the original",
        )
    if sizes[0] == channels:
        layout, height, width = "nchw", sizes[1], sizes[2]
    else:
        layout, height, width = "nhwc", sizes[0], sizes[1]
    if height is None or width is None:  # check_model has refused this; a plain int is needed below
        raise ModelError(f"the student {model.source_name} has an input of free size {wanted.shape}")
    same = (height, width) == (bench.spec.height, bench.spec.width)
    spec = replace(bench.spec, layout=layout) if same else resized(bench.spec, height, width, layout, wanted.dtype)
    check_fits(model.inputs[0], spec)
    return spec


def student_name(path: Path, taken: Mapping[str, object]) -> str:
    """`cifar10_small.onnx` -> `cifar10_small`; a number is added when another student has that name."""
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", path.stem).strip("-")[:MAX_NAME_CHARACTERS] or "student"
    if name not in taken:
        return name
    number = 2
    while f"{name}-{number}" in taken:
        number += 1
    return f"{name}-{number}"


def make_all(
    bench: Workbench, runtimes: Sequence[str] | None, threads: int | None, there: Elsewhere | None
) -> tuple[dict[str, Artefact], tuple[str, ...]]:
    """The candidates of every student, by the same recipes as the original's.

    Args:
        bench: of the original, with its students.
        runtimes: as the user asked.
        threads: of the budget, or None.
        there: the chip that costs are predicted for, or None.

    Returns:
        Artefacts by name; and what was refused and why, in words.
    """
    made: dict[str, Artefact] = {}
    notes: list[str] = []
    for name, pupil in bench.students.items():
        own, _, refused = make(pupil, pupil.progress)
        named = [
            replace(one, recipe=replace(one.recipe, name=f"{name}{STUDENT_MARK}{one.recipe.name}", loss=None))
            for one in own.values()
        ]
        found = {one.name: one for one in named}
        compiled, not_compiled = compile_all(pupil, found, runtimes, threads)
        elsewhere_too, not_ported = port_all(pupil, found, compiled, runtimes, there)
        made |= found | compiled | elsewhere_too
        notes += [f"{name}: {words}" for words in (*refused, *not_compiled, *not_ported)]
    return made, tuple(notes)


def describe(bench: Workbench) -> tuple[Student, ...]:
    """What the manifest says of the students."""
    return tuple(
        Student(name, pupil.model.source_sha256, pupil.model.inputs[0], pupil.model.outputs[0], pupil.spec)
        for name, pupil in bench.students.items()
    )


__all__ = ["View", "describe", "make_all", "prepare", "student_name", "student_spec"]
