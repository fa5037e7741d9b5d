"""A round of coordinate descent over the blocks of a tensor: the numbers of a block, then its codes.

With all else held the loss tr(E H E^T) is a parabola in each number and in each code, so the one nearest to its lowest
point is the best: no step raises the loss. With V moved by t along B, the lowest point is at t = <B, H E> / <B, H B>
(for codes: Behdin et al., "QuantEase", 2023, lemma 1). H E is needed of the block's own columns alone, and only changes
with them while the block has its turn, so a round costs one product of H and E.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from shoestring.weights.encode.grid import half

if TYPE_CHECKING:
    from shoestring.weights.arrays import Bytes, Floats
    from shoestring.weights.encode.grid import Grid
    from shoestring.weights.encode.steps import Steps

_TINY = np.float32(1e-30)
_RUN = 32  # columns between two matrix products


def descend(grid: Grid, steps: Steps, gram: Floats, codes: Bytes, error: Floats) -> None:
    """One round.

    Args:
        grid, steps: of the tensor; changed in place.
        gram: (columns, columns), damped.
        codes: (columns, rows); changed in place.
        error: (columns, rows), weights less values; changed in place.
    """
    size = grid.layout.elements
    for block in range(grid.d.shape[1]):
        where = slice(block * size, (block + 1) * size)
        turn = _Turn(gram[where, where], gram[where] @ error)
        _numbers(grid, block, codes[where], turn)
        steps.renew(block)
        _codes(steps, block * size, codes[where], turn)
        error[where] += turn.moved


class _Turn:
    """A block while it has its turn: how hard each column is pulled, and how far it was moved.

    Args:
        gram: (columns, columns) of the block.
        pull: its part of H E, (columns, rows).
    """

    def __init__(self, gram: Floats, pull: Floats) -> None:
        self.gram, self.pull = gram, pull
        self.moved = np.zeros_like(pull)  # what E gains

    def lowest(self, where: slice, direction: Floats) -> Floats:
        """How far along `direction`, (columns of `where`, rows), the lowest point of each row lies: (rows,)."""
        bent = self.gram[where, where] @ direction
        downhill = np.einsum("cr,cr->r", direction, self.pull[where])
        step: Floats = downhill / np.maximum(np.einsum("cr,cr->r", direction, bent), _TINY)
        return step

    def move(self, where: slice, direction: Floats, step: Floats) -> None:
        """The values of each row were moved by `step` along `direction`."""
        way = direction * step
        self.moved[where] -= way
        self.pull -= self.gram[:, where] @ way


def _numbers(grid: Grid, block: int, codes: Bytes, turn: _Turn) -> None:
    """Whole scales and minimums of the groups, then the block's own numbers."""
    layout = grid.layout
    chosen = layout.levels[codes]
    for place in range(layout.groups):
        where = slice(place * layout.group, (place + 1) * layout.group)
        if grid.scales is not None and layout.scales is not None:
            _whole(turn, where, chosen[where], grid.d[:, block], grid.scales[:, block, place], layout.scales)
        if grid.minimums is not None and layout.minimums is not None and grid.m is not None:
            flat = np.full_like(chosen[where], -1.0)
            _whole(turn, where, flat, grid.m[:, block], grid.minimums[:, block, place], (0, layout.minimums))
    if grid.scales is not None:
        chosen *= np.repeat(grid.scales[:, block].T, layout.group, axis=0)
    _half(turn, chosen, grid.d[:, block])
    if grid.m is not None:
        flat = np.ones_like(chosen)
        if grid.minimums is not None:
            flat = -np.repeat(grid.minimums[:, block].T, layout.group, axis=0)
        _half(turn, flat, grid.m[:, block])


def _whole(
    turn: _Turn, where: slice, direction: Floats, factor: Floats, whole: Floats, limits: tuple[int, int]
) -> None:
    """Set the whole numbers of one group of all rows; `whole` is a view and changed in place."""
    safe = np.where(np.abs(factor) > _TINY, factor, np.inf)
    found = np.clip(np.rint(whole + turn.lowest(where, direction) / safe), *limits)
    turn.move(where, direction, (found - whole) * factor)
    whole[:] = found


def _half(turn: _Turn, direction: Floats, number: Floats) -> None:
    """Set the number of 16 bits of the block of all rows; `number` is a view and changed in place."""
    where = slice(None)
    found = half(number + turn.lowest(where, direction))
    turn.move(where, direction, found - number)
    number[:] = found


def _codes(steps: Steps, first: int, codes: Bytes, turn: _Turn) -> None:
    """Each column set to the best code while all others are held; `codes` of the block is changed in place."""
    diagonal = np.diag(turn.gram)
    for start in range(0, len(codes), _RUN):
        end = min(start + _RUN, len(codes))
        moved = np.empty((end - start, codes.shape[1]), np.float32)
        for place in range(start, end):
            column = first + place
            now = steps.values(column // steps.group, codes[place])
            pull = turn.pull[place]
            if place > start:
                pull = pull - turn.gram[place, start:place] @ moved[: place - start]
            codes[place], new = steps.round(column, now + pull / diagonal[place])
            np.subtract(new, now, out=moved[place - start])
        turn.moved[start:end] -= moved
        if end < len(codes):
            turn.pull[end:] -= turn.gram[end:, start:end] @ moved
