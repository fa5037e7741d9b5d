"""Rewrites a graph until an accelerator takes it, as far as rewrites that keep what it computes can do that."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from shoestring.base.errors import ModelError
from shoestring.legalise.integers import narrow_integers
from shoestring.legalise.opset import lower_opset
from shoestring.legalise.rewrites import REWRITES
from shoestring.legalise.site import Site, look_at
from shoestring.legalise.table import row_named, rows
from shoestring.legalise.target import BETWEEN, Target

if TYPE_CHECKING:
    from collections.abc import Sequence

    import onnx

    from shoestring.analysis.graphs import View
    from shoestring.compress.graph import Graph
    from shoestring.legalise.rewrites import Change
    from shoestring.legalise.table import Row

MAX_ROUNDS = 8
"""Rewrites of rewrites: HardSwish takes two rounds, nothing in the table takes more than four."""


@dataclass(frozen=True)
class Done:
    """One rewrite that was made.

    Args:
        rewrite: its name.
        node: that it took the place of.
        operators: that stood there.
        exact: as the table says.
        made: tensors that its nodes make.
    """

    rewrite: str
    node: str
    operators: tuple[str, ...]
    exact: str
    made: tuple[str, ...]


@dataclass(frozen=True)
class Legal:
    """A graph after its rewrites.

    Args:
        graph: of its own; the source is as it was.
        done: what was rewritten, in order.
        notes: what else was changed, in words.
    """

    graph: Graph
    done: tuple[Done, ...]
    notes: tuple[str, ...]


def legalise(graph: Graph, target: Target, *, replace: Sequence[str] = ()) -> Legal:
    """Rewrite what the target does not take, where a rewrite brings it over; what brings nothing over is taken back.

    Args:
        graph: of floats, with static shapes but for a free batch.
        target: what the accelerator asks for.
        replace: rewrites to make wherever they fit, those that change what is computed among them.

    Raises:
        ModelError: a graph that is quantized already, or whose operator set cannot be lowered.
        UsageError: an unknown rewrite.
    """
    for name in replace:
        row_named(name)
    codes = [node for node in graph.nodes if node.op_type in BETWEEN]
    if codes:
        raise ModelError(
            f"the model is quantized ({len(codes)} QuantizeLinear and DequantizeLinear nodes): new ones would have no "
            "scales",
            hint="legalise the float model, then quantize it",
        )
    banned: set[tuple[str, str]] = set()
    while True:
        work = graph.copy()
        done = _rewrite(work, target, replace, banned)
        useless = _useless(work, target, done)
        if not useless:
            break
        banned |= useless
    notes = [*narrow_integers(work)]
    if target.takes.opset is not None and work.opset > target.takes.opset:
        notes.append(lower_opset(work, target.takes.opset))
    return Legal(work, tuple(done), tuple(notes))


def _rewrite(work: Graph, target: Target, replace: Sequence[str], banned: set[tuple[str, str]]) -> list[Done]:
    """All rounds, in place."""
    done: list[Done] = []
    for _ in range(MAX_ROUNDS):
        made = _round(work, target, replace, banned)
        if not made:
            break
        done += made
    return done


def _round(work: Graph, target: Target, replace: Sequence[str], banned: set[tuple[str, str]]) -> list[Done]:
    """One walk over the graph; shapes are those from before it, so that no node is rewritten twice."""
    view, done = look_at(work), list[Done]()
    taken: set[str] = set()
    instead: dict[str, tuple[onnx.NodeProto, ...]] = {}
    for node in work.nodes:
        found = _best(work, view, node, target, replace, banned)
        if found is None:
            continue
        row, change = found
        over = {one.output[0] for one in change.over}
        if not taken & over:
            taken |= over
            instead[node.output[0]] = change.nodes
            done.append(_done(row, node, change))
    work.nodes = [new for node in work.nodes for new in instead.get(node.output[0], (node,))]
    prune(work)
    return done


def _best(
    work: Graph, view: View, node: onnx.NodeProto, target: Target, replace: Sequence[str], banned: set[tuple[str, str]]
) -> tuple[Row, Change] | None:
    """The first rewrite that makes what the target takes at once; without one, the first that may lead there."""
    fitting = []
    for row in rows():
        if row.takes == node.op_type and (row.name, node.output[0]) not in banned:
            change = _change(work, view, node, row, target, row.name in replace)
            if change is not None:
                fitting.append((row, change))
    at_once = [one for one in fitting if all(new.op_type in target.takes.takes for new in one[1].nodes)]
    return next(iter(at_once or fitting), None)


def _change(work: Graph, view: View, node: onnx.NodeProto, row: Row, target: Target, asked: bool) -> Change | None:
    """What a rewrite would do to a node; None where it does not fit, is not wanted, or makes what the target lacks."""
    if row.exact == "no" and not asked:
        return None
    change = REWRITES[row.name](Site(work, view, node))
    if change is None:
        return None
    if not asked and all(target.why_not(Site(work, view, one)) is None for one in change.over):
        return None
    return change if all(_hopeful(one.op_type, target) for one in change.nodes) else None


def _hopeful(operator: str, target: Target) -> bool:
    """Whether the target takes an operator, or a rewrite may yet take it over."""
    return operator in target.takes.takes or any(row.takes == operator and row.exact != "no" for row in rows())


def _done(row: Row, node: onnx.NodeProto, change: Change) -> Done:
    made = tuple(name for one in change.nodes for name in one.output)
    return Done(row.name, node.name or node.output[0], tuple(one.op_type for one in change.over), row.exact, made)


def _useless(work: Graph, target: Target, done: Sequence[Done]) -> set[tuple[str, str]]:
    """Rewrites after which something that they made is still not taken."""
    view = look_at(work)
    outside = {
        name for node in work.nodes if target.why_not(Site(work, view, node)) is not None for name in node.output
    }
    return {(one.rewrite, one.made[-1]) for one in done if one.exact != "no" and outside.intersection(one.made)}


def prune(graph: Graph) -> None:
    """Drop nodes that nobody reads, in place."""
    needed = set(graph.outputs)
    kept = []
    for node in reversed(graph.nodes):
        if needed.intersection(node.output):
            kept.append(node)
            needed.update(node.input)
    graph.nodes = kept[::-1]
    graph.reindex()
