"""The head: a vocabulary is too wide to keep all its logits, so it is walked in parts, twice.

Tokens are drawn from the model's own distribution with the Gumbel-max trick (Gumbel 1954; Maddison et al., arXiv
1411.0030), which needs one pass and no sum.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from shoestring.compress.language.operators import Float

Ints = npt.NDArray[np.int64]
ROWS_AT_ONCE = 4_096  # of the vocabulary: 8,192 tokens of these in float32 take 134 MB


@dataclass(frozen=True)
class Drawn:
    """Tokens drawn from the model at every position.

    Args:
        tokens: (blocks, positions).
        log_sum: (blocks, positions) log of the sum of exp of all logits.
    """

    tokens: Ints
    log_sum: Float


def draw(weight: Float, x: Float, seed: int) -> Drawn:
    """Draw one token at every position.

    Args:
        weight: (vocabulary, width).
        x: (blocks, positions, width) what the head reads.
        seed: of the draw.
    """
    random = np.random.default_rng(seed)
    flat = x.reshape(-1, x.shape[-1])
    best = np.full(len(flat), -np.inf, dtype=np.float32)
    top, total = best.copy(), np.zeros(len(flat), dtype=np.float64)
    token = np.zeros(len(flat), dtype=np.int64)
    for start in range(0, len(weight), ROWS_AT_ONCE):
        logits = flat @ weight[start : start + ROWS_AT_ONCE].T
        highest = np.maximum(top, logits.max(axis=1))
        total = total * np.exp(top - highest) + np.exp(logits - highest[:, None]).sum(axis=1, dtype=np.float64)
        top = highest
        waits = random.standard_exponential(logits.shape, dtype=np.float32)
        logits -= np.log(np.maximum(waits, np.finfo(np.float32).tiny))  # -log of one is a Gumbel number
        place = logits.argmax(axis=1)
        score = logits[np.arange(len(flat)), place]
        token = np.where(score > best, place + start, token)
        best = np.maximum(best, score)
    log_sum = (top + np.log(total)).astype(np.float32)
    return Drawn(token.reshape(x.shape[:-1]), log_sum.reshape(x.shape[:-1]))


def walk_back(weight: Float, x: Float, drawn: Drawn, visit: Callable[[int, Float], Any]) -> Float:
    """The gradient of the sum of log p(drawn) at `x`.

    Args:
        weight: (vocabulary, width).
        x: (blocks, positions, width).
        drawn: of `draw`.
        visit: called with the first row of each part of the vocabulary, and the gradient at its logits (blocks,
            positions, rows); the array is not used afterwards.
    """
    flat = x.reshape(-1, x.shape[-1])
    wanted, log_sum = drawn.tokens.reshape(-1), drawn.log_sum.reshape(-1, 1)
    out = np.zeros_like(flat)
    for start in range(0, len(weight), ROWS_AT_ONCE):
        part = weight[start : start + ROWS_AT_ONCE]
        gradient = -np.exp(flat @ part.T - log_sum)
        here = np.flatnonzero((wanted >= start) & (wanted < start + len(part)))
        gradient[here, wanted[here] - start] += 1
        out += gradient @ part
        visit(start, gradient.reshape(*x.shape[:-1], -1))
    return out.reshape(x.shape)
