"""Arithmetic of 8-bit quantization: scales, zero points, integer weights and biases.

Affine quantization after Jacob et al., "Quantization and Training of Neural Networks for Efficient
Integer-Arithmetic-Only Inference", CVPR 2018: real = scale * (integer - zero_point).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from shoestring.compress.observe import Range

Array = npt.NDArray[Any]
TINY = 1e-8  # smallest scale of a tensor that is always zero
INT32_LIMIT = 2**31 - 1
BIAS_LIMIT = 2**30  # a quarter of int32: leaves the accumulator room for the products


@dataclass(frozen=True)
class Affine:
    """Scale and zero point of an activation."""

    scale: float
    zero_point: int


def affine(span: Range, limits: tuple[int, int]) -> Affine:
    """Asymmetric parameters that cover `span` and represent zero exactly.

    Args:
        span: values seen.
        limits: smallest and largest integer of the type.
    """
    low, high = min(span.low, 0.0), max(span.high, 0.0)
    scale = float(np.float32(max((high - low) / (limits[1] - limits[0]), TINY)))
    zero_point = int(np.clip(np.rint(limits[0] - low / scale), *limits))
    return Affine(scale, zero_point)


def channel_scales(weight: Array, axis: int, limit: int, bias: Array, input_scale: float) -> Array:
    """One symmetric scale for each output channel, float32.

    A channel of tiny weights with an ordinary bias would need a bias beyond int32, so its scale is floored.

    Args:
        weight: float weights.
        axis: of the output channels.
        limit: largest integer magnitude.
        bias: float, one a channel.
        input_scale: of the layer's input.
    """
    others = tuple(i for i in range(weight.ndim) if i != axis)
    by_range = np.abs(weight).max(axis=others) / limit
    by_bias = np.abs(bias) / (input_scale * BIAS_LIMIT)
    return np.asarray(np.maximum(np.maximum(by_range, by_bias), TINY), dtype=np.float32)


def quantize_weight(weight: Array, scales: Array, axis: int, limit: int) -> Array:
    """Nearest int8 weights, clipped to +-limit."""
    shape = [1] * weight.ndim
    shape[axis] = -1
    return np.clip(np.rint(weight / scales.reshape(shape)), -limit, limit).astype(np.int8)


def quantize_bias(bias: Array, scales: Array, input_scale: float) -> Array:
    """Biases in the accumulator's scale, int32."""
    integers = np.rint(bias.astype(np.float64) / (scales.astype(np.float64) * input_scale))
    return np.clip(integers, -INT32_LIMIT, INT32_LIMIT).astype(np.int32)
