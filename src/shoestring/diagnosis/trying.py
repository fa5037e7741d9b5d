"""Sets the pre-processing in use beside the usual ones."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from shoestring.base.errors import DataError
from shoestring.base.outputs import softmax
from shoestring.diagnosis.examination import Array, Trial
from shoestring.evaluate.metrics import top_classes
from shoestring.evaluate.propose import information, propose
from shoestring.inputs.image import tensor

if TYPE_CHECKING:
    from shoestring.diagnosis.seeing import Run
    from shoestring.domain.model import TensorSpec
    from shoestring.domain.preprocess import Preprocess
    from shoestring.evaluate.dataset import Dataset


def try_preprocess(
    spec: TensorSpec, run: Run, dataset: Dataset, indices: Sequence[int], given: Preprocess | None
) -> Trial:
    """Answers under the pre-processing in use and under the best of the usual ones.

    Args:
        spec: of the model's image input.
        run: inputs (n, ...) to logits or probabilities (n, classes).
        dataset: with or without labels.
        indices: images to try.
        given: the pre-processing in use; None takes the best usual one for it.

    Raises:
        DataError: the input is no image of fixed size, or an image cannot be read.
        EngineError: the model is no classifier, or answers NaN under everything tried.
    """
    labels = None if dataset.labels is None else [dataset.labels[index] for index in indices]
    refusal, best, best_spec = None, None, None
    try:
        found = propose(spec, run, dataset, indices)
        best, best_spec = found.convention, found.spec
    except DataError as error:
        if labels is None or "no usual pre-processing suits" not in error.message:
            raise
        refusal = error.message
    used = given if given is not None else best_spec
    answers = [_answers(run, dataset, indices, one) for one in (used, best_spec) if one is not None]
    top1 = tuple(int(row[0]) for row in top_classes(answers[0], 1)) if answers else ()
    hits = wins = nats = None
    if len(answers) == 2 and labels is not None:
        right = [
            [int(row[0]) == label for row, label in zip(top_classes(one, 1), labels, strict=True)] for one in answers
        ]
        hits = (sum(right[0]), sum(right[1]))
        pairs = list(zip(*right, strict=True))
        wins = (sum(other and not own for own, other in pairs), sum(own and not other for own, other in pairs))
    elif len(answers) == 2:
        nats = (_nats(answers[0]), _nats(answers[1]))
    classes = answers[0].shape[1] if answers else 0
    return Trial(len(indices), given, best, best_spec, refusal, hits, wins, nats, top1, classes)


def _answers(run: Run, dataset: Dataset, indices: Sequence[int], spec: Preprocess) -> Array:
    parts = [run(tensor(batch, spec)) for batch in dataset.batches(indices, spec, 8)]
    return np.concatenate(parts)


def _nats(answers: Array) -> float:
    values = np.asarray(answers, np.float64)
    if values.min() < 0 or not np.allclose(values.sum(axis=1), 1, atol=1e-3):
        values = softmax(values)
    return information(values)
