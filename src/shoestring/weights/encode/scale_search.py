"""Scales of groups, by weighted least squares over candidates.

For codes that are held, the best scale of a group has a closed form; candidates are the scales that bring the group's
largest value to some place near the end of the levels, and each gives its codes. This is the family of
make_qx_quants and make_qkx3_quants of ggml/src/ggml-quants.c.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from shoestring.weights.arrays import Floats
    from shoestring.weights.encode.nearest import Levels

_ALIKE = np.float32(1e-5)  # codes of a group that differ less are one code, and no line goes through one point
_TINY = np.float32(1e-30)  # below it a group is nothing but zeros


def signed_scales(values: Floats, weights: Floats, levels: Levels, ends: Floats, rounds: int = 2) -> Floats:
    """The scale of every group whose values are scale x level.

    Args:
        values: (rows, groups, group).
        weights: of them, above zero, of a shape that broadcasts.
        levels: what may be multiplied.
        ends: places between the levels where the largest value is tried.
        rounds: of codes and scales in turn after that.

    Returns:
        (rows, groups); 0 where all values are.
    """
    place = np.abs(values).argmax(axis=-1)[..., None]
    extreme = np.take_along_axis(values, place, axis=-1)[..., 0]
    best = np.zeros_like(extreme)
    gain = np.full_like(extreme, -1.0)
    weighted = values * weights
    for end in ends:
        inverse = np.divide(end, extreme, out=np.zeros_like(extreme), where=np.abs(extreme) > _TINY)
        _improve(values, weights, weighted, levels, inverse, best, gain)
    for _ in range(rounds):
        inverse = np.divide(1, best, out=np.zeros_like(best), where=np.abs(best) > _TINY)
        _improve(values, weights, weighted, levels, inverse, best, gain)
    return best


def _improve(
    values: Floats, weights: Floats, weighted: Floats, levels: Levels, inverse: Floats, best: Floats, gain: Floats
) -> None:
    """Take the scale that suits the codes of `inverse` wherever it lowers the error."""
    chosen = levels.nearest(values * inverse[..., None])
    product = np.einsum("rgk,rgk->rg", weighted, chosen)
    square = np.einsum("rgk,rgk->rg", chosen * weights, chosen)
    square = np.maximum(square, _TINY)
    found = product * product / square
    better = found > gain
    np.copyto(gain, found, where=better)
    np.copyto(best, product / square, where=better)


def affine_steps(
    values: Floats, weights: Floats, levels: Levels, widths: Floats, *, below: bool, rounds: int = 2
) -> tuple[Floats, Floats]:
    """Scale and offset of every group whose values are scale x level + offset, the levels starting at 0.

    Args:
        values, weights, levels, rounds: as in `signed_scales`.
        widths: how many levels the range of the values is tried to take.
        below: whether an offset may be 0 or less alone, as in K types.

    Returns:
        (rows, groups) each; scales are 0 or more.
    """
    low, high = values.min(axis=-1), values.max(axis=-1)
    if below:
        low = np.minimum(low, 0)
    sums = _Sums(values, np.broadcast_to(weights, values.shape), levels, below=below)
    scale, offset = np.zeros_like(low), low.copy()
    error = np.full_like(low, np.inf)
    for width in widths:
        inverse = np.divide(width, high - low, out=np.zeros_like(low), where=high - low > _TINY)
        sums.improve(inverse, low, scale, offset, error)
    for _ in range(rounds):
        inverse = np.divide(1, scale, out=np.zeros_like(scale), where=scale > _TINY)
        sums.improve(inverse, offset.copy(), scale, offset, error)
    return scale, offset


class _Sums:
    """Weighted sums over groups that do not depend on the codes, and the fit of a line to those that do."""

    def __init__(self, values: Floats, weights: Floats, levels: Levels, *, below: bool) -> None:
        self.values, self.weights, self.levels, self.below = values, weights, levels, below
        self.weighted = values * weights
        self.w = weights.sum(axis=-1)
        self.x = self.weighted.sum(axis=-1)
        self.xx = np.einsum("rgk,rgk->rg", self.weighted, values)

    def improve(self, inverse: Floats, start: Floats, scale: Floats, offset: Floats, error: Floats) -> None:
        """Take scale and offset that suit the codes of (inverse, start) wherever they lower the error."""
        chosen = self.levels.nearest((self.values - start[..., None]) * inverse[..., None])
        q = np.einsum("rgk,rgk->rg", self.weights, chosen)
        xq = np.einsum("rgk,rgk->rg", self.weighted, chosen)
        qq = np.maximum(np.einsum("rgk,rgk->rg", self.weights * chosen, chosen), _TINY)
        spread = self.w * qq - q * q
        alike = spread <= _ALIKE * self.w * qq
        spread = np.where(alike, 1, spread)
        slope = np.where(alike, 0, (self.w * xq - self.x * q) / spread)
        base = np.where(alike, self.x / self.w, (qq * self.x - q * xq) / spread)
        if self.below:
            above = base > 0
            base = np.where(above, 0, base)
            slope = np.where(above, xq / qq, slope)
        slope = np.maximum(slope, 0)
        found = (
            self.xx
            - 2 * (slope * xq + base * self.x)
            + slope * slope * qq
            + 2 * slope * base * q
            + base * base * self.w
        )
        better = found < error
        np.copyto(error, found, where=better)
        np.copyto(scale, slope, where=better)
        np.copyto(offset, base, where=better)
