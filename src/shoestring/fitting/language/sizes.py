"""Which mixes to make: some five, from the smallest that may be of use to one that is hardly told from the original."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING

from shoestring.base.errors import BudgetError
from shoestring.base.units import format_bytes
from shoestring.search.bits import choose, smallest_bytes

if TYPE_CHECKING:
    from shoestring.domain.bits import Mix, TypeChoice

SHARES = (0.9, 0.5, 0.25, 0.1, 0.03)
"""Of the allowed divergence: what each rung is predicted to have. The first may fail, and then the second stands."""
LOSSES = (0.4, 0.15, 0.06, 0.02, 0.006)
"""Likewise in nats, where no divergence was named; a KL of 0.4 is that of the crudest files that are published."""
CURVE = 18  # sizes at which the least loss is found; between them its logarithm is taken as a line
APART = 1.03  # sizes nearer to each other than this are one rung


def ladder_mixes(choices: Sequence[TypeChoice], max_kl: float | None, max_bytes: int | None) -> list[Mix]:
    """Mixes from the smallest to the largest.

    Args:
        choices: of `findings.find`.
        max_kl: that is allowed, nats; None: not said.
        max_bytes: of these tensors together; None: not limited.

    Raises:
        BudgetError: the smallest types are larger than `max_bytes`.
    """
    least, most = smallest_bytes(choices), _largest_bytes(choices)
    if max_bytes is not None and max_bytes < least:
        raise BudgetError(
            f"the smallest mix of block types takes {format_bytes(least)}, and {format_bytes(max_bytes)} are allowed",
            hint="allow more memory or size or fewer tokens a second, or take a smaller model",
        )
    most = most if max_bytes is None else min(most, max_bytes)
    curve = loss_curve(choices, least, most)
    wanted = LOSSES if max_kl is None else tuple(share * max_kl for share in SHARES)
    sizes = [size_for(curve, loss) for loss in wanted]
    found: list[Mix] = []
    for size in sorted(sizes):
        if found and size < found[-1].size_bytes * APART:
            continue
        mix = choose(choices, size)
        if not found or mix.size_bytes > found[-1].size_bytes * APART:
            found.append(mix)
    return found


def loss_curve(choices: Sequence[TypeChoice], least: int, most: int) -> list[tuple[int, float]]:
    """The least predicted loss at sizes in between, (bytes, nats), by rising size."""
    if most <= least:
        return [(least, choose(choices, least).loss)]
    steps = [round(least * (most / least) ** (step / (CURVE - 1))) for step in range(CURVE)]
    return [(size, choose(choices, size).loss) for size in sorted({least, *steps[1:-1], most})]


def size_for(curve: Sequence[tuple[int, float]], loss: float) -> int:
    """The smallest size with this loss by the curve; its ends where the loss is beyond it."""
    tiny = 1e-9  # keeps logarithms finite where nothing is lost
    if loss >= curve[0][1]:
        return curve[0][0]
    for (small, worse), (large, better) in pairwise(curve):
        if loss >= better:
            high, low, at = (math.log(max(tiny, one)) for one in (worse, better, loss))
            part = 1.0 if high <= low else (high - at) / (high - low)
            return math.ceil(small + min(1.0, max(0.0, part)) * (large - small))
    return curve[-1][0]


def _largest_bytes(choices: Sequence[TypeChoice]) -> int:
    largest: dict[str, int] = {}
    for choice in choices:
        largest[choice.tensor] = max(choice.size_bytes, largest.get(choice.tensor, 0))
    return sum(largest.values())
