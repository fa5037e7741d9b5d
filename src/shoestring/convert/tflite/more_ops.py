"""Operators that TFLite has and our compiled programs have not: what `more` reads and `more_writers` writes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from shoestring.native.form import Array, Op


@dataclass(frozen=True, eq=False)
class LayerNorm(Op):
    """f32: (x - mean) / sqrt(variance + epsilon) * scale + shift over the axes from `axis` on.

    Source: Ba et al., "Layer Normalization", 2016, equation 4, as ONNX's LayerNormalization states it.

    Args:
        axis: first of the axes, not negative.
        scale, shift: float32 of their shape; no shift is None.
    """

    axis: int
    epsilon: float
    scale: Array
    shift: Array | None


@dataclass(frozen=True, eq=False)
class Reduce(Op):
    """f32: mean, sum, largest or smallest over some axes.

    Args:
        axes: not negative, in order.
        keep: reduced axes stay as axes of one element.
    """

    function: Literal["mean", "sum", "max", "min"]
    axes: tuple[int, ...]
    keep: bool


@dataclass(frozen=True, eq=False)
class Extreme(Op):
    """f32: the larger or smaller of two, with ONNX broadcasting; `constant` stands for the second."""

    function: Literal["max", "min"]
    constant: Array | None = None


@dataclass(frozen=True, eq=False)
class Power(Op):
    """f32: x to a constant exponent."""

    exponent: float


@dataclass(frozen=True, eq=False)
class Lookup(Op):
    """Whole numbers -> f32: rows of a constant table."""

    table: Array


__all__ = ["Extreme", "LayerNorm", "Lookup", "Power", "Reduce"]
