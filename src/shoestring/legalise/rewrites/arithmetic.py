"""Arithmetic in fewer operators."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from shoestring.legalise.rewrites.change import Change, instead

if TYPE_CHECKING:
    import onnx

    from shoestring.legalise.site import Site


def abs_as_max(site: Site) -> Change | None:
    """The larger of x and -x."""
    x = site.node.input[0]
    turned = site.step("Mul", [x, site.constant("minus", -1)], "turned")
    return instead(site, turned, site.step("Max", [x, turned.output[0]]))


def neg_as_mul(site: Site) -> Change | None:
    """x times -1."""
    return instead(site, site.step("Mul", [site.node.input[0], site.constant("minus", -1)]))


def div_as_mul(site: Site) -> Change | None:
    """x times 1 / c, of a stored c: the same bits where c is a power of two."""
    divisor = site.stored(1)
    if divisor is None or divisor.dtype != np.float32 or not np.all(divisor):
        return None
    inverse = site.constant("inverse", 1 / divisor.astype(np.float64))
    return instead(site, site.step("Mul", [site.node.input[0], inverse]))


def reciprocal_as_div(site: Site) -> Change | None:
    """1 / x."""
    return instead(site, site.step("Div", [site.constant("one", 1), site.node.input[0]]))


def square_as_mul(site: Site) -> Change | None:
    """x to the power of 2."""
    exponent = site.stored(1)
    if exponent is None or exponent.size != 1 or exponent.item() != 2:
        return None
    return instead(site, site.step("Mul", [site.node.input[0]] * 2))


def sum_as_adds(site: Site) -> Change | None:
    """A Sum of several in the order given."""
    names = list(site.node.input)
    if len(names) < 2:
        return None
    nodes: list[onnx.NodeProto] = []
    for i, name in enumerate(names[1:]):
        last = i == len(names) - 2
        nodes.append(site.step("Add", [nodes[-1].output[0] if nodes else names[0], name], None if last else f"part{i}"))
    return instead(site, *nodes)


def layernorm_as_steps(site: Site) -> Change | None:
    """(x - mean) / sqrt(variance + epsilon) scale + bias (Ba et al., arXiv 1607.06450)."""
    x, rank = site.node.input[0], site.rank(site.node.input[0])
    if rank is None or sum(bool(name) for name in site.node.output) != 1:
        return None
    axes = list(range(site.attribute("axis", -1) % rank, rank))
    mean = _mean(site, x, axes, "mean")
    centred = site.step("Sub", [x, mean.output[0]], "centred")
    square = site.step("Mul", [centred.output[0]] * 2, "square")
    variance = _mean(site, square.output[0], axes, "variance")
    raised = site.step("Add", [variance.output[0], site.constant("epsilon", site.attribute("epsilon", 1e-5))], "raised")
    root = site.step("Sqrt", [raised.output[0]], "root")
    bias = site.given(2)
    normal = site.step("Div", [centred.output[0], root.output[0]], "normal")
    scaled = site.step("Mul", [normal.output[0], site.node.input[1]], None if bias is None else "scaled")
    last = [] if bias is None else [site.step("Add", [scaled.output[0], bias])]
    return instead(site, mean, centred, square, variance, raised, root, normal, scaled, *last)


def _mean(site: Site, name: str, axes: list[int], suffix: str) -> onnx.NodeProto:
    """A mean that keeps its axes, which are an input since opset 18 and an attribute before."""
    if site.graph.opset < 18:
        return site.step("ReduceMean", [name], suffix, axes=axes, keepdims=1)
    return site.step("ReduceMean", [name, site.constant("axes", axes, "int64")], suffix, keepdims=1)
