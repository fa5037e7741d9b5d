"""A run of blocks of an encoder replaced by the linear map that comes nearest to it, in closed form.

What a block adds to the stream that runs through it is small beside the stream, so much of a run of blocks is a linear
map of its input. The map is the ridge regression of what the run gives on what it reads, over the tokens of the
calibration texts, shrunk towards changing nothing (Shopkhoev et al., "ReplaceMe", 2025, arXiv 2505.02819, who fit a
linear map in place of a run of blocks of a decoder). No gradient and no training library is needed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from shoestring.base.errors import ModelError
from shoestring.compress.graph import Graph, make_node
from shoestring.compress.observe import RUNTIME
from shoestring.compress.stacked import Stack
from shoestring.compress.walk import Batch
from shoestring.runtimes import registry

Array = npt.NDArray[Any]
RIDGE = 1e-3
"""Of the mean square of what is read: weak, there are ten times as many tokens as channels; it keeps channels that
never move from taking part."""
CONTESTANTS = 3
"""Runs whose effect on the model's output is tried, of those that a linear map fits best."""
HELD_OUT = 0.25
"""Part of the texts that runs are compared on, and no map is fitted to."""
SHORTCUT = "shortcut"


@dataclass(frozen=True)
class Run:
    """Blocks `first` to `last - 1`, counted from 0."""

    first: int
    last: int


@dataclass(frozen=True)
class Linear:
    """y = x @ weight + bias.

    Args:
        weight: (width, width) float32.
        bias: (width,) float32.
    """

    weight: Array
    bias: Array


def observe(graph: Graph, names: Sequence[str], batches: Sequence[Batch], threads: int) -> list[dict[str, Array]]:
    """Values of tensors (texts, tokens, width) as (rows, width), one dict a batch."""
    wanted = [name for name in names if name not in graph.outputs]
    found = []
    with registry.get(RUNTIME).load(graph.to_bytes(wanted), threads) as session:
        for batch in batches:
            seen = session.run(batch)
            found.append({name: seen[name].reshape(-1, seen[name].shape[-1]) for name in names})
    return found


def fit_linear(read: Sequence[Array], given: Sequence[Array]) -> tuple[Linear, float]:
    """The map from what is read to what is given, and the part of the change that it misses.

    Minimises sum |y - x - (x W + b)|^2 + RIDGE |W|^2: ridge regression of the change, with the mean taken out.

    Args:
        read: x, (rows, width) each.
        given: y, the same rows.
    """
    width, count = read[0].shape[1], sum(len(rows) for rows in read)
    mean_x = sum(rows.sum(axis=0, dtype=np.float64) for rows in read) / count
    mean_y = sum(rows.sum(axis=0, dtype=np.float64) for rows in given) / count
    gram, cross, power = np.zeros((width, width)), np.zeros((width, width)), 0.0
    for rows, made in zip(read, given, strict=True):
        x = rows.astype(np.float64) - mean_x
        change = made.astype(np.float64) - mean_y - x
        gram += x.T @ x
        cross += x.T @ change
        power += float(np.sum(change**2))
    ridge = RIDGE * float(np.trace(gram)) / width + 1e-12
    moved = np.linalg.solve(gram + ridge * np.eye(width), cross)
    missed = power - 2 * float(np.sum(moved * cross)) + float(np.sum(moved * (gram @ moved)))
    weight = np.eye(width) + moved
    bias = mean_y - mean_x @ weight
    return Linear(weight.astype(np.float32), bias.astype(np.float32)), max(0.0, missed) / max(power, 1e-12)


def shorten(graph: Graph, stack: Stack, run: Run, linear: Linear) -> Graph:
    """A copy of `graph` in which the map stands for the run."""
    made = graph.copy()
    source, target = stack.joints[run.first], stack.joints[run.last]
    name = f"{SHORTCUT}{run.first}-{run.last}"
    made.weights |= {f"{name}/weight": linear.weight, f"{name}/bias": linear.bias}
    place = next(i for i, node in enumerate(made.nodes) if target in node.output)
    for node in made.nodes:
        for index, given in enumerate(node.input):
            if given == target:
                node.input[index] = name
    made.nodes[place + 1 : place + 1] = [
        make_node("MatMul", [source, f"{name}/weight"], [f"{name}/product"], f"{name}/product"),
        make_node("Add", [f"{name}/product", f"{name}/bias"], [name], name),
    ]
    needed = set(made.outputs)
    kept = []
    for node in reversed(made.nodes):
        if needed.intersection(node.output):
            needed.update(node.input)
            kept.append(node)
    made.nodes = kept[::-1]
    made.weights = {key: value for key, value in made.weights.items() if key in needed}
    made.reindex()
    return made


def best_run(
    graph: Graph, stack: Stack, drop: int, batches: Sequence[Batch], threads: int
) -> tuple[Run, Linear, float]:
    """The run of `drop` blocks that the output misses least.

    Maps of all runs are fitted on most of the texts; the CONTESTANTS that miss least of their own change are compared
    by the model's output on the rest. The winner's map is then fitted on all texts.

    Args:
        graph: of the encoder.
        stack: its blocks.
        drop: 1 to all blocks but one.
        batches: of calibration, without padding, at least 4.
        threads: of the runtime.

    Returns:
        The run, its map, and the squared error of the output over the output's own square, on the texts held out.

    Raises:
        ModelError: fewer batches, or another count of blocks.
    """
    if not 1 <= drop < stack.blocks or len(batches) < 4:
        raise ModelError(f"{drop} of {stack.blocks} blocks cannot be left out by {len(batches)} batches of texts")
    runs = [Run(first, first + drop) for first in range(stack.blocks - drop + 1)]
    held = max(1, round(HELD_OUT * len(batches)))
    seen = observe(graph, stack.joints, batches, threads)
    fitted, tried = seen[held:], batches[:held]
    maps = {run: _fit(stack, run, fitted) for run in runs}
    near = sorted(runs, key=lambda run: maps[run][1])[:CONTESTANTS]
    output = graph.outputs[0]
    wanted = observe(graph, [output], tried, threads)
    errors = {}
    for run in near:
        got = observe(shorten(graph, stack, run, maps[run][0]), [output], tried, threads)
        missed = sum(float(np.sum((a[output] - b[output]) ** 2)) for a, b in zip(got, wanted, strict=True))
        errors[run] = missed / max(1e-12, sum(float(np.sum(b[output] ** 2)) for b in wanted))
    best = min(near, key=lambda run: errors[run])
    return best, _fit(stack, best, seen)[0], errors[best]


def _fit(stack: Stack, run: Run, seen: Sequence[dict[str, Array]]) -> tuple[Linear, float]:
    source, target = stack.joints[run.first], stack.joints[run.last]
    return fit_linear([one[source] for one in seen], [one[target] for one in seen])
