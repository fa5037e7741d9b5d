"""What a variant's outputs are worth: classes in order, paired counts, distances between outputs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from shoestring.base.errors import DataError, EngineError
from shoestring.domain.score import Paired

if TYPE_CHECKING:
    from collections.abc import Sequence

Float64 = npt.NDArray[np.float64]

# Outputs that agree to float32's precision lie near 150 dB. The cap keeps equal outputs a finite, storable number.
MAX_SQNR_DB = 200.0


def top_classes(logits: npt.NDArray[Any], k: int = 5) -> tuple[tuple[int, ...], ...]:
    """The best `k` classes of each row, best first; of equal values the lower index comes first.

    Args:
        logits: (n, classes), logits or probabilities.
        k: at least 1; fewer classes give all of them.

    Raises:
        EngineError: another shape, or NaN.
        DataError: k below 1.
    """
    if k < 1:
        raise DataError(f"the best {k} classes make no sense", hint="use at least 1")
    values = _rows(logits)
    order = np.argsort(-values, axis=1, kind="stable")[:, :k]
    return tuple(tuple(row) for row in order.tolist())


def paired(
    original: Sequence[tuple[int, ...]],
    variant: Sequence[tuple[int, ...]],
    labels: Sequence[int] | None,
    k: int = 1,
) -> Paired:
    """Count hits of original and variant on the same inputs.

    Args:
        original: best classes of each input, best first, at least k of them (or all the model has).
        variant: likewise, in the same order of inputs.
        labels: the right class of each input; None counts agreement with the original's first class.
        k: a hit has the label among the first k. Agreement is of the first class only.

    Raises:
        DataError: different lengths, no input at all, k below 1, or k above 1 without labels.
    """
    n = len(original)
    if len(variant) != n or (labels is not None and len(labels) != n) or n == 0:
        counts = f"{n} originals, {len(variant)} variants" + ("" if labels is None else f", {len(labels)} labels")
        raise DataError(f"paired outcomes need equal numbers of inputs above zero, got {counts}")
    if k < 1 or (labels is None and k != 1):
        raise DataError(f"top-{k} makes no sense {'without' if labels is None else 'with'} labels")
    if labels is None:
        agreed = sum(one[0] == other[0] for one, other in zip(original, variant, strict=True))
        return Paired(n=n, original_hits=n, variant_hits=agreed, wins=0, losses=n - agreed)
    before = [label in top[:k] for top, label in zip(original, labels, strict=True)]
    after = [label in top[:k] for top, label in zip(variant, labels, strict=True)]
    wins = sum(hit and not was for was, hit in zip(before, after, strict=True))
    losses = sum(was and not hit for was, hit in zip(before, after, strict=True))
    return Paired(n=n, original_hits=sum(before), variant_hits=sum(after), wins=wins, losses=losses)


def softmax(logits: npt.NDArray[Any]) -> Float64:
    """Probabilities of each row of (n, classes), in float64. Raises EngineError for another shape or NaN."""
    result: Float64 = np.exp(_log_softmax(logits))
    return result


def mean_kl(reference_logits: npt.NDArray[Any], logits: npt.NDArray[Any]) -> float:
    """Mean over rows of KL(softmax(reference) || softmax(logits)), in nats, at least 0.

    Kullback and Leibler, "On Information and Sufficiency", 1951.

    Args:
        reference_logits: (n, classes).
        logits: likewise.

    Raises:
        EngineError: shapes differ, are not 2-dimensional or empty, or hold NaN or infinity.
    """
    _same_finite(reference_logits, logits)
    reference, other = _log_softmax(reference_logits), _log_softmax(logits)
    return max(0.0, float(np.mean(np.sum(np.exp(reference) * (reference - other), axis=1))))


def sqnr_db(reference: npt.NDArray[Any], values: npt.NDArray[Any]) -> float:
    """10 log10(sum reference² / sum (reference - values)²), clipped to +-MAX_SQNR_DB.

    Args:
        reference: any shape.
        values: the same shape.

    Raises:
        EngineError: shapes differ or are empty, or hold NaN or infinity.
    """
    _same_finite(reference, values)
    exact = np.asarray(reference, np.float64)
    signal = float(np.sum(exact**2))
    noise = float(np.sum((exact - np.asarray(values, np.float64)) ** 2))
    if noise == 0:
        return MAX_SQNR_DB
    if signal == 0:
        return -MAX_SQNR_DB
    return float(np.clip(10 * (np.log10(signal) - np.log10(noise)), -MAX_SQNR_DB, MAX_SQNR_DB))


def _rows(logits: npt.NDArray[Any]) -> Float64:
    """float64 (n, classes) without NaN."""
    if logits.ndim != 2 or logits.shape[1] == 0:
        raise EngineError(
            f"the model's output has shape {logits.shape}, not (images, classes)",
            hint="name the output that holds one value for each class",
        )
    values = logits.astype(np.float64)
    broken = int(np.isnan(values).any(axis=1).sum())
    if broken:
        raise EngineError(
            f"the model's output is not a number (NaN) for {broken} of {len(values)} images",
            hint="check the pre-processing; a model in float16 may overflow",
        )
    return values


def _log_softmax(logits: npt.NDArray[Any]) -> Float64:
    """Shifted by the row's maximum, so that nothing overflows (Blanchard et al., IMA J. Numer. Anal. 2021)."""
    values = _rows(logits)
    if not np.isfinite(values).all():
        raise EngineError("the model's output holds infinity", hint="a model in float16 may overflow")
    shifted = values - values.max(axis=1, keepdims=True)
    result: Float64 = shifted - np.log(np.sum(np.exp(shifted), axis=1, keepdims=True))
    return result


def _same_finite(reference: npt.NDArray[Any], values: npt.NDArray[Any]) -> None:
    if reference.shape != values.shape or reference.size == 0:
        raise EngineError(f"outputs of shapes {reference.shape} and {values.shape} cannot be compared")
    if not (np.isfinite(reference).all() and np.isfinite(values).all()):
        raise EngineError("outputs that hold NaN or infinity cannot be compared")
