"""Learned rounding (Nagel et al., "Up or Down? Adaptive Rounding for Post-Training Quantization", ICML 2020,
arXiv 2004.10568) through the Gram matrix: the cost of a step does not depend on the number of calibration inputs.

Every weight gets a number V; the rectified sigmoid h(V) = clip(1.2 sigmoid(V) - 0.1, 0, 1) (their eq. 23) says how far
above its floor it lies. The error (w - s (floor + h)) G (w - s (floor + h))' plus the regulariser
lambda sum(1 - |2 h - 1|^beta) (eq. 24), beta falling, is brought down by Adam (Kingma and Ba, 2014, arXiv 1412.6980).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]

STRETCH_LOW, STRETCH_HIGH = -0.1, 1.1  # zeta and gamma of eq. 23
RATE = 0.1
BETA_FIRST, BETA_LAST = 20.0, 2.0
WARM_PART = 0.2
"""Part of the steps without the regulariser, as the paper's section 5 does."""
PULL = 0.3
"""Weight of the regulariser beside a row error that is scaled to a mean curvature of 1."""
ADAM_FIRST, ADAM_SECOND, ADAM_SMALL = 0.9, 0.999, 1e-8
INIT_NOISE = 1e-3  # breaks ties between equal rows; the paper starts from the float weight itself


def learn_rounding(
    weight_rows: Array, scales: Array, gram: Array, limit: int, steps: int = 300, seed: int = 0
) -> npt.NDArray[np.int8]:
    """Each weight rounded up or down, together with its neighbours.

    Args:
        weight_rows: (channels, k) wanted weights.
        scales: (channels,), above 0.
        gram: (k, k) positive semidefinite, or (channels, k, k).
        limit: largest magnitude, at most 127.
        steps: of Adam.
        seed: of the noise on the start.

    Returns:
        (channels, k) integers within +-limit, each one of the two beside its weight.
    """
    exact = weight_rows / scales[:, None]
    down = np.clip(np.floor(exact), -limit, limit - 1)
    part = exact - down  # beyond 0..1 where the range cuts the weight off; the others can make up for that
    curvature = np.diagonal(gram, axis1=-2, axis2=-1).mean(axis=-1)
    metric = (gram / np.maximum(curvature, 1e-300)[..., None, None]).astype(np.float32)
    inner = np.clip((part - STRETCH_LOW) / (STRETCH_HIGH - STRETCH_LOW), 1e-4, 1 - 1e-4)
    noise = np.random.default_rng(seed).normal(0, INIT_NOISE, part.shape)
    level = (np.log(inner / (1 - inner)) + noise).astype(np.float32)
    wanted = part.astype(np.float32)
    mean, square = np.zeros_like(level), np.zeros_like(level)
    for step in range(steps):
        slope = _slope(level, wanted, metric, step / max(1, steps - 1))
        mean += (1 - ADAM_FIRST) * (slope - mean)
        square += (1 - ADAM_SECOND) * (slope**2 - square)
        fair_mean = mean / (1 - ADAM_FIRST ** (step + 1))
        fair_square = square / (1 - ADAM_SECOND ** (step + 1))
        level -= RATE * fair_mean / (np.sqrt(fair_square) + ADAM_SMALL)
    return (down + (_height(level)[0] >= 0.5)).astype(np.int8)


def _height(level: Array) -> tuple[Array, Array]:
    """h(V) and its derivative."""
    sigmoid = 1 / (1 + np.exp(-level))
    raw = (STRETCH_HIGH - STRETCH_LOW) * sigmoid + STRETCH_LOW
    slope = (STRETCH_HIGH - STRETCH_LOW) * sigmoid * (1 - sigmoid)
    return np.clip(raw, 0, 1), np.where((raw > 0) & (raw < 1), slope, 0)


def _slope(level: Array, wanted: Array, metric: Array, progress: float) -> Array:
    """Gradient of error and regulariser with respect to V, in units of one integer step."""
    height, rise = _height(level)
    off = height - wanted
    pulled = off @ metric if metric.ndim == 2 else np.matmul(off[:, None, :], metric)[:, 0, :]
    slope = 2 * pulled
    if progress > WARM_PART:
        fall = (progress - WARM_PART) / (1 - WARM_PART)
        beta = BETA_LAST + 0.5 * (BETA_FIRST - BETA_LAST) * (1 + np.cos(fall * np.pi))
        away = 2 * height - 1
        slope = slope - PULL * 2 * beta * np.sign(away) * np.abs(away) ** (beta - 1)
    return np.asarray(slope * rise, dtype=np.float32)
