"""Second moments of what layers read: all that the squared error of a layer's output needs to know about its inputs.

For weights w and rounded weights q the error over the inputs x is sum((w x - q x)²) = (w - q) G (w - q)' with the Gram
matrix G = sum(x x'), so that a search over q never needs the inputs again. Here G is centred, because the bias takes
up what the mean of x makes of the error (Nagel et al., "Data-Free Quantization Through Weight Equalization and Bias
Correction", ICCV 2019, section 4.2).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from shoestring.base.errors import ModelError
from shoestring.compress.graph import attribute
from shoestring.compress.layers import channel_axis

if TYPE_CHECKING:
    from collections.abc import Sequence

    import onnx

Array = npt.NDArray[Any]
Float64 = npt.NDArray[np.float64]

SAMPLES_PER_INPUT = 12
"""Columns looked at for every number that one output reads, within the two limits below: neighbouring positions of a
map say nearly the same, and a matrix of rank k needs some multiple of k."""
MIN_SAMPLES, MAX_SAMPLES = 1_536, 12_288


@dataclass(frozen=True)
class Moments:
    """Centred second moments of a layer's inputs, and of its wanted outputs with them.

    Args:
        gram: (groups, k, k) mean of x x' for the inputs of one output.
        cross: (channels, k) mean of t x' for the wanted output t of each channel.
        input_mean: (groups, k).
        target_mean: (channels,).
    """

    gram: Float64
    cross: Float64
    input_mean: Float64
    target_mean: Float64


def weight_rows(node: onnx.NodeProto, weight: Array) -> Float64:
    """The weight as (output channels, k), k in the order of `columns`."""
    if channel_axis(node, weight.ndim) == 0:
        return np.asarray(weight.reshape(len(weight), -1), dtype=np.float64)
    if weight.ndim != 2:
        raise ModelError(f"the weight of {node.name!r} has {weight.ndim} dimensions; only 2 are handled here")
    return np.asarray(weight.T, dtype=np.float64)


def from_rows(node: onnx.NodeProto, rows: Array, shape: tuple[int, ...]) -> Array:
    """`weight_rows` undone."""
    return rows.reshape(shape) if channel_axis(node, len(shape)) == 0 else np.ascontiguousarray(rows.T).reshape(shape)


def groups_of(node: onnx.NodeProto) -> int:
    """Groups of a Conv; 1 of any other operator."""
    return int(attribute(node, "group", 1)) if node.op_type == "Conv" else 1


def moments(
    node: onnx.NodeProto,
    shape: tuple[int, ...],
    inputs: Sequence[Array],
    targets: Sequence[Array],
    seed: int,
    max_samples: int = MAX_SAMPLES,
) -> Moments:
    """Moments of a Conv, Gemm or MatMul.

    Args:
        node: the layer.
        shape: of its weight.
        inputs: what it reads, one array a batch.
        targets: what it should give, likewise; the shape of its output.
        seed: of the choice of positions.
        max_samples: most columns looked at.
    """
    groups = groups_of(node)
    if node.op_type == "Conv":
        k = int(np.prod(shape[1:]))
        wanted = int(np.clip(SAMPLES_PER_INPUT * k, MIN_SAMPLES, max_samples))
        x, t = _conv_columns(node, shape, inputs, targets, wanted, seed)
    else:
        x, t = _product_columns(node, inputs, targets, max_samples, seed)
        x = x[None]
    input_mean, target_mean = x.mean(axis=1), t.mean(axis=0)
    x, t = x - input_mean[:, None], t - target_mean
    count, channels = len(t), t.shape[1]
    gram = np.matmul(x.transpose(0, 2, 1), x).astype(np.float64) / count
    by_group = t.reshape(count, groups, channels // groups).transpose(1, 2, 0)
    cross = np.matmul(by_group, x).astype(np.float64).reshape(channels, -1) / count
    return Moments(gram, cross, input_mean.astype(np.float64), target_mean.astype(np.float64))


def mean_squares(inputs: Sequence[Array]) -> Float64:
    """(k,) mean square of every column of the last axis."""
    rows = np.concatenate([array.reshape(-1, array.shape[-1]) for array in inputs])
    return np.asarray(np.mean(np.square(rows), axis=0, dtype=np.float64))


def _product_columns(
    node: onnx.NodeProto, inputs: Sequence[Array], targets: Sequence[Array], count: int, seed: int
) -> tuple[Array, Array]:
    if attribute(node, "transA", 0):
        raise ModelError(f"{node.name!r} reads its input transposed (transA), which is not handled here")
    x = np.concatenate([array.reshape(-1, array.shape[-1]) for array in inputs])
    t = np.concatenate([array.reshape(-1, array.shape[-1]) for array in targets])
    return _sampled(x, count, seed), _sampled(t, count, seed)


def _sampled(rows: Array, count: int, seed: int) -> Array:
    if len(rows) <= count:
        return rows
    return np.asarray(rows[np.random.default_rng(seed).choice(len(rows), count, replace=False)])


def _conv_columns(
    node: onnx.NodeProto,
    shape: tuple[int, ...],
    inputs: Sequence[Array],
    targets: Sequence[Array],
    wanted: int,
    seed: int,
) -> tuple[Array, Array]:
    """x (groups, samples, k) and t (samples, channels) at the same positions of a two-dimensional convolution."""
    if len(shape) != 4 or attribute(node, "auto_pad", b"NOTSET") not in (b"NOTSET", b"VALID"):
        raise ModelError(f"{node.name!r}: only two-dimensional convolutions with explicit pads are handled here")
    height, width = shape[2:]
    top, left, bottom, right = attribute(node, "pads", [0, 0, 0, 0])
    strides, steps = attribute(node, "strides", [1, 1]), attribute(node, "dilations", [1, 1])
    groups, rng = groups_of(node), np.random.default_rng(seed)
    examples = sum(len(array) for array in inputs)
    xs, ts = [], []
    for array, target in zip(inputs, targets, strict=True):
        n, _, out_h, out_w = target.shape
        share = min(n * out_h * out_w, -(-wanted * n // examples))
        image, row, column = np.unravel_index(rng.choice(n * out_h * out_w, share, replace=False), (n, out_h, out_w))
        padded = np.pad(array, ((0, 0), (0, 0), (top, bottom), (left, right)))
        rows = (row * strides[0])[:, None] + np.arange(height) * steps[0]
        columns = (column * strides[1])[:, None] + np.arange(width) * steps[1]
        taken = padded[image[:, None, None], :, rows[:, :, None], columns[:, None, :]]  # (s, h, w, c)
        patches = taken.transpose(0, 3, 1, 2).reshape(share, groups, -1)
        xs.append(patches.transpose(1, 0, 2))
        ts.append(target[image, :, row, column])
    return np.concatenate(xs, axis=1), np.concatenate(ts)
