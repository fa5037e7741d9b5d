"""Which layers stay in float: an exact answer to "fastest within this divergence".

Rounding noise of single layers adds up well enough to predict a mixture (Nagel et al., "A White Paper on Neural Network
Quantization", 2021, section 3.6 uses the same sums), and so do latencies of layers, but for the conversions where
integers meet floats. Both are linear in the choice, so the choice is a mixed-integer linear program, which HiGHS
(through scipy) solves exactly: Huangfu and Hall, "Parallelizing the dual revised simplex method", MPC 2018.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from shoestring.base.errors import EngineError, MissingExtraError, UsageError
from shoestring.search.stdout import words_on_stderr

BUDGETS = (1.0, 0.7, 0.5, 0.35, 0.25)
"""Parts of the divergence of all layers in 8 bits that a mixture may keep."""
SLOWEST = 0.5  # of the way from all layers in 8 bits to all in float: beyond it float itself is the better answer
SECONDS = 5.0  # for one program; the largest tried so far (160 layers) takes 0.1
EASY = 1e-6  # ms for each float layer: of equally fast mixtures the one with fewer float layers


@dataclass(frozen=True)
class LayerCost:
    """One layer that can run in 8 bits or in float.

    Args:
        name: of its node.
        loss: divergence of the outputs when it alone runs in 8 bits, at least 0.
        int8_ms: its latency in 8 bits.
        float_ms: its latency in float.
    """

    name: str
    loss: float
    int8_ms: float
    float_ms: float


@dataclass(frozen=True)
class Edge:
    """A tensor between two layers: its conversion is paid when one is in float and the other is not."""

    before: str
    after: str
    convert_ms: float


@dataclass(frozen=True)
class Mixture:
    """A choice.

    Args:
        float_layers: in the order of the layers given.
        loss: predicted: the sum over layers in 8 bits.
        saved_ms: predicted latency saved against all layers in 8 bits; below zero where it is slower.
    """

    float_layers: tuple[str, ...]
    loss: float
    saved_ms: float


def fastest(layers: Sequence[LayerCost], edges: Sequence[Edge], max_loss: float) -> Mixture:
    """The fastest mixture that keeps the loss; all in float always does.

    Args:
        layers: each name once.
        edges: between them.
        max_loss: at least 0.

    Raises:
        UsageError: the limit is below 0 or not a number, or an edge names an unknown layer.
        MissingExtraError: scipy is not installed.
        EngineError: the solver found no answer in time.
    """
    if not max_loss >= 0:
        raise UsageError(f"the loss may be 0 or more, got {max_loss}")
    try:
        from scipy.optimize import Bounds, LinearConstraint, milp
    except ImportError as error:
        raise MissingExtraError("scipy", "fit") from error
    place = {layer.name: i for i, layer in enumerate(layers)}
    unknown = {name for edge in edges for name in (edge.before, edge.after)} - place.keys()
    if unknown:
        raise UsageError(f"an edge names {sorted(unknown)[0]!r}, which is no layer")
    n, m = len(layers), len(edges)
    objective = np.array(
        [layer.float_ms - layer.int8_ms + EASY for layer in layers] + [edge.convert_ms for edge in edges]
    )
    loss = np.array([layer.loss for layer in layers] + [0.0] * m)
    rows = [loss]
    lower = [float(loss.sum()) - max_loss]
    for j, edge in enumerate(edges):  # its conversion is at least the difference, whichever way round
        for sign in (1.0, -1.0):
            row = np.zeros(n + m)
            row[place[edge.before]], row[place[edge.after]], row[n + j] = sign, -sign, 1.0
            rows.append(row)
            lower.append(0.0)
    scale = max(float(loss.max(initial=0.0)), 1e-12)  # a solver's tolerances are absolute
    rows[0], lower[0] = loss / scale, lower[0] / scale
    with words_on_stderr():
        answer = milp(
            objective,
            constraints=LinearConstraint(np.array(rows), np.array(lower), np.inf),
            integrality=np.array([1] * n + [0] * m),
            bounds=Bounds(0, 1),
            options={"time_limit": SECONDS, "mip_rel_gap": 0.0},
        )
    if answer.x is None:
        raise EngineError(f"no mixture of {n} layers was found: {answer.message}")
    chosen = np.asarray(answer.x[:n]) > 0.5
    return mixture(layers, edges, tuple(layer.name for layer, kept in zip(layers, chosen, strict=True) if kept))


def most_accurate(layers: Sequence[LayerCost], edges: Sequence[Edge], min_saved_ms: float) -> Mixture:
    """The mixture of least loss that saves at least so much against all layers in 8 bits (below zero: may be slower).

    Bisects the loss with `fastest`, so the answer lies within 0.1 % of the total loss of the best.

    Raises:
        UsageError: no mixture saves so much; the message says what the fastest saves.
    """
    total = sum(layer.loss for layer in layers)
    best = fastest(layers, edges, total)
    if best.saved_ms < min_saved_ms:
        raise UsageError(f"no mixture saves {min_saved_ms:g} ms; the fastest saves {best.saved_ms:g} ms")
    low, high = 0.0, best.loss
    while high - low > 1e-3 * total:
        tried = fastest(layers, edges, (low + high) / 2)
        if tried.saved_ms >= min_saved_ms:
            best, high = tried, tried.loss
        else:
            low = (low + high) / 2
    return best


def mixture(layers: Sequence[LayerCost], edges: Sequence[Edge], float_layers: Sequence[str]) -> Mixture:
    """What leaving these layers in float is predicted to do."""
    kept = set(float_layers)
    saved = float(sum(layer.int8_ms - layer.float_ms for layer in layers if layer.name in kept))
    saved -= sum(edge.convert_ms for edge in edges if (edge.before in kept) != (edge.after in kept))
    loss = float(sum(layer.loss for layer in layers if layer.name not in kept))
    return Mixture(tuple(layer.name for layer in layers if layer.name in kept), loss, saved)


def mixtures(layers: Sequence[LayerCost], edges: Sequence[Edge]) -> tuple[Mixture, ...]:
    """The fastest mixture for each of BUDGETS, from the loosest to the tightest, each choice once.

    All in 8 bits, all in float, and what is slower than SLOWEST allows are left out.
    """
    total = sum(layer.loss for layer in layers)
    all_float = mixture(layers, edges, [layer.name for layer in layers])
    found: list[Mixture] = []
    for part in BUDGETS:
        one = fastest(layers, edges, part * total)
        too_slow = one.saved_ms < SLOWEST * min(0.0, all_float.saved_ms)
        if (
            0 < len(one.float_layers) < len(layers)
            and not too_slow
            and one.float_layers not in [other.float_layers for other in found]
        ):
            found.append(one)
    return tuple(found)
