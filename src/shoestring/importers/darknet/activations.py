"""Darknet's activations as ONNX nodes.

Formulas from src/activations.h and src/activation_kernels.cu of github.com/AlexeyAB/darknet.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    from shoestring.importers.darknet.cfg import Section
    from shoestring.importers.darknet.graph import Builder

LEAKY_SLOPE = 0.1
_SELU_SCALE, _SELU_ALPHA = 1.0507, 1.6732


def _node(operator: str, **attributes: float) -> Callable[[Builder, str, str], str]:
    return lambda build, x, name: build.node(operator, [x], name, **attributes)


def _clip(low: float, high: float) -> Callable[[Builder, str, str], str]:
    def write(build: Builder, x: str, name: str) -> str:
        ends = [build.constant(f"{name}.{end}", np.float32(value)) for end, value in (("low", low), ("high", high))]
        return build.node("Clip", [x, *ends], name)

    return write


def _swish(build: Builder, x: str, name: str) -> str:
    return build.node("Mul", [x, build.node("Sigmoid", [x], f"{name}.gate")], name)


def _mish(build: Builder, x: str, name: str) -> str:
    gate = build.node("Tanh", [build.node("Softplus", [x], f"{name}.softplus")], f"{name}.gate")
    return build.node("Mul", [x, gate], name)


def _loggy(build: Builder, x: str, name: str) -> str:
    """2 / (1 + exp(-x)) - 1, which is tanh(x / 2)."""
    half = build.node("Mul", [x, build.constant(f"{name}.half", np.float32(0.5))], f"{name}.halved")
    return build.node("Tanh", [half], name)


ACTIVATIONS: dict[str, Callable[[Builder, str, str], str]] = {
    "elu": _node("Elu", alpha=1.0),
    "hardtan": _clip(-1.0, 1.0),
    "leaky": _node("LeakyRelu", alpha=LEAKY_SLOPE),
    "loggy": _loggy,
    "logistic": _node("Sigmoid"),
    "mish": _mish,
    "relie": _node("LeakyRelu", alpha=0.01),
    "relu": _node("Relu"),
    "relu6": _clip(0.0, 6.0),
    "selu": _node("Selu", alpha=_SELU_ALPHA, gamma=_SELU_SCALE),
    "swish": _swish,
    "tanh": _node("Tanh"),
}


def activate(build: Builder, section: Section, x: str, name: str, default: str) -> str:
    """Write the activation that a section names after the tensor `x`.

    Returns:
        The tensor that holds its result; `x` itself for linear.

    Raises:
        ModelError: an activation that we do not know.
    """
    kind = section.text("activation", default)
    if kind == "linear":
        return x
    write = ACTIVATIONS.get(str(kind))
    if write is None:
        raise section.wrong(
            f"the activation {str(kind)[:40]!r} is not supported", hint=f"known are linear, {', '.join(ACTIVATIONS)}"
        )
    return write(build, x, f"{name}_{kind}")
