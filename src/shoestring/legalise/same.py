"""Whether two graphs compute the same, by running both."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from shoestring.base.errors import EngineError, ModelError
from shoestring.compress.observe import RUNTIME
from shoestring.runtimes import registry

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from shoestring.compress.graph import Array, Graph

CLOSE = 1e-4
"""Of an output's largest magnitude: sums in another order, through all layers of a model. A wrong padding, slope or
grid moves outputs by percents."""

FREE = 1
SEED = 20211


@dataclass(frozen=True)
class Sameness:
    """How far two graphs agreed.

    Args:
        examples: that both were run on.
        identical: whether every output had the same bits (a zero may change its sign).
        largest: difference of any value, as a share of its output's largest magnitude.
        outputs: names of those compared.
        agreeing: examples whose first output has its largest value at the same place: the same class, of a classifier.
    """

    examples: int
    identical: bool
    largest: float
    outputs: tuple[str, ...]
    agreeing: int


def random_feeds(graph: Graph, count: int, seed: int = SEED) -> list[dict[str, Array]]:
    """Seeded inputs of a graph, floats from a normal distribution, integers 0 or 1; free dimensions are 1."""
    rng = np.random.default_rng(seed)
    feeds = []
    with registry.get(RUNTIME).load(graph.to_bytes(), 1) as session:
        specs = session.inputs
    for _ in range(count):
        feed: dict[str, Array] = {}
        for spec in specs:
            shape = tuple(FREE if size is None else size for size in spec.shape)
            floats = np.issubdtype(np.dtype(spec.dtype), np.floating)
            values = rng.standard_normal(shape) if floats else rng.integers(0, 2, shape)
            feed[spec.name] = np.asarray(values, spec.dtype)
        feeds.append(feed)
    return feeds


def compare(before: Graph, after: Graph, feeds: Sequence[Mapping[str, Array]]) -> Sameness:
    """Run two graphs on the same inputs.

    Raises:
        ModelError: their outputs differ in name or shape, or one is not finite where the other is.
        EngineError: one does not run.
    """
    identical, largest, agreeing, names = True, 0.0, 0, before.outputs
    if names != after.outputs:
        raise ModelError(f"the outputs are {', '.join(after.outputs)}, and were {', '.join(names)}")
    runtime = registry.get(RUNTIME)
    with runtime.load(before.to_bytes(), 1) as old, runtime.load(after.to_bytes(), 1) as new:
        for feed in feeds:
            first, second = old.run(feed), new.run(feed)
            for name in names:
                same, far = _apart(name, first[name], second[name])
                identical, largest = identical and same, max(largest, far)
            agreeing += int(np.argmax(first[names[0]]) == np.argmax(second[names[0]]))
    return Sameness(len(feeds), identical, largest, names, agreeing)


def check_same(before: Graph, after: Graph, feeds: Sequence[Mapping[str, Array]], limit: float = CLOSE) -> Sameness:
    """As `compare`.

    Raises:
        ModelError: they differ by more than `limit`.
        EngineError: one does not run.
    """
    found = compare(before, after, feeds)
    if found.largest > limit:
        raise ModelError(
            f"the rewritten model differs by {found.largest:.2g} of an output's range, more than {limit:.2g}",
            hint="this is a fault of a rewrite: please report the model",
        )
    return found


def _apart(name: str, first: Array, second: Array) -> tuple[bool, float]:
    if first.shape != second.shape:
        raise ModelError(f"output {name!r} has shape {second.shape}, and had {first.shape}")
    wide = first.astype(np.float64), second.astype(np.float64)
    finite = [np.isfinite(one) for one in wide]
    if not np.array_equal(finite[0], finite[1]):
        raise ModelError(f"output {name!r} is finite in one of the two models only")
    if not finite[0].any():
        raise EngineError(f"output {name!r} holds no finite number")
    scale = float(np.abs(wide[0][finite[0]]).max()) or 1.0
    apart = float(np.abs(wide[0] - wide[1])[finite[0]].max())
    return apart == 0.0, apart / scale
