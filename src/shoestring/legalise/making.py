"""A model file made legal for a chip: planned, rewritten, held to the original, planned again."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from shoestring.base.errors import DataError
from shoestring.compress.graph import Graph
from shoestring.legalise.apply import Legal, legalise
from shoestring.legalise.channels import pad_channels
from shoestring.legalise.place import Plan, plan
from shoestring.legalise.same import Sameness, check_same, compare, random_feeds

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from shoestring.compress.graph import Array
    from shoestring.legalise.target import Target

RANDOM_EXAMPLES = 3


@dataclass(frozen=True)
class Made:
    """A legal model.

    Args:
        before: where the model ran as it was.
        after: where it runs now.
        legal: the graph and its rewrites.
        sameness: of the two, rewrites that change the function left out.
        changed: how far those that change it moved the outputs; None where there are none.
        given: inputs that the user gave, of those compared; the others are random.
    """

    before: Plan
    after: Plan
    legal: Legal
    sameness: Sameness
    changed: Sameness | None
    given: int


def make_legal(
    path: Path,
    target: Target,
    *,
    feeds: Sequence[Mapping[str, Array]] = (),
    replace: Sequence[str] = (),
    multiple: int | None = None,
) -> Made:
    """Plan, rewrite, compare, plan again.

    Args:
        path: normalised ONNX of floats.
        target: what the accelerator asks for.
        feeds: inputs to compare on, beside random ones.
        replace: rewrites that change what is computed, to be made all the same.
        multiple: pad channels between convolutions to it; None leaves them.

    Raises:
        ModelError: the model is quantized already, or a rewrite does not keep what it computes.
        UsageError: an unknown rewrite, or a multiple out of range.
        EngineError: the model does not run, or not on the inputs given.
    """
    graph = Graph.load(path)
    tried = [*feeds, *random_feeds(graph, RANDOM_EXAMPLES)]
    exact = legalise(graph, target)
    padded = () if multiple is None else pad_channels(exact.graph, multiple)
    sameness = check_same(graph, exact.graph, tried)
    legal, changed = Legal(exact.graph, exact.done, (*exact.notes, *padded)), None
    if replace:
        legal = legalise(graph, target, replace=replace)
        padded = () if multiple is None else pad_channels(legal.graph, multiple)
        legal = Legal(legal.graph, legal.done, (*legal.notes, *padded))
        changed = compare(graph, legal.graph, tried)
    return Made(plan(graph, target), plan(legal.graph, target), legal, sameness, changed, len(feeds))


def read_feeds(path: Path, graph: Graph) -> list[dict[str, Array]]:
    """Examples from an .npz file with an array for each input, the first axis running over examples.

    Raises:
        DataError: no such file, or arrays that do not fit the inputs.
    """
    try:
        with np.load(path, allow_pickle=False) as stored:
            arrays = {name: stored[name] for name in stored.files}
    except (OSError, ValueError) as error:
        raise DataError(f"{path} cannot be read as .npz: {error}", hint="numpy.savez(path, input_name=array)") from None
    if set(arrays) != set(graph.inputs):
        raise DataError(
            f"{path} holds {', '.join(sorted(arrays)) or 'nothing'}, the model takes {', '.join(graph.inputs)}",
            hint="name the arrays after the inputs",
        )
    counts = {len(value) if value.ndim else 0 for value in arrays.values()}
    if len(counts) != 1 or 0 in counts:
        raise DataError(
            f"{path}: the arrays hold {sorted(counts)} examples", hint="as many of each input, one at least"
        )
    return [{name: value[i : i + 1] for name, value in arrays.items()} for i in range(counts.pop())]
