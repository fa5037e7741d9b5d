"""Before any candidate: is this a model and are these data we can work with, and how do images become inputs?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from shoestring._version import __version__
from shoestring.base.cache import Cache
from shoestring.base.errors import ModelError
from shoestring.domain.ladder import HOME_RUNTIME
from shoestring.domain.model import Model
from shoestring.domain.preprocess import Preprocess
from shoestring.domain.score import Paired
from shoestring.evaluate.dataset import Dataset
from shoestring.evaluate.propose import propose
from shoestring.inputs.matching import check_fits
from shoestring.inputs.spec import describe
from shoestring.runtimes import registry
from shoestring.runtimes.protocol import Array


def check_model(model: Model) -> int:
    """The number of classes of an image classifier.

    Raises:
        ModelError: more than one input, an input that is no image, or an output that is not (batch, classes).
    """
    check_image_input(model)
    output = model.outputs[0]
    if len(output.shape) != 2 or output.shape[1] is None or output.shape[1] < 2:
        raise ModelError(
            f"output {output.name!r} has shape {output.shape}, expected (batch, classes) of a classifier",
            hint="of a detector, fit must be told how its outputs are read: --head FILE, see docs/detectors.md",
        )
    return output.shape[1]


def check_image_input(model: Model) -> None:
    """Raises ModelError: more than one input, or an input that is no image."""
    if len(model.inputs) != 1:
        names = ", ".join(spec.name for spec in model.inputs)
        raise ModelError(
            f"{model.source_name} has {len(model.inputs)} inputs ({names}); one image input is taken so far",
            hint="export the part of the model that takes the image",
        )
    shape = model.inputs[0].shape
    if len(shape) != 4 or None in shape[1:]:
        raise ModelError(
            f"input {model.inputs[0].name!r} has shape {shape}, expected an image (batch, 3, height, width)",
            hint="export with a fixed image size; the batch may stay free",
        )


@dataclass(frozen=True)
class Proposed:
    """A pre-processing and one line on why it was proposed, as they are kept."""

    spec: Preprocess
    why: str


def settle_preprocess(
    model: Model, dataset: Dataset, indices: Sequence[int], given: Preprocess | None, cache: Cache
) -> tuple[Preprocess, str]:
    """The pre-processing and one sentence on where it came from.

    Args:
        model: with one image input.
        dataset: with or without labels.
        indices: images it may be proposed from.
        given: by the user, or None.
        cache: keeps what was proposed.

    Raises:
        DataError: the given one does not suit the model's input, or none could be proposed.
    """
    if given is not None:
        check_fits(model.inputs[0], given)
        return given, f"pre-processing as given: {describe(given)}"
    question = {
        "version": __version__,
        "runtime_version": registry.get(HOME_RUNTIME).version(),
        "model": model.sha256,
        "images": [dataset.hashes[i] for i in indices],
        "labels": None if dataset.labels is None else [dataset.labels[i] for i in indices],
    }
    found = cache.noun("preprocess", question, Proposed, lambda: _proposed(model, dataset, indices))
    return found.spec, f"pre-processing proposed ({found.why}): {describe(found.spec)}"


def _proposed(model: Model, dataset: Dataset, indices: Sequence[int]) -> Proposed:
    spec = model.inputs[0]
    name, fixed = spec.name, spec.shape[0]
    with registry.get(HOME_RUNTIME).load(model.path, 1) as session:

        def run(batch: Array) -> Array:
            step = fixed or len(batch)
            parts = []
            for start in range(0, len(batch), step):
                part = batch[start : start + step]
                missing = step - len(part)
                padded = np.concatenate([part, np.repeat(part[-1:], missing, axis=0)]) if missing else part
                parts.append(session.run({name: padded})[model.outputs[0].name][: len(part)])
            return np.concatenate(parts)

        found = propose(spec, run, dataset, indices)
    return Proposed(found.spec, found.why)


def labels_note(paired: Paired, metric: str) -> str:
    """How good the original itself is on the selection split."""
    if metric == "agreement":
        return "the images have no labels: candidates are scored by agreement with the original's first class"
    return (
        f"the original's own {metric}: {100 * paired.original_hits / paired.n:.2f} % of {paired.n:,} selection images"
    )
