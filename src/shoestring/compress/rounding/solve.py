"""One layer: float weights and the moments of its inputs in, integers and scales out."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from shoestring.compress.qdq import TINY
from shoestring.compress.rounding.gptq import damped, gptq, gptq_single, nearest
from shoestring.compress.rounding.moments import Moments

Array = npt.NDArray[Any]
SCALE_FACTORS = (1.0, 0.95, 0.9, 0.85, 0.8, 0.75, 0.7)
"""Of the scale that just reaches a channel's largest weight; smaller ones clip it and round the others finer."""
DRIFT_DAMPING = 1.0
"""Of the mean input variance: how far weights may move to make up for what earlier layers did to the inputs. Without
damping a few hundred images are learnt by heart (ADR 8)."""


def solve(rows: Array, scales: Array, seen: Moments, limit: int, *, drift: bool = True) -> tuple[Array, Array]:
    """Integers and scales of one layer.

    Args:
        rows: (out, k), float64: the float weights, one row an output channel.
        scales: (out,), those that reach each row's largest weight.
        seen: moments of the inputs, with as many groups as the layer has.
        limit: largest magnitude of an integer.
        drift: move the targets against what earlier layers did to the inputs.

    Returns:
        integers (out, k) as float64, and scales (out,).
    """
    groups = len(seen.covariance)
    per_group = len(rows) // groups
    wanted = moved_targets(rows, seen) if drift else rows
    if per_group == 1:
        chosen = best_scales(wanted, scales, seen.covariance, limit)
        return gptq_single(wanted, chosen, seen.covariance, limit), chosen
    integers, chosen = np.empty_like(rows), scales.copy()
    for group in range(groups):
        part = slice(group * per_group, (group + 1) * per_group)
        covariance = seen.covariance[group]
        chosen[part] = best_scales(wanted[part], scales[part], covariance, limit)
        integers[part] = gptq(wanted[part], chosen[part], covariance, limit)
    return integers, chosen


def moved_targets(rows: Array, seen: Moments) -> Array:
    """Rows that on the quantized network's inputs come nearest to what the float rows give on the float inputs.

    Least squares with a ridge, W + W D (H + lambda I)^-1, D the drift and H the covariance: the asymmetric calibration
    of Li et al., "GPTAQ: Efficient Finetuning-Free Quantization for Asymmetric Calibration", ICML 2025, damped.
    """
    groups, k, _ = seen.covariance.shape
    ridge = damped(seen.covariance, DRIFT_DAMPING)
    step = np.swapaxes(np.linalg.solve(ridge, np.swapaxes(seen.drift, 1, 2)), 1, 2)
    split = rows.reshape(groups, -1, k)
    return np.asarray((split + split @ step).reshape(rows.shape))


def best_scales(rows: Array, scales: Array, covariance: Array, limit: int) -> Array:
    """For each row the factor of SCALE_FACTORS with the least error at its output, by rounding to nearest.

    Args:
        rows: (out, k).
        scales: (out,), to be shrunk.
        covariance: (k, k), or (out, k, k) where each row has inputs of its own.
        limit: largest magnitude of an integer.
    """
    chosen, lowest = scales.copy(), np.full(len(rows), np.inf)
    for factor in SCALE_FACTORS:
        tried = np.maximum(scales * factor, TINY)
        error = nearest(rows, tried, limit) * tried[:, None] - rows
        spread = error @ covariance if covariance.ndim == 2 else np.einsum("rk,rkl->rl", error, covariance)
        noise = np.einsum("rk,rk->r", spread, error)
        better = noise < lowest
        chosen[better], lowest[better] = tried[better], noise[better]
    return np.asarray(np.float32(chosen), dtype=np.float64)
