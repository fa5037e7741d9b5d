"""Weights rounded one by one, each error spread over the weights that are still free.

Frantar, Ashkboos, Hoefler and Alistarh, "GPTQ: Accurate Post-Training Quantization for Generative Pre-trained
Transformers", ICLR 2023 (after Hassibi and Stork, "Optimal Brain Surgeon", 1993): with H the covariance of the inputs
and U the upper Cholesky factor of its inverse, the error of weight j divided by U[j, j] is taken from weight l > j
with the factor U[j, l]. Weights of the largest input variance go first, while there is most freedom.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
DAMPING = 0.1
"""Of the mean input variance, added to every input's own: a covariance of few samples is not trusted to the last digit.
The paper's 0.01 was a little worse on convolutions (ADR 8)."""
BLOCK = 64  # columns whose errors are passed on to the rest in one product
TINY = 1e-12


def nearest(weight: Array, scales: Array, limit: int) -> Array:
    """Each weight's nearest integer: (rows, k), float64, within +-limit."""
    return np.clip(np.rint(weight / scales[:, None]), -limit, limit)


def gptq(weight: Array, scales: Array, covariance: Array, limit: int) -> Array:
    """Integers for rows that share their inputs.

    Args:
        weight: (rows, k), float64.
        scales: (rows,), above zero.
        covariance: (k, k) of the inputs, centred.
        limit: largest magnitude of an integer.

    Returns:
        (rows, k), float64 holding integers.
    """
    order = np.argsort(-np.diag(covariance), kind="stable")
    upper = _factor(covariance[np.newaxis, order][:, :, order])[0]
    left = weight[:, order].astype(np.float64)
    found = np.zeros_like(left)
    for start in range(0, left.shape[1], BLOCK):
        stop = min(start + BLOCK, left.shape[1])
        errors = np.zeros((len(left), stop - start))
        for j in range(start, stop):
            found[:, j] = np.clip(np.rint(left[:, j] / scales), -limit, limit)
            errors[:, j - start] = (left[:, j] - found[:, j] * scales) / upper[j, j]
            left[:, j + 1 : stop] -= np.outer(errors[:, j - start], upper[j, j + 1 : stop])
        left[:, stop:] -= errors @ upper[start:stop, stop:]
    result = np.empty_like(found)
    result[:, order] = found
    return result


def gptq_single(weight: Array, scales: Array, covariance: Array, limit: int) -> Array:
    """Integers for rows that each have inputs of their own, as in a depthwise convolution.

    Args:
        weight: (rows, k), float64.
        scales: (rows,), above zero.
        covariance: (rows, k, k).
        limit: largest magnitude of an integer.

    Returns:
        (rows, k), float64 holding integers.
    """
    order = np.argsort(-np.einsum("rkk->rk", covariance), axis=1, kind="stable")
    turned = np.take_along_axis(np.take_along_axis(covariance, order[:, :, None], 1), order[:, None, :], 2)
    upper = _factor(turned)
    left = np.take_along_axis(weight.astype(np.float64), order, 1)
    found = np.zeros_like(left)
    for j in range(left.shape[1]):
        found[:, j] = np.clip(np.rint(left[:, j] / scales), -limit, limit)
        error = (left[:, j] - found[:, j] * scales) / upper[:, j, j]
        left[:, j + 1 :] -= error[:, None] * upper[:, j, j + 1 :]
    result = np.empty_like(found)
    np.put_along_axis(result, order, found, 1)
    return result


def damped(covariance: Array, damping: float) -> Array:
    """(n, k, k) with `damping` times each matrix's mean variance added on its diagonal."""
    result = covariance.astype(np.float64).copy()
    diagonal = np.einsum("nkk->nk", result)
    diagonal += damping * diagonal.mean(axis=1, keepdims=True) + TINY
    return result


def _factor(covariance: Array) -> Array:
    """Upper Cholesky factors U of the inverses, inverse = U^T U: (n, k, k)."""
    lower = np.linalg.cholesky(np.linalg.inv(damped(covariance, DAMPING)))
    return np.swapaxes(lower, 1, 2)
