"""Puts a model on the table: takes it apart, counts it, shows it images where there are any."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from shoestring.analysis.graphs import View, main_view, read
from shoestring.analysis.macs import macs
from shoestring.base.errors import DataError, EngineError, ModelError
from shoestring.compress.graph import Graph
from shoestring.compress.observe import RUNTIME
from shoestring.diagnosis.examination import Array, Examination, Seen, Trial
from shoestring.diagnosis.seeing import Batches, batched_run, pieces, see
from shoestring.diagnosis.trying import try_preprocess
from shoestring.diagnosis.weights import read_layers
from shoestring.inputs.image import tensor
from shoestring.inputs.matching import check_fits
from shoestring.native.front import read_program
from shoestring.runtimes import registry

if TYPE_CHECKING:
    from shoestring.diagnosis.aim import Aim
    from shoestring.domain.model import Model
    from shoestring.domain.preprocess import Preprocess
    from shoestring.evaluate.dataset import Dataset

BATCH = 8
FLOAT = 1  # onnx.TensorProto.FLOAT; the runtime has no reductions of 16-bit floats
NO_DATA = "no images were given (--data)"


def examine(
    model: Model,
    aim: Aim,
    *,
    dataset: Dataset | None = None,
    preprocess: Preprocess | None = None,
    batches: Batches | None = None,
    threads: int = 1,
) -> Examination:
    """Everything the diseases ask about a model.

    Args:
        model: normalised, as the importers write it.
        aim: what it is to run on.
        dataset: images, with or without labels; None examines without.
        preprocess: in use; None takes the best of the usual ones.
        batches: model inputs as they are, in place of `dataset`.
        threads: of the runtime.

    Raises:
        DataError: an image cannot be read, or the pre-processing does not suit the model's input.
    """
    graph = Graph.load(model.path)
    view, no_shapes = _view(model)
    seen: Seen | None = None
    trial: Trial | None = None
    no_images = no_trial = NO_DATA
    if dataset is not None:
        if preprocess is not None and len(model.inputs) == 1:
            check_fits(model.inputs[0], preprocess)
        trial, no_trial, spec = _trial(model, dataset, preprocess)
        if len(model.inputs) != 1:
            no_images = no_trial
        elif spec is None:
            no_images = f"no pre-processing is known ({no_trial}); give one with --preprocess"
        else:
            batches = _feed(model, dataset, spec)
    elif batches is not None:
        no_trial = "inputs were given in place of images"
    if batches is not None:
        seen, no_images = _seen(graph, view, batches, threads, no_shapes)
    if seen is not None and dataset is not None:
        seen = replace(seen, images=len(dataset))  # a fixed batch is filled up with repeats
    return Examination(
        model=model,
        graph=graph,
        layers=read_layers(graph),
        shapes={name: kind.shape for name, kind in view.tensors.items() if kind.shape is not None} if view else {},
        macs=_macs(view),
        no_shapes=no_shapes,
        aim=aim,
        seen=seen,
        no_images=no_images,
        trial=trial,
        no_trial=no_trial,
        native_refusal=_native_refusal(model),
    )


def _view(model: Model) -> tuple[View | None, str | None]:
    try:
        return main_view(read(model.path), 1), None
    except ModelError as error:
        return None, error.message


def _macs(view: View | None) -> dict[str, int]:
    found: dict[str, int] = {}
    for node in view.nodes if view is not None else ():
        try:
            found[node.name] = macs(view, node) if view is not None else 0
        except (ModelError, LookupError, ValueError):
            continue  # its shape depends on the data or is malformed; `Examination.macs` leaves it out
    return found


def _native_refusal(model: Model) -> str | None:
    try:
        read_program(model.path, "model")
    except ModelError as error:
        return error.message
    return None


def _trial(model: Model, dataset: Dataset, given: Preprocess | None) -> tuple[Trial | None, str, Preprocess | None]:
    """The trial, why there is none, and the pre-processing to go on with."""
    if len(model.inputs) != 1:
        return None, f"the model has {len(model.inputs)} inputs, and images feed one", None
    indices = range(len(dataset))
    try:
        with registry.get(RUNTIME).load(model.path, 1) as session:
            run = batched_run(session, model.inputs[0].shape[0])
            trial = try_preprocess(model.inputs[0], run, dataset, indices, given)
    except (DataError, EngineError) as error:
        return None, error.message, given
    return trial, "", given if given is not None else trial.best_spec


def _feed(model: Model, dataset: Dataset, spec: Preprocess) -> Iterator[Mapping[str, Array]]:
    entry = model.inputs[0]
    size = entry.shape[0] or BATCH
    for batch in dataset.batches(range(len(dataset)), spec, size):
        for _, piece in pieces(tensor(batch, spec), entry.shape[0] or len(batch)):
            yield {entry.name: piece}


def _seen(
    graph: Graph, view: View | None, batches: Batches, threads: int, no_shapes: str | None
) -> tuple[Seen | None, str]:
    if view is None:
        return None, f"the shapes are not known: {no_shapes}"
    ranks = _activations(graph, view)
    try:
        return see(graph, ranks, batches, threads), ""
    except EngineError as error:
        return None, f"the model cannot be run on the images: {error.message}"


def _activations(graph: Graph, view: View) -> dict[str, int]:
    """Float tensors that are computed from the inputs, of two dimensions or more, and how many each has."""
    names: Sequence[str] = [*graph.inputs, *(name for node in graph.nodes for name in node.output if name)]
    found = {}
    for name in names:
        kind = view.tensors.get(name)
        if kind is None or kind.shape is None or name in view.stored or kind.dtype != FLOAT:
            continue
        if len(kind.shape) >= 2:
            found[name] = len(kind.shape)
    return found


__all__ = ["examine"]
