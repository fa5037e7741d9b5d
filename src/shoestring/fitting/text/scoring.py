"""What answers are worth: classes against labels, or nearest neighbours among texts that are fixed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from shoestring.domain.evidence import Trace
from shoestring.domain.ladder import Candidate
from shoestring.domain.score import NEIGHBOUR_AGREEMENT, Paired, Score
from shoestring.evaluate.metrics import paired, top_classes
from shoestring.evaluate.statistics import drop_interval
from shoestring.fitting.candidates import INTERVAL_CONFIDENCE, TOP_5_CLASSES, Artefact
from shoestring.fitting.text.bench import TextBench
from shoestring.fitting.text.making import embeddings

Array = npt.NDArray[Any]
GALLERY = "calibration"
"""The split whose texts are the neighbours that are looked for: nothing is chosen or certified on it."""
NEAREST = 5
DEPTH = 10


@dataclass(frozen=True)
class Scorer:
    """Counts answers of artefacts on the splits.

    Args:
        bench: model, texts, splits.
        made: artefacts by name.
        original: the reference's artefact.
        metric: `top-1`, `agreement` or `neighbour-agreement`.
    """

    bench: TextBench
    made: Mapping[str, Artefact]
    original: Artefact
    metric: str

    def trace(self, one: Artefact, split: str, name: str | None = None) -> Trace:
        """Best classes of each text, or the places of its nearest neighbours in the gallery, best first."""
        rows = embeddings(self.bench, one, split)
        if self.metric != NEIGHBOUR_AGREEMENT:
            return Trace(name or one.name, split, top_classes(rows))
        near = top_classes(similarities(rows, embeddings(self.bench, one, GALLERY)), NEAREST)
        return Trace(name or one.name, split, near)

    def labels(self, split: str) -> tuple[int, ...] | None:
        """Labels that the metric counts by; None where it compares with the original."""
        return self.bench.split_labels(split) if self.metric == "top-1" else None

    def counts(self, name: str, split: str, depth: int = 1) -> Paired:
        """The original against one artefact."""
        original, variant = self.trace(self.original, split), self.trace(self.made[name], split)
        return paired(original.top, variant.top, self.labels(split), depth)

    def scores(self, name: str, classes: int) -> tuple[Score, ...]:
        """On the selection split."""
        found = [_score(self.metric, self.counts(name, "selection"))]
        if self.metric == "top-1" and classes >= TOP_5_CLASSES:
            found.append(_score("top-5", self.counts(name, "selection", 5)))
        return tuple(found)

    def certified_counts(self, candidate: Candidate) -> Paired:
        """On the certification split."""
        return self.counts(candidate.name, "certification")


def _score(metric: str, counts: Paired) -> Score:
    low, high = drop_interval(counts, metric, INTERVAL_CONFIDENCE)
    return Score(
        metric=metric,
        split="selection",
        paired=counts,
        value=counts.variant_hits / counts.n,
        original=counts.original_hits / counts.n,
        drop_low=low,
        drop_high=high,
        confidence=INTERVAL_CONFIDENCE,
    )


def similarities(rows: Array, gallery: Array) -> Array:
    """Cosines (n, gallery)."""
    result: Array = _unit(rows) @ _unit(gallery).T
    return result


def _unit(rows: Array) -> Array:
    lengths = np.linalg.norm(rows.astype(np.float64), axis=1, keepdims=True)
    result: Array = rows / np.maximum(lengths, 1e-12)
    return result


def retrieval(original: Array, variant: Array, same: Array | None, depth: int = DEPTH) -> dict[str, float]:
    """How well a variant's similarities find what the original's find.

    Args:
        original: cosines (n, gallery) of the original's embeddings.
        variant: likewise.
        same: bool (n, gallery), whether text and neighbour have one label; None without labels.
        depth: k.

    Returns:
        `recall@k`: part of the original's k nearest among the variant's k nearest. `ndcg@k`: Jarvelin and Kekalainen,
        "Cumulated gain-based evaluation of IR techniques", ACM TOIS 2002, with the original's cosine, where it is
        above zero, as gain: the gain of the variant's k nearest in their order over that of the original's.
        `same-class@k`: part of the variant's k nearest that have the text's own label.
    """
    depth = min(depth, original.shape[1])
    first = np.argsort(-original, axis=1, kind="stable")[:, :depth]
    found = np.argsort(-variant, axis=1, kind="stable")[:, :depth]
    shared = [len(set(a) & set(b)) for a, b in zip(first.tolist(), found.tolist(), strict=True)]
    weights = 1 / np.log2(np.arange(2, depth + 2))
    gains = np.maximum(original, 0)
    ideal = (np.take_along_axis(gains, first, 1) * weights).sum(axis=1)
    got = (np.take_along_axis(gains, found, 1) * weights).sum(axis=1)
    known = ideal > 0
    result = {
        f"recall@{depth}": float(np.mean(shared)) / depth,
        f"ndcg@{depth}": float(np.mean(got[known] / ideal[known])) if known.any() else 1.0,
    }
    if same is not None:
        result[f"same-class@{depth}"] = float(np.mean(np.take_along_axis(same, found, 1)))
    return result


def retrieval_note(scorer: Scorer, name: str) -> str:
    """The retrieval figures of one artefact on the selection split, in words."""
    bench = scorer.bench
    original, variant = (
        similarities(embeddings(bench, one, "selection"), embeddings(bench, one, GALLERY))
        for one in (scorer.original, scorer.made[name])
    )
    mine, theirs = bench.split_labels("selection"), bench.split_labels(GALLERY)
    same = None if mine is None or theirs is None else np.equal.outer(np.array(mine), np.array(theirs))
    figures = retrieval(original, variant, same)
    return "against the original on the selection split: " + ", ".join(f"{k} {v:.4f}" for k, v in figures.items())


def all_traces(scorer: Scorer, rungs: Sequence[str]) -> tuple[Trace, ...]:
    """The original's and every candidate's on the selection split, and those of the rungs on certification."""
    kept = [scorer.trace(scorer.original, "selection", "original")]
    kept += [scorer.trace(one, "selection") for one in scorer.made.values()]
    if rungs:
        kept.append(scorer.trace(scorer.original, "certification", "original"))
        kept += [scorer.trace(scorer.made[name], "certification") for name in rungs]
    return tuple(kept)
