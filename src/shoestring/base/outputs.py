"""Arithmetic on outputs: softmax, and how far one set of outputs lies from another."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from shoestring.base.errors import EngineError

Float64 = npt.NDArray[np.float64]

# Outputs that agree to float32's precision lie near 150 dB. The cap keeps equal outputs a finite, storable number.
MAX_SQNR_DB = 200.0


def softmax(logits: npt.NDArray[Any]) -> Float64:
    """Probabilities of each row of (n, classes), in float64. Raises EngineError for another shape or NaN."""
    result: Float64 = np.exp(log_softmax(logits))
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
    reference, other = log_softmax(reference_logits), log_softmax(logits)
    return max(0.0, float(np.mean(np.sum(np.exp(reference) * (reference - other), axis=1))))


def divergence(references: Sequence[npt.NDArray[Any]], values: Sequence[npt.NDArray[Any]]) -> float:
    """How far a model's outputs lie from the original's: of a classifier `mean_kl`, else the mean over outputs of
    sum (reference - value)² / sum reference², so that every head of a detector counts alike.

    Args:
        references: every output of the original; (n, classes) of a classifier, which has no other.
        values: likewise.

    Raises:
        EngineError: as `mean_kl` and `sqnr_db`.
    """
    if len(references) == 1 and references[0].ndim == 2:
        return mean_kl(references[0], values[0])
    return relative_error(references, values)


def relative_error(references: Sequence[npt.NDArray[Any]], values: Sequence[npt.NDArray[Any]]) -> float:
    """Mean over outputs of sum (reference - value)² / sum reference².

    Args:
        references: every output of the original, or every piece of it that has a scale of its own.
        values: likewise.

    Raises:
        EngineError: as `sqnr_db`.
    """
    pairs = zip(references, values, strict=True)
    return float(np.mean([10 ** (-sqnr_db(one, other) / 10) for one, other in pairs]))


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


def checked_rows(logits: npt.NDArray[Any]) -> Float64:
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


def log_softmax(logits: npt.NDArray[Any]) -> Float64:
    """Shifted by the row's maximum, so that nothing overflows (Blanchard et al., IMA J. Numer. Anal. 2021)."""
    values = checked_rows(logits)
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
