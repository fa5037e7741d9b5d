"""Values moved to other places: splits, shuffles, reshapes."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from shoestring.compress.graph import attribute, make_node
from shoestring.legalise.rewrites.change import Change, instead
from shoestring.legalise.site import producer

if TYPE_CHECKING:
    import onnx

    from shoestring.legalise.site import Site

PIXEL_SHUFFLES = {(0, 1, 4, 2, 5, 3): "CRD", (0, 3, 4, 1, 5, 2): "DCR"}
"""Transposition between the two reshapes -> mode of DepthToSpace, as ONNX spells both out (Operators.md)."""


def split_as_slices(site: Site) -> Change | None:
    """One Slice for each part."""
    x, rank = str(site.node.input[0]), site.rank(str(site.node.input[0]))
    if rank is None:
        return None
    axis = site.attribute("axis", 0) % rank
    on = site.constant("axis", [axis], "int64")
    nodes, start = [], 0
    for i, name in enumerate(site.node.output):
        shape = site.shape(name)
        if shape is None:
            return None
        ends = [
            site.constant(f"{word}{i}", [at], "int64") for word, at in (("from", start), ("to", start + shape[axis]))
        ]
        nodes.append(make_node("Slice", [x, *ends, on], [name], f"{site.node.name or site.output}/{i}"))
        start += shape[axis]
    return instead(site, *nodes)


def pixel_shuffle_as_depth_to_space(site: Site) -> Change | None:
    """Reshape to six dimensions, Transpose, Reshape back: DepthToSpace."""
    found = _between_reshapes(site)
    if found is None:
        return None
    first, moved, inner = found
    mode = PIXEL_SHUFFLES.get(tuple(attribute(moved, "perm", [])))
    before, after = site.shape(first.input[0]), site.shape(site.output)
    if mode is None or before is None or after is None or len(before) != 4 or len(inner) != 6 or len(after) != 4:
        return None
    block = inner[2]
    channels = before[1] // (block * block)
    wanted = (channels, block, block) if mode == "CRD" else (block, block, channels)
    if inner[0] != before[0] or inner[1:4] != wanted or inner[4:] != before[2:]:
        return None
    if after != (before[0], channels, before[2] * block, before[3] * block):
        return None
    last = site.step("DepthToSpace", [first.input[0]], blocksize=block, mode=mode)
    return Change((last,), (first, moved, site.node))


def shuffle_as_conv(site: Site) -> Change | None:
    """Channels in another order: a convolution of 1x1 with a single 1 in each row."""
    found = _channel_shuffle(site)
    if found is None:
        return None
    first, moved, inner = found
    groups, each = inner[1:3]
    order = np.arange(groups * each).reshape(groups, each).T.ravel()
    kernel = site.constant("order", np.eye(groups * each)[order][:, :, None, None])
    return Change((site.step("Conv", [first.input[0], kernel], kernel_shape=[1, 1]),), (first, moved, site.node))


def shuffle_in_four(site: Site) -> Change | None:
    """The same shuffle over four dimensions, rows and columns as one."""
    found = _channel_shuffle(site)
    if found is None:
        return None
    first, moved, inner = found
    flat = site.constant("flat", [0, *inner[1:3], inner[3] * inner[4]], "int64")
    whole = site.constant("whole", [0, inner[1] * inner[2], *inner[3:]], "int64")
    parted = site.step("Reshape", [first.input[0], flat], "parted")
    turned = site.step("Transpose", [parted.output[0]], "turned", perm=[0, 2, 1, 3])
    return Change((parted, turned, site.step("Reshape", [turned.output[0], whole])), (first, moved, site.node))


def depth_to_space_as_transposed_conv(site: Site) -> Change | None:
    """A transposed convolution that puts each channel at its place in the block."""
    shape, block = site.shape(str(site.node.input[0])), int(site.attribute("blocksize"))
    if shape is None or len(shape) != 4:
        return None
    deep = shape[1]
    channels = deep // (block * block)
    kernel = np.zeros((deep, channels, block, block), np.float32)
    for source in range(deep):
        if site.attribute("mode", "DCR") == "CRD":
            channel, (row, column) = source // (block * block), divmod(source % (block * block), block)
        else:
            (row, column), channel = divmod(source // channels, block), source % channels
        kernel[source, channel, row, column] = 1
    weight, sides = site.constant("places", kernel), [block, block]
    return instead(site, site.step("ConvTranspose", [site.node.input[0], weight], strides=sides, kernel_shape=sides))


def flatten_as_reshape(site: Site) -> Change | None:
    """Everything behind the batch in one dimension."""
    if site.attribute("axis", 1) != 1:
        return None
    return instead(site, site.step("Reshape", [site.node.input[0], site.constant("shape", [0, -1], "int64")]))


def squeeze_as_reshape(site: Site) -> Change | None:
    """The shape without the dimensions of 1 behind the batch."""
    axes, shape = site.integers(1, "axes"), site.shape(site.output)
    rank = site.rank(str(site.node.input[0]))
    if not axes or shape is None or rank is None or 0 in [axis % rank for axis in axes]:
        return None
    return instead(site, site.step("Reshape", [site.node.input[0], site.constant("shape", [0, *shape[1:]], "int64")]))


def softmax_as_vector(site: Site) -> Change | None:
    """Over the one axis that is longer than 1, as a vector."""
    x, shape = str(site.node.input[0]), site.shape(str(site.node.input[0]))
    if shape is None or len(shape) < 2:
        return None
    axis = site.attribute("axis", -1) % len(shape)
    if axis == len(shape) - 1 or math.prod(shape) != shape[axis]:
        return None
    flat = site.step("Reshape", [x, site.constant("flat", [1, shape[axis]], "int64")], "vector")
    soft = site.step("Softmax", [flat.output[0]], "soft", axis=1)
    return instead(site, flat, soft, site.step("Reshape", [soft.output[0], site.constant("shape", shape, "int64")]))


def pool_as_mean(site: Site) -> Change | None:
    """GlobalAveragePool as the mean over its axes."""
    return _reduced(site, "ReduceMean")


def pool_as_max(site: Site) -> Change | None:
    """GlobalMaxPool as the maximum over its axes."""
    return _reduced(site, "ReduceMax")


def mean_as_pool(site: Site) -> Change | None:
    """The mean over rows and columns as GlobalAveragePool, flattened where it dropped its axes."""
    x, axes = str(site.node.input[0]), site.integers(1, "axes")
    if site.rank(x) != 4 or axes is None or {axis % 4 for axis in axes} != {2, 3}:
        return None
    if site.attribute("keepdims", 1):
        return instead(site, site.step("GlobalAveragePool", [x]))
    pooled = site.step("GlobalAveragePool", [x], "pooled")
    return instead(site, pooled, site.step("Flatten", [pooled.output[0]]))


def gemm_as_conv(site: Site) -> Change | None:
    """A fully connected layer as a convolution over one place."""
    weight, bias = site.stored(1), site.stored(2)
    if weight is None or site.attribute("transA", 0) or (site.given(2) is not None and bias is None):
        return None
    matrix = (weight if site.attribute("transB", 0) else weight.T) * np.float32(site.attribute("alpha", 1.0))
    inputs = [site.constant("weight", matrix[:, :, None, None])]
    if bias is not None:
        row = np.broadcast_to(bias * np.float32(site.attribute("beta", 1.0)), (1, matrix.shape[0]))
        inputs.append(site.constant("bias", row.reshape(-1)))
    place = site.constant("place", [-1, matrix.shape[1], 1, 1], "int64")
    spread = site.step("Reshape", [site.node.input[0], place], "spread")
    conv = site.step("Conv", [spread.output[0], *inputs], "conv", kernel_shape=[1, 1])
    flat = site.constant("flat", [-1, matrix.shape[0]], "int64")
    return instead(site, spread, conv, site.step("Reshape", [conv.output[0], flat]))


def _reduced(site: Site, operator: str) -> Change | None:
    x, rank = str(site.node.input[0]), site.rank(str(site.node.input[0]))
    if rank is None:
        return None
    axes = list(range(2, rank))
    if site.graph.opset < 18:
        return instead(site, site.step(operator, [x], axes=axes, keepdims=1))
    return instead(site, site.step(operator, [x, site.constant("axes", axes, "int64")], keepdims=1))


def _between_reshapes(site: Site) -> tuple[onnx.NodeProto, onnx.NodeProto, tuple[int, ...]] | None:
    """Reshape and Transpose before a Reshape, each with one reader, and the shape between the first two."""
    moved = producer(site, site.given(0), "Transpose")
    first = None if moved is None else producer(site, moved.input[0], "Reshape")
    if moved is None or first is None:
        return None
    inner = site.shape(first.output[0])
    return None if inner is None else (first, moved, inner)


def _channel_shuffle(site: Site) -> tuple[onnx.NodeProto, onnx.NodeProto, tuple[int, ...]] | None:
    found = _between_reshapes(site)
    if found is None:
        return None
    first, moved, inner = found
    before, after = site.shape(first.input[0]), site.shape(site.output)
    if before is None or len(before) != 4 or after != before or tuple(attribute(moved, "perm", [])) != (0, 2, 1, 3, 4):
        return None
    same = len(inner) == 5 and inner[0] == before[0] and math.prod(inner[1:3]) == before[1] and inner[3:] == before[2:]
    return found if same else None
