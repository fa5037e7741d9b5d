"""What a fit does otherwise for a detector: how its head is found, and what is asked of the original and the data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from shoestring.base.errors import DataError, UsageError
from shoestring.domain.preprocess import Preprocess
from shoestring.fitting.joining import join_outputs, spec_inside
from shoestring.fitting.prepare import check_image_input
from shoestring.fitting.sights import RULE, confident_images
from shoestring.heads.spec import HeadSpec, find_head
from shoestring.inputs.matching import check_fits
from shoestring.inputs.spec import describe

if TYPE_CHECKING:
    from shoestring.base.cache import Cache
    from shoestring.domain.head import Head
    from shoestring.domain.model import Model
    from shoestring.evaluate.dataset import Dataset
    from shoestring.fitting.workbench import Workbench

SMALL_ANCHORS = ((10.0, 14.0), (23.0, 27.0), (37.0, 58.0))
"""Of the fine head in the published yolov3-tiny.cfg; its weights were trained with the next three."""
TOO_SMALL = (
    "the anchors are those of the published yolov3-tiny.cfg, whose weights want others: boxes come out half as large "
    "as the things; --head yolov3-tiny has the right ones"
)
NO_CASCADE = "no cascade was looked for: how sure a detector is of a whole picture is not defined so far"


def settle_head(model: Model, given: HeadSpec | Path | str | None, cache: Cache) -> tuple[Model, Head | None]:
    """The model with joined outputs and its head; a classifier as it is, and None.

    Args:
        model: imported.
        given: by the user; None takes what a Darknet network says of itself.
        cache: keeps the joined file.

    Raises:
        UsageError, DataError, ModelError: the head is not known, or does not fit the model.
    """
    spec = given if isinstance(given, HeadSpec) else spec_inside(model.path) if given is None else find_head(given)
    if spec is None:
        return model, None
    check_image_input(model)
    return join_outputs(model, spec, cache)


def check_asked(head: Head | None, students: Sequence[object], labels: Sequence[str]) -> None:
    """Raises UsageError for what is not done with detectors, DataError for more names than classes."""
    if head is None:
        return
    if students:
        raise UsageError("students of a detector are not taken so far", hint="leave out --student")
    if len(labels) > head.classes:
        raise DataError(
            f"there are {len(labels)} class names, and the detector tells {head.classes} classes apart",
            hint="give one name for each class, in the model's order",
        )


def without_labels(dataset: Dataset, names: tuple[str, ...]) -> Dataset:
    """The images alone: a class folder does not say where things are, so that nothing can be counted by it."""
    if dataset.labels is None:
        return dataset
    note = "labels of whole images say nothing of a detector's boxes, and were left out"
    return replace(dataset, labels=None, names=names, notes=(*dataset.notes, note))


def settle_preprocess(model: Model, head: Head, given: Preprocess | None) -> tuple[Preprocess, str]:
    """The pre-processing and one sentence on where it came from.

    Raises:
        DataError: the given one does not suit the model's input, or there is none and no habit of this kind of head.
    """
    if given is not None:
        check_fits(model.inputs[0], given)
        return given, f"pre-processing as given: {describe(given)}"
    if head.kind == "ssd":
        raise DataError(
            "detectors of the kind 'ssd' have no usual pre-processing that could be proposed",
            hint="state it with --preprocess FILE",
        )
    _, channels, height, width = model.inputs[0].shape
    if channels != 3 or height is None or width is None:
        raise DataError(
            f"input {model.inputs[0].name!r} has shape {model.inputs[0].shape}, which leaves open where colour is",
            hint="state the pre-processing with --preprocess FILE",
        )
    spec = Preprocess(height, width)
    check_fits(model.inputs[0], spec)
    return spec, f"pre-processing as is usual for YOLO, not checked: {describe(spec)}"


def check_original(bench: Workbench) -> str:
    """What the original sees on the selection split, in words.

    Raises:
        DataError: not one confident object, so that agreement with it would mean nothing.
    """
    seen = confident_images(bench, "selection")
    pictures = sum(count > 0 for count in seen)
    if not pictures:
        raise DataError(
            f"the original sees nothing with a score of {RULE.sure:g} or more in {len(seen):,} selection images",
            hint="check the pre-processing (colour order, scale), the head, and that the images show what it knows",
        )
    return (
        f"the original sees {sum(seen):,} objects with a score of {RULE.sure:g} or more in {pictures:,} of "
        f"{len(seen):,} selection images; candidates are scored by images on which none is lost and none invented"
    )


def left_out(head: Head | None, cascade: bool) -> tuple[str, ...]:
    """What the user must know was not done, or is not as it should be."""
    if head is None:
        return ()
    small = len(head.parts) == 2 and head.classes == 80 and SMALL_ANCHORS in head.anchors
    return (*((TOO_SMALL,) if small else ()), *((NO_CASCADE,) if cascade else ()))


__all__ = [
    "check_asked",
    "check_original",
    "left_out",
    "settle_head",
    "settle_preprocess",
    "without_labels",
]
