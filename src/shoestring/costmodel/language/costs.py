"""Costs of several files of one model on a chip that is not at hand, as a fit keeps them."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from shoestring.costmodel.language.plan import cost_of, plan
from shoestring.domain.cost import TokenCost
from shoestring.domain.estimate import NoClaim
from shoestring.domain.language_plan import LanguageWish

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from shoestring.domain.chip import Chip
    from shoestring.domain.cost import Cost, TokenRate
    from shoestring.domain.measured import Row
    from shoestring.domain.transformer import Transformer
    from shoestring.domain.weights import WeightsFile


def costs_there(
    model: Transformer,
    files: Mapping[str, WeightsFile],
    chip: Chip,
    *,
    original: str,
    rows: Sequence[Row],
    threads: Sequence[int],
    wish: LanguageWish | None = None,
) -> dict[str, Cost] | NoClaim:
    """Predicted costs of every candidate, at each thread count.

    Args:
        model: dimensions, which all files share.
        files: headers by the name of the candidate.
        chip: where.
        original: the candidate that the others are compared with.
        rows: published measurements and the user's own.
        threads: counts, at least one, at most the chip's cores.
        wish: context, cache and prompt; its threads are not looked at.

    Returns:
        Costs by name, marked as predicted; or why nothing is claimed for one of them.

    Raises:
        UsageError: as `plan`.
    """
    asked = wish or LanguageWish()
    found: dict[str, list[Cost]] = {}
    for count in threads:
        wanted = replace(asked, threads=count)
        plans = {name: plan(model, file, chip, name=name, rows=rows, wish=wanted) for name, file in files.items()}
        for name, planned in plans.items():
            cost = cost_of(planned, None if name == original else plans[original])
            if isinstance(cost, NoClaim):
                return cost
            found.setdefault(name, []).append(cost)
    return {name: _joined(costs) for name, costs in found.items()}


def _joined(costs: Sequence[Cost]) -> Cost:
    """One cost with the thread counts of all."""
    rates: list[TokenRate] = []
    memory = costs[0].tokens.memory if costs[0].tokens is not None else ()
    for cost in costs:
        assert cost.tokens is not None  # they are of models that write
        rates += cost.tokens.rates
    timings = tuple(timing for cost in costs for timing in cost.timings)
    return replace(costs[-1], timings=timings, tokens=TokenCost(tuple(rates), memory))


__all__ = ["costs_there"]
