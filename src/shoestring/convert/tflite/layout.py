"""How a tensor lies in memory: which of its axes stands at which place. TFLite's images have their channels last.

A layout is the order of a value's axes in memory: (0, 2, 3, 1) is N, H, W, C of a value N, C, H, W. Reordering axes is
then only another name for the same memory, until an operator asks for a certain order.
"""

from __future__ import annotations

import math
from itertools import pairwise

from shoestring.native.form import Array

Layout = tuple[int, ...]
Shape = tuple[int, ...]

IMAGE: Layout = (0, 2, 3, 1)


def plain(rank: int) -> Layout:
    """The axes in their own order."""
    return tuple(range(rank))


def laid(shape: Shape, layout: Layout) -> Shape:
    """The shape in memory."""
    return tuple(shape[axis] for axis in layout)


def steps(have: Layout, want: Layout) -> tuple[int, ...]:
    """The permutation that a TRANSPOSE applies to take one layout to another."""
    return tuple(have.index(axis) for axis in want)


def same_memory(shape: Shape, have: Layout, want: Layout) -> bool:
    """Whether both orders are the same bytes: only axes of one element change their places."""
    return [axis for axis in have if shape[axis] > 1] == [axis for axis in want if shape[axis] > 1]


def turned(layout: Layout, axes: tuple[int, ...]) -> Layout:
    """The layout of numpy.transpose(x, axes) in the memory of x."""
    return tuple(axes.index(axis) for axis in layout)


def with_last(layout: Layout, axis: int) -> Layout:
    """The layout with one axis moved to the end."""
    return (*(a for a in layout if a != axis), axis)


def reshaped(before: Shape, after: Shape, layout: Layout) -> Layout | None:
    """The layout of a reshaped value in the memory of the value, or None where the order of elements would change.

    Axes that are split, merged or kept form groups; each must lie together and in order.

    Args:
        before, after: shapes with the same number of elements, none of them empty.
        layout: of the value before.
    """
    groups = _groups(before, after)
    order: list[int] = []
    left = [axis for axis in layout if before[axis] > 1]
    while left:
        sources, targets = next(group for group in groups if left[0] in group[0])
        if left[: len(sources)] != sources:
            return None
        order += targets
        left = left[len(sources) :]
    ones = [axis for axis, side in enumerate(after) if side == 1]
    return _with_ones(order, ones)


def _groups(before: Shape, after: Shape) -> list[tuple[list[int], list[int]]]:
    """The smallest runs of axes with equal products, axes of one element left out."""
    sources = [axis for axis, side in enumerate(before) if side > 1]
    targets = [axis for axis, side in enumerate(after) if side > 1]
    found = []
    while sources:
        one, other = [sources.pop(0)], [targets.pop(0)]
        while (a := math.prod(before[i] for i in one)) != (b := math.prod(after[i] for i in other)):
            if a < b:
                one.append(sources.pop(0))
            else:
                other.append(targets.pop(0))
        found.append((one, other))
    return found


def _with_ones(order: list[int], ones: list[int]) -> Layout:
    """Axes of one element back in: where they stand in a plain order, or leading where there is none."""
    if all(a < b for a, b in pairwise(order)):
        return tuple(sorted(order + ones))
    return (*ones, *order)


def in_order(array: Array, layout: Layout) -> Array:
    """A constant in the order of a layout; missing leading axes are added."""
    full = array.reshape((1,) * (len(layout) - array.ndim) + array.shape)
    return full.transpose(layout)
