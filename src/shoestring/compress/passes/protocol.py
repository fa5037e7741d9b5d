"""What a pass offers, and what it is given."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from shoestring.compress.bias import Span
from shoestring.compress.graph import Graph
from shoestring.compress.observe import Range
from shoestring.compress.walk import Batch
from shoestring.domain.recipe import Option

Options = Mapping[str, Option]


@dataclass(frozen=True)
class Workshop:
    """What calibration found, once for all recipes of a model.

    Args:
        original: the float graph after the rewrites that recipes share; not changed.
        ranges: of every tensor that may be quantized.
        sizes: of the channels that equalization scales.
        batches: a few examples for corrections that need activations in memory.
        rounding_batches: more of them, for rounding.
        means: each weighted layer's channel means in the float graph, on `batches`.
        spans: that these means are clamped to, by node name.
        threads: of the runtime.
        kept: what passes leave for later recipes of the same model, by question.
    """

    original: Graph
    ranges: Mapping[str, Range]
    sizes: Mapping[str, npt.NDArray[np.floating[Any]]]
    batches: list[Batch]
    rounding_batches: list[Batch]
    means: Mapping[str, npt.NDArray[np.floating[Any]]]
    spans: Mapping[str, Span]
    threads: int
    kept: dict[str, Mapping[str, npt.NDArray[Any]]] = field(default_factory=dict)


class Pass(Protocol):
    """One transformation. It may keep or change the graph it is given; the caller keeps no other use of it."""

    name: str

    def requires(self, graph: Graph, options: Options) -> str | None:
        """Why this graph cannot be taken, or None."""
        ...

    def run(self, graph: Graph, options: Options, workshop: Workshop) -> tuple[Graph, tuple[str, ...]]:
        """The new graph, and what a reader of the result should know."""
        ...

    def ensures(self, graph: Graph, options: Options) -> str | None:
        """What is wrong with the result, or None."""
        ...
