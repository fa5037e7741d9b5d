"""How much each layer's rounding hurts, by probes: quantize that layer alone, correct its bias, compare the outputs.

Noise of single layers adds up well enough to choose sets of float layers by (search.mixed), not to trust: several sets
become candidates and are scored as they are.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import numpy as np

from shoestring.base.outputs import mean_kl, sqnr_db
from shoestring.compress.bias import correct_biases, float_means, output_spans
from shoestring.compress.layers import is_weighted
from shoestring.compress.observe import Range
from shoestring.compress.quantize import to_qdq
from shoestring.compress.scheme import Scheme
from shoestring.compress.walk import Batch, walk
from shoestring.domain.evidence import Sensitivity

if TYPE_CHECKING:
    from shoestring.compress.graph import Graph


def probe(
    graph: Graph,
    ranges: Mapping[str, Range],
    scheme: Scheme,
    batches: list[Batch],
    threads: int,
    progress: Callable[[int, int], None],
) -> tuple[Sensitivity, ...]:
    """Sensitivity of every weighted layer, worst first.

    Args:
        graph: float32.
        ranges: of `needed_ranges`.
        scheme: integer types.
        batches: examples the outputs are compared on.
        threads: of the runtime.
        progress: called with (done, all).
    """
    names = [node.name for node in graph.nodes if is_weighted(graph, node)]
    spans = output_spans(graph, ranges, scheme.activation_limits)
    wanted = float_means(graph, batches, threads, spans)
    ((_, parts),) = walk(graph, [dict(batch) for batch in batches], [graph.outputs[0]], threads)
    reference = np.concatenate(parts)
    found = []
    for done, name in enumerate(names):
        alone = to_qdq(graph, ranges, scheme, frozenset(names) - {name})
        _, outputs = correct_biases(alone, wanted, batches, threads, spans)
        noisy = np.concatenate(outputs)
        operator = next(node.op_type for node in graph.nodes if node.name == name)
        found.append(Sensitivity(name, operator, mean_kl(reference, noisy), sqnr_db(reference, noisy)))
        progress(done + 1, len(names))
    return tuple(sorted(found, key=lambda item: (-item.kl, item.layer)))
