"""Activation functions spelled out in operators that more chips have."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from shoestring.legalise.rewrites.change import Change, instead
from shoestring.legalise.site import producer

if TYPE_CHECKING:
    import onnx

    from shoestring.legalise.site import Site


def leaky_as_max(site: Site) -> Change | None:
    """x where x >= 0, else a x: the larger of the two while a <= 1, the smaller beyond."""
    slope = float(site.attribute("alpha", 0.01))
    x = site.node.input[0]
    scaled = site.step("Mul", [x, site.constant("slope", slope)], "scaled")
    return instead(site, scaled, site.step("Max" if slope <= 1 else "Min", [x, scaled.output[0]]))


def prelu_as_parts(site: Site) -> Change | None:
    """max(x, 0) + slope min(x, 0): one of the two is 0 everywhere."""
    x, slope = site.node.input
    zero = site.constant("zero", 0)
    above = site.step("Max", [x, zero], "above")
    below = site.step("Min", [x, zero], "below")
    scaled = site.step("Mul", [below.output[0], slope], "scaled")
    return instead(site, above, below, scaled, site.step("Add", [above.output[0], scaled.output[0]]))


def hardswish_as_hardsigmoid(site: Site) -> Change | None:
    """x HardSigmoid(x) with 1/6 and 1/2, as ONNX defines HardSwish."""
    x = site.node.input[0]
    gate = site.step("HardSigmoid", [x], "gate", alpha=1 / 6, beta=0.5)
    return instead(site, gate, site.step("Mul", [x, gate.output[0]]))


def hardswish_as_clip(site: Site) -> Change | None:
    """x min(max(x + 3, 0), 6) / 6 (Howard et al., arXiv 1905.02244, section 5.2)."""
    return instead(site, *_hardswish(site, site.node.input[0]))


def silu_as_hardswish(site: Site) -> Change | None:
    """x Sigmoid(x) replaced by HardSwish of x: another function, as near as 0.14 everywhere."""
    for x, gate in (tuple(site.node.input), tuple(site.node.input)[::-1]):
        sigmoid = producer(site, gate, "Sigmoid")
        if sigmoid is not None and sigmoid.input[0] == x:
            return Change(_hardswish(site, x), (sigmoid, site.node))
    return None


def _hardswish(site: Site, x: str) -> tuple[onnx.NodeProto, ...]:
    shifted = site.step("Add", [x, site.constant("three", 3)], "shifted")
    bounds = [site.constant("zero", 0), site.constant("six", 6)]
    gate = site.step("Clip", [shifted.output[0], *bounds], "gate")
    product = site.step("Mul", [x, gate.output[0]], "product")
    return shifted, gate, product, site.step("Mul", [product.output[0], site.constant("sixth", 1 / 6)])


def hardsigmoid_as_clip(site: Site) -> Change | None:
    """min(max(alpha x + beta, 0), 1)."""
    alpha, beta = (float(site.attribute(name, default)) for name, default in (("alpha", 0.2), ("beta", 0.5)))
    scaled = site.step("Mul", [site.node.input[0], site.constant("alpha", alpha)], "scaled")
    shifted = site.step("Add", [scaled.output[0], site.constant("beta", beta)], "shifted")
    bounds = [site.constant("zero", 0), site.constant("one", 1)]
    return instead(site, scaled, shifted, site.step("Clip", [shifted.output[0], *bounds]))


def swish_as_sigmoid(site: Site) -> Change | None:
    """x Sigmoid(alpha x)."""
    x, alpha = site.node.input[0], float(site.attribute("alpha", 1.0))
    nodes = []
    if alpha != 1:
        nodes.append(site.step("Mul", [x, site.constant("alpha", alpha)], "scaled"))
    gate = site.step("Sigmoid", [nodes[-1].output[0] if nodes else x], "gate")
    return instead(site, *nodes, gate, site.step("Mul", [x, gate.output[0]]))


def gelu_as_erf(site: Site) -> Change | None:
    """x (1 + erf(x / sqrt 2)) / 2 (Hendrycks and Gimpel, arXiv 1606.08415)."""
    if site.attribute("approximate", "none") != "none":
        return None
    x = site.node.input[0]
    scaled = site.step("Mul", [x, site.constant("root", 1 / math.sqrt(2))], "scaled")
    return _gelu(site, scaled, site.step("Erf", [scaled.output[0]], "bend"))


def gelu_as_tanh(site: Site) -> Change | None:
    """x (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3))) / 2: the approximation that the node itself asks for."""
    if site.attribute("approximate", "none") != "tanh":
        return None
    x = site.node.input[0]
    square = site.step("Mul", [x, x], "square")
    part = site.step("Mul", [square.output[0], site.constant("cubic", 0.044715)], "part")
    whole = site.step("Add", [part.output[0], site.constant("one", 1)], "whole")
    cubic = site.step("Mul", [x, whole.output[0]], "cubic_sum")
    scaled = site.step("Mul", [cubic.output[0], site.constant("root", math.sqrt(2 / math.pi))], "scaled")
    return _gelu(site, square, part, whole, cubic, scaled, site.step("Tanh", [scaled.output[0]], "bend"))


def _gelu(site: Site, *nodes: onnx.NodeProto) -> Change:
    bend = nodes[-1].output[0]
    raised = site.step("Add", [bend, site.constant("one", 1)], "raised")
    product = site.step("Mul", [site.node.input[0], raised.output[0]], "product")
    return instead(site, *nodes, raised, product, site.step("Mul", [product.output[0], site.constant("half", 0.5)]))


def mish_as_tanh(site: Site) -> Change | None:
    """x tanh(softplus(x)) (Misra, arXiv 1908.08681)."""
    x = site.node.input[0]
    soft = site.step("Softplus", [x], "soft")
    gate = site.step("Tanh", [soft.output[0]], "gate")
    return instead(site, soft, gate, site.step("Mul", [x, gate.output[0]]))


def clip_as_relu(site: Site) -> Change | None:
    """A Clip from 0 upwards without an end."""
    low, high = site.stored(1), site.stored(2)
    endless = site.given(2) is None or (high is not None and high >= np.finfo(np.float32).max)
    return instead(site, site.step("Relu", [site.node.input[0]])) if low is not None and low == 0 and endless else None


def clip_as_min_max(site: Site) -> Change | None:
    """min(max(x, low), high), each where it is given."""
    nodes, value = [], site.node.input[0]
    ends = [(operator, site.given(index)) for index, operator in ((1, "Max"), (2, "Min"))]
    given = [(operator, str(name)) for operator, name in ends if name is not None]
    for i, (operator, end) in enumerate(given):
        nodes.append(site.step(operator, [value, end], None if i == len(given) - 1 else "lower"))
        value = nodes[-1].output[0]
    return instead(site, *nodes) if nodes else None
