"""How near each contestant comes to the original, on images that neither it nor its makers saw."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from contestants import REFERENCE, one_line, say
from peers_inputs import BATCH, fill_batch
from shoestring.base.errors import EngineError
from shoestring.base.outputs import mean_kl, sqnr_db
from shoestring.evaluate.metrics import paired, top_classes
from shoestring.evaluate.statistics import drop_interval
from shoestring.inputs.image import tensor
from shoestring.runtimes import registry

if TYPE_CHECKING:
    from collections.abc import Mapping

    from contestants import Contestant, Ground
    from shoestring.runtimes.protocol import Session

RUNTIME = "onnxruntime"
CONFIDENCE = 0.95


@dataclass(frozen=True)
class Verdict:
    """On the certification split, paired with the original.

    Args:
        metric: `top-1` with labels, else `agreement`.
        value: of the contestant, a fraction.
        drop_low: two-sided 95 % interval for the true drop, lower end, a fraction.
        drop_high: upper end.
        wins: inputs that only the contestant got right; None without labels.
        losses: inputs that only the original got right; without labels, those where the first class changed.
        agreement: part of the inputs with the original's first class.
        kl: mean KL divergence from the original's softmax outputs, nats.
        sqnr_db: signal to quantization noise of the outputs, dB.
    """

    metric: str
    value: float
    drop_low: float
    drop_high: float
    wins: int | None
    losses: int
    agreement: float
    kl: float
    sqnr_db: float


def judge(ground: Ground, models: Mapping[str, Contestant], threads: int) -> tuple[dict[str, Verdict], dict[str, str]]:
    """Verdicts by name, and by name the reasons of those that could not be run. Images are decoded once for all.

    Raises:
        EngineError: the original itself cannot be run.
    """
    answers, failures = answer_all(ground, models, threads)
    if REFERENCE in failures:
        raise EngineError(failures[REFERENCE])
    verdicts = {}
    for name, values in answers.items():
        try:
            verdicts[name] = verdict(answers[REFERENCE], values, ground.labels("certification"))
        except EngineError as error:
            failures[name] = one_line(error)
    return verdicts, failures


def answer_all(
    ground: Ground, models: Mapping[str, Contestant], threads: int
) -> tuple[dict[str, np.ndarray[Any, Any]], dict[str, str]]:
    """Outputs (n, classes) of every model on the certification split, and why others gave none."""
    indices, fixed = ground.splits.certification, ground.input.shape[0]
    failures: dict[str, str] = {}
    parts: dict[str, list[np.ndarray[Any, Any]]] = {}
    with contextlib.ExitStack() as stack:
        sessions: dict[str, Session] = {}
        for name, one in models.items():
            try:
                sessions[name] = stack.enter_context(registry.get(one.runtime).load(one.path, threads))
            except EngineError as error:
                failures[name] = one_line(error)
        say(f"judging {len(sessions)} models on {len(indices)} images")
        for pixels in ground.dataset.batches(indices, ground.spec, fixed or BATCH):
            feeds = {ground.input.name: fill_batch(tensor(pixels, ground.spec), fixed)}
            for name in [name for name in sessions if name not in failures]:
                try:
                    values = next(iter(sessions[name].run(feeds).values()))
                    parts.setdefault(name, []).append(values[: len(pixels)])
                except EngineError as error:
                    failures[name] = one_line(error)
    return {name: np.concatenate(rows) for name, rows in parts.items() if name not in failures}, failures


def verdict(original: np.ndarray[Any, Any], values: np.ndarray[Any, Any], labels: list[int] | None) -> Verdict:
    """One contestant against the original. Raises EngineError for outputs of another shape, NaN or infinity."""
    kl, noise = mean_kl(original, values), sqnr_db(original, values)
    before, after = top_classes(original, 1), top_classes(values, 1)
    agreed = paired(before, after, None)
    counts = paired(before, after, labels)
    metric = "agreement" if labels is None else "top-1"
    low, high = drop_interval(counts, metric, CONFIDENCE)
    return Verdict(
        metric=metric,
        value=counts.variant_hits / counts.n,
        drop_low=low,
        drop_high=high,
        wins=None if labels is None else counts.wins,
        losses=counts.losses,
        agreement=agreed.variant_hits / agreed.n,
        kl=kl,
        sqnr_db=noise,
    )
