"""Whether weights should make up for what earlier layers did to their inputs: tried on examples that were set aside.

It halves the divergence of one network and triples that of another, whose rounding errors lie where activations cut
them off (ADR 8), so it is tried and not assumed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from shoestring.compress.bias import output_spans
from shoestring.compress.quantize import to_qdq
from shoestring.compress.rounding.layerwise import round_layers
from shoestring.compress.walk import final_outputs
from shoestring.heads.pieces import distance

if TYPE_CHECKING:
    from collections.abc import Mapping

    from shoestring.compress.graph import Graph
    from shoestring.compress.observe import Range
    from shoestring.compress.scheme import Scheme
    from shoestring.compress.walk import Batch
    from shoestring.domain.head import Head

Array = npt.NDArray[Any]
SET_ASIDE = 3  # one in so many batches judges; the others are rounded on
MOST_EXAMPLES = 32  # that both together take: what is asked is a yes or no
CLEARLY = 0.9  # of the divergence without: what is added must earn its place


def follow_drift(
    original: Graph,
    ranges: Mapping[str, Range],
    scheme: Scheme,
    batches: list[Batch],
    threads: int,
    head: Head | None = None,
) -> bool:
    """Whether an 8-bit network answers more like the original when its weights follow the drift of their inputs.

    Args:
        original: float32.
        ranges: of `needed_ranges`.
        scheme: integer types.
        batches: examples; with fewer than SET_ASIDE batches the answer is no.
        threads: of the runtime.
        head: of a detector.
    """
    most = sum(_running(batches) <= MOST_EXAMPLES)
    judges = batches[:most:SET_ASIDE]
    learners = [batch for i, batch in enumerate(batches[:most]) if i % SET_ASIDE]
    if not learners:
        return False
    spans = output_spans(original, ranges, scheme.activation_limits)
    wanted = final_outputs(original, judges, threads)
    found = []
    for drift in (False, True):
        tried = to_qdq(original, ranges, scheme, frozenset())
        round_layers(original, tried, learners, scheme.weight_limit, threads, spans, drift=drift)
        found.append(distance(head, wanted, final_outputs(tried, judges, threads)))
    return found[1] < CLEARLY * found[0]


def _running(batches: list[Batch]) -> Array:
    """Examples up to and with each batch."""
    return np.cumsum([len(next(iter(batch.values()))) for batch in batches])
