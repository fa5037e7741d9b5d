"""What of a graph fp16 cannot hold: constants and values beyond 65,504, found by running it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from shoestring.compress.observe import value_ranges
from shoestring.legalise.site import look_at

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from shoestring.compress.graph import Array, Graph

LIMIT = float(np.finfo(np.float16).max)
MARGIN = 2.0
"""Other inputs may reach further than those tried: what comes within this factor of the limit is named."""


def beyond_half(graph: Graph, feeds: Sequence[Mapping[str, Array]]) -> tuple[str, ...]:
    """What fp16 cannot hold, in words; empty where nothing was seen.

    Args:
        graph: of floats.
        feeds: inputs to try.

    Raises:
        EngineError: it does not run, or makes what is not finite in fp32 already.
    """
    found = [f"constant {name} reaches {peak:.3g}" for name, peak in _constants(graph) if peak > LIMIT]
    view = look_at(graph)
    computed = [name for node in graph.nodes for name in node.output if name and name not in view.stored]
    floats = [name for name in computed if name in view.tensors and view.tensors[name].dtype == 1]
    for name, span in value_ranges(graph, lambda: iter(feeds), floats).items():
        reach = max(-span.low, span.high)
        if reach * MARGIN > LIMIT:
            found.append(f"{name} reaches {reach:.3g}")
    return tuple(found)


def _constants(graph: Graph) -> list[tuple[str, float]]:
    used = {name for node in graph.nodes for name in node.input}
    floats = [(name, value) for name, value in graph.weights.items() if name in used and value.dtype == np.float32]
    return [(name, float(np.abs(value).max())) for name, value in floats if value.size and np.isfinite(value).all()]
