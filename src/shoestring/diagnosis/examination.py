"""What the diseases share: the model taken apart, and what images showed of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from shoestring.compress.graph import Graph
    from shoestring.diagnosis.aim import Aim
    from shoestring.diagnosis.weights import Layer
    from shoestring.domain.model import Model
    from shoestring.domain.preprocess import Preprocess

Array = npt.NDArray[Any]


@dataclass(frozen=True, eq=False)
class Span:
    """Smallest and largest value of each channel of a tensor over all images and positions.

    Args:
        lows, highs: (channels,), float64; NaN or infinite where the tensor was.
    """

    lows: Array
    highs: Array

    @property
    def low(self) -> float:
        return float(self.lows.min())

    @property
    def high(self) -> float:
        return float(self.highs.max())

    @property
    def magnitude(self) -> float:
        return float(np.maximum(np.abs(self.lows), np.abs(self.highs)).max())


@dataclass(frozen=True, eq=False)
class Seen:
    """What a few images showed.

    Args:
        images: how many.
        spans: of each activation by tensor name.
        values: whole tensors that few need: outputs, and what feeds the operators that make them.
    """

    images: int
    spans: Mapping[str, Span]
    values: Mapping[str, Array]


@dataclass(frozen=True)
class Trial:
    """The pre-processing in use beside the best of the usual ones, on the same images.

    Args:
        images: tried.
        given: in use; None when none was stated, and then `best` is in use.
        best: name and specification of the best usual one; None when none suits.
        best_spec: its specification.
        refusal: why no usual one suits, or None.
        hits: right answers of (given, best), or None without labels.
        wins: images that only `best` has right, and that only `given` has; None without labels.
        nats: information of the answers under (given, best); None with labels. See `evaluate.propose.information`.
        top1: first class of each image under the pre-processing in use.
        classes: that the model tells apart.
    """

    images: int
    given: Preprocess | None
    best: str | None
    best_spec: Preprocess | None
    refusal: str | None
    hits: tuple[int, int] | None
    wins: tuple[int, int] | None
    nats: tuple[float, float] | None
    top1: tuple[int, ...]
    classes: int


@dataclass(frozen=True, eq=False)
class Examination:
    """A model on the table. Diseases read it and change nothing.

    Args:
        model: normalised.
        graph: of its file; nodes inside the bodies of If, Loop and Scan are not among `graph.nodes`.
        layers: Conv, Gemm and MatMul with constant weights, float or quantized, in execution order.
        shapes: of the tensors whose shape is known, at a batch of one where it is free.
        macs: multiply-accumulates by node name, at that batch; nodes of unknown shape are missing.
        no_shapes: why shapes are missing, or None.
        aim: what the model is to run on.
        seen: what images showed, or None.
        no_images: why `seen` or `trial` is None, in words.
        trial: of the pre-processing, or None.
        no_trial: why `trial` is None.
        native_refusal: why our compiler refuses the model, or None.
    """

    model: Model
    graph: Graph
    layers: tuple[Layer, ...]
    shapes: Mapping[str, tuple[int, ...]]
    macs: Mapping[str, int]
    no_shapes: str | None
    aim: Aim
    seen: Seen | None
    no_images: str
    trial: Trial | None
    no_trial: str
    native_refusal: str | None

    @property
    def quantized(self) -> bool:
        """Whether activations are quantized: QuantizeLinear or an operator on integers is in the graph."""
        return any(node.op_type in QUANTIZERS for node in self.graph.nodes)


INTEGER_FORMS = frozenset({"QLinearConv", "QLinearMatMul", "ConvInteger", "MatMulInteger"})
"""Operators that take and give integers themselves, without QuantizeLinear and DequantizeLinear around them."""
QUANTIZERS = INTEGER_FORMS | {"QuantizeLinear", "DynamicQuantizeLinear"}
