"""Fewer blocks of an encoder: a run of them gives way to the linear map that comes nearest to it."""

from __future__ import annotations

from shoestring.base.errors import UsageError
from shoestring.compress.graph import Graph
from shoestring.compress.passes.protocol import Options, Workshop
from shoestring.compress.shortcuts import SHORTCUT, best_run, shorten
from shoestring.compress.stacked import find_stack


class DropBlocks:
    """Option: `drop`, how many blocks in a row are left out."""

    name = "drop_blocks"

    def requires(self, graph: Graph, options: Options) -> str | None:
        drop, stack = _drop(options), find_stack(graph)
        if isinstance(stack, str):
            return stack
        return None if drop < stack.blocks else f"{drop} of its {stack.blocks} blocks cannot be left out"

    def run(self, graph: Graph, options: Options, workshop: Workshop) -> tuple[Graph, tuple[str, ...]]:
        stack = find_stack(graph)
        if isinstance(stack, str):
            raise UsageError(stack)
        run, linear, error = best_run(graph, stack, _drop(options), workshop.batches, workshop.threads)
        which = f"{run.first + 1} to {run.last}" if run.last - run.first > 1 else f"{run.last}"
        return shorten(graph, stack, run, linear), (
            f"of {stack.blocks} blocks {which} left out for a linear map fitted to the original's own values; on "
            f"calibration texts that it was not fitted to, {100 * error:.2g} % of the output's square is missed",
        )

    def ensures(self, graph: Graph, options: Options) -> str | None:
        return None if any(SHORTCUT in name for name in graph.weights) else "no linear map stands for the blocks"


def _drop(options: Options) -> int:
    drop = options.get("drop")
    if not isinstance(drop, int) or isinstance(drop, bool) or drop < 1:
        raise UsageError(f"drop must be a count of blocks, at least 1, got {drop!r}")
    return drop
