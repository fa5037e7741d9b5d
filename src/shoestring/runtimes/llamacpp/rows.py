"""From logits to what is kept of them: log-probabilities, their packed form, KL, likeliest token, loss."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

Floats = np.ndarray[Any, np.dtype[np.float32]]
Words = np.ndarray[Any, np.dtype[np.uint16]]
LEVELS = 65_535
DEPTH = 64.0
"""Nats below the likeliest token: a probability of 1e-28."""
ROWS_AT_ONCE = 16
"""Rows that are worked on together: 3 MB of a vocabulary of 49,152, near a second-level cache."""


class NotNumbersError(ArithmeticError):
    """NaN among the logits, or nothing but infinities: what no sound model answers."""


def log_softmax(logits: Floats) -> Floats:
    """log(exp(x) / sum(exp(x))) of each row, (rows, vocabulary), a new array.

    Raises:
        NotNumbersError: a row holds NaN, or nothing but infinities.
    """
    most = logits.max(axis=1, keepdims=True)
    if not np.isfinite(most).all():
        raise NotNumbersError("llama.cpp answered logits that are no numbers")
    shifted: Floats = logits - most
    shifted -= np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    return shifted


def pack(rows: Floats) -> tuple[Words, Floats]:
    """Log-probabilities in 16 bits: steps of even size from the largest of the row, which stays exact, to the smallest.

    Llama.cpp keeps them alike for `--kl-divergence` (tools/perplexity), but cuts what is below the largest by more than
    16. Here it is DEPTH, where nothing is left that counts: a token that is ruled out has minus infinity.

    Returns:
        (rows, vocabulary) of steps below the largest, and (rows, 2): largest, size of a step. The error of a value is
        at most half a step, about 0.0002.
    """
    most = rows.max(axis=1, keepdims=True)
    finite = np.maximum(rows, most - np.float32(DEPTH))
    step = np.maximum((most - finite.min(axis=1, keepdims=True)) / np.float32(LEVELS), np.float32(1e-12))
    return np.rint((most - finite) / step).astype(np.uint16), np.concatenate([most, step], axis=1)


def unpack(steps: Words, frame: Floats) -> Floats:
    """What `pack` was given, but for rounding, with probabilities that sum to one again."""
    return log_softmax(frame[:, :1] - frame[:, 1:] * steps.astype(np.float32))


def divergence(original: Floats, candidate: Floats) -> np.ndarray[Any, np.dtype[np.float64]]:
    """KL(original || candidate) of each row of log-probabilities, nats (Kullback and Leibler 1951, equation 2.4).

    It is no less than zero; what rounding leaves below is cut.
    """
    floor = np.float32(-1e4)  # instead of minus infinity, which times a probability of zero is no number
    gap: Floats = np.maximum(original, floor) - np.maximum(candidate, floor)
    gap *= np.exp(original)
    sums: np.ndarray[Any, np.dtype[np.float64]] = gap.sum(axis=1, dtype=np.float64)
    floored: np.ndarray[Any, np.dtype[np.float64]] = np.maximum(sums, 0.0)
    return floored


@dataclass
class Sums:
    """What is known of one run so far.

    Args:
        tokens: scored.
        kl: sum over them, nats.
        same: those whose likeliest next token is the original's.
        loss: sum of the negative log-likelihood of the token that came next, nats.
    """

    tokens: int = 0
    kl: float = 0.0
    same: int = 0
    loss: float = 0.0

    def add_loss(self, rows: Floats, following: np.ndarray[Any, np.dtype[np.int64]]) -> None:
        """Count rows of log-probabilities, and the tokens that came next."""
        self.tokens += len(rows)
        self.loss -= float(rows[np.arange(len(rows)), following].sum(dtype=np.float64))

    def add_divergence(self, rows: Floats, original: Floats, top: np.ndarray[Any, np.dtype[np.int64]]) -> None:
        """Count rows against the original's, whose likeliest tokens are `top`."""
        self.kl += float(divergence(original, rows).sum())
        self.same += int((rows.argmax(axis=1) == top).sum())


__all__ = [
    "LEVELS",
    "ROWS_AT_ONCE",
    "Floats",
    "NotNumbersError",
    "Sums",
    "Words",
    "divergence",
    "log_softmax",
    "pack",
    "unpack",
]
