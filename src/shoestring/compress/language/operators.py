"""The operators of the family and their derivatives, in float32; the last axis is that of features.

RMSNorm: Zhang and Sennrich, arXiv 1910.07467. Rotary embedding: Su et al., arXiv 2104.09864. SwiGLU: Shazeer, arXiv
2002.05202. Grouped queries: Ainslie et al., arXiv 2305.13245.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

Float = npt.NDArray[np.float32]
Array = npt.NDArray[Any]


def norm(x: Float, weight: Float, epsilon: float) -> tuple[Float, Float]:
    """RMSNorm: x / rms(x) * weight, and 1 / rms(x) with a last axis of 1."""
    inverse = 1 / np.sqrt(np.mean(np.square(x), axis=-1, keepdims=True) + np.float32(epsilon))
    return np.asarray(x * inverse * weight, dtype=np.float32), np.asarray(inverse, dtype=np.float32)


def norm_back(x: Float, weight: Float, inverse: Float, gradient: Float) -> Float:
    """The gradient at the norm's input."""
    scaled = gradient * weight
    along = np.mean(scaled * x, axis=-1, keepdims=True)
    return np.asarray(inverse * (scaled - x * (along * np.square(inverse))), dtype=np.float32)


def turns(positions: int, width: int, base: float, factors: Float | None) -> tuple[Float, Float]:
    """Cosines and sines of the rotary embedding.

    Args:
        positions: from 0 on.
        width: numbers of a head that turn; even.
        base: of the frequencies.
        factors: (width / 2,) that frequencies are divided by (`rope_freqs.weight`), or None.

    Returns:
        Two arrays (positions, width / 2).
    """
    frequencies = base ** (-np.arange(0, width, 2, dtype=np.float64) / width)
    if factors is not None:
        frequencies = frequencies / factors.astype(np.float64)
    angles = np.arange(positions)[:, None] * frequencies
    return np.cos(angles).astype(np.float32), np.sin(angles).astype(np.float32)


def turn(x: Float, cosines: Float, sines: Float, halves: bool) -> Float:
    """Turn (sequences, heads, positions, width); negate the sines to turn back, which is also the derivative."""
    half = cosines.shape[-1]
    out = x.copy()
    if halves:
        first, second = slice(0, half), slice(half, 2 * half)
    else:
        first, second = slice(0, 2 * half, 2), slice(1, 2 * half, 2)
    a, b = x[..., first], x[..., second]
    out[..., first] = a * cosines - b * sines
    out[..., second] = a * sines + b * cosines
    return out


def attend(q: Float, k: Float, v: Float) -> tuple[Float, Float]:
    """Causal attention; queries (n, heads, t, d), keys and values (n, kv_heads, t, d).

    Returns:
        What is read (n, heads, t, d) and the attention (n, heads, t, t).
    """
    share, positions = q.shape[1] // k.shape[1], q.shape[2]
    scores = np.matmul(q, np.repeat(k, share, axis=1).swapaxes(-1, -2)) * np.float32(q.shape[-1] ** -0.5)
    scores += np.triu(np.full((positions, positions), -np.inf, dtype=np.float32), 1)
    scores -= scores.max(axis=-1, keepdims=True)
    np.exp(scores, out=scores)
    scores /= scores.sum(axis=-1, keepdims=True)
    return np.asarray(np.matmul(scores, np.repeat(v, share, axis=1)), dtype=np.float32), scores


def attend_back(q: Float, k: Float, v: Float, attention: Float, gradient: Float) -> tuple[Float, Float, Float]:
    """Gradients at queries, keys and values."""
    share = q.shape[1] // k.shape[1]
    wide_k, wide_v = np.repeat(k, share, axis=1), np.repeat(v, share, axis=1)
    towards = np.matmul(gradient, wide_v.swapaxes(-1, -2))
    towards -= np.sum(towards * attention, axis=-1, keepdims=True)
    towards *= attention * np.float32(q.shape[-1] ** -0.5)
    dq = np.matmul(towards, wide_k)
    dk = np.matmul(towards.swapaxes(-1, -2), q)
    dv = np.matmul(attention.swapaxes(-1, -2), gradient)
    return dq, _shared(dk, share), _shared(dv, share)


def _shared(gradient: Float, share: int) -> Float:
    n, heads, t, d = gradient.shape
    return np.asarray(gradient.reshape(n, heads // share, share, t, d).sum(axis=2))


def gate(z: Float) -> tuple[Float, Float]:
    """SiLU and its derivative."""
    sigmoid = 1 / (1 + np.exp(-np.clip(z, -80, 80)))
    silu = np.asarray(z * sigmoid, dtype=np.float32)
    return silu, np.asarray(sigmoid * (1 + z - silu), dtype=np.float32)
