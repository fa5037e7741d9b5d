"""How much each layer's rounding hurts, by probes: quantize that layer alone, correct its bias, compare the outputs.

Noise of single layers adds up well enough to choose sets of float layers by (search.mixed), not to trust: several sets
become candidates and are scored as they are.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from shoestring.base.outputs import sqnr_db
from shoestring.compress.bias import correct_biases, float_means, output_spans
from shoestring.compress.layers import is_weighted
from shoestring.compress.observe import Range
from shoestring.compress.quantize import to_qdq
from shoestring.compress.scheme import Scheme
from shoestring.compress.walk import Batch, final_outputs
from shoestring.domain.evidence import Sensitivity
from shoestring.heads.pieces import distance

if TYPE_CHECKING:
    from shoestring.compress.graph import Graph
    from shoestring.domain.head import Head

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class Probing:
    """Everything that the probe of one layer needs.

    Args:
        graph: float32.
        ranges: of `needed_ranges`.
        scheme: integer types.
        batches: examples the outputs are compared on.
        threads: of the runtime.
        wanted: `float_means` of the graph on these examples.
        reference: the graph's outputs on them.
        head: of a detector, whose one output is compared by its pieces; None for any other model.
    """

    graph: Graph
    ranges: Mapping[str, Range]
    scheme: Scheme
    batches: list[Batch]
    threads: int
    wanted: Mapping[str, Array]
    reference: tuple[Array, ...]
    head: Head | None = None

    @property
    def layers(self) -> list[str]:
        """Names of the weighted layers, in execution order."""
        return [node.name for node in self.graph.nodes if is_weighted(self.graph, node)]

    def layer(self, name: str) -> Sensitivity:
        """The sensitivity of one layer; depends on no other probe."""
        alone = to_qdq(self.graph, self.ranges, self.scheme, frozenset(self.layers) - {name})
        spans = output_spans(self.graph, self.ranges, self.scheme.activation_limits)
        _, outputs = correct_biases(alone, self.wanted, self.batches, self.threads, spans)
        operator = next(node.op_type for node in self.graph.nodes if node.name == name)
        loss = distance(self.head, self.reference, outputs)
        return Sensitivity(name, operator, loss, _sqnr_db(self.reference, outputs))


def _sqnr_db(references: Sequence[Array], values: Sequence[Array]) -> float:
    """Of one output, or of several with equal weights."""
    each = [sqnr_db(one, other) for one, other in zip(references, values, strict=True)]
    return each[0] if len(each) == 1 else float(-10 * np.log10(np.mean([10 ** (-one / 10) for one in each])))


Spread = Callable[[Probing, Callable[[int, int], None]], Sequence[Sensitivity]]
"""Probes every layer elsewhere: the same answers as `Probing.layer`, in the order of `Probing.layers`."""


def probe(
    graph: Graph,
    ranges: Mapping[str, Range],
    scheme: Scheme,
    batches: list[Batch],
    threads: int,
    progress: Callable[[int, int], None],
    spread: Spread | None = None,
    head: Head | None = None,
) -> tuple[Sensitivity, ...]:
    """Sensitivity of every weighted layer, worst first.

    Args:
        graph: float32.
        ranges: of `needed_ranges`.
        scheme: integer types.
        batches: examples the outputs are compared on.
        threads: of the runtime.
        progress: called with (done, all).
        spread: probes elsewhere; None probes one layer after the other, here.
        head: of a detector.
    """
    wanted = float_means(graph, batches, threads, output_spans(graph, ranges, scheme.activation_limits))
    reference = final_outputs(graph, batches, threads)
    probing = Probing(graph, ranges, scheme, batches, threads, wanted, reference, head)
    found = _one_by_one(probing, progress) if spread is None else spread(probing, progress)
    return tuple(sorted(found, key=lambda item: (-item.kl, item.layer)))


def _one_by_one(probing: Probing, progress: Callable[[int, int], None]) -> list[Sensitivity]:
    layers, found = probing.layers, []
    for done, name in enumerate(layers):
        found.append(probing.layer(name))
        progress(done + 1, len(layers))
    return found
