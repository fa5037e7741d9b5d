"""The conditions that makers put on operators, by the names that chips/operators/*.toml use.

Each answers whether a node keeps a limit; what cannot be known because a shape depends on the data counts as broken.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from shoestring.legalise.padding import padding_of, same_pads

if TYPE_CHECKING:
    from collections.abc import Callable

    from shoestring.chips.operators import Limit
    from shoestring.legalise.site import Site


def broken(site: Site, limits: tuple[Limit, ...]) -> Limit | None:
    """The first limit that a node breaks, or None."""
    return next((limit for limit in limits if not RULES[limit.rule](site, limit)), None)


def _static(site: Site, limit: Limit) -> bool:
    return all(site.shape(name) is not None for name in site.activations())


def _types(site: Site, limit: Limit) -> bool:
    return all(site.element(name) in (*limit.allowed, None) for name in site.activations())


def _outer_ones(site: Site, limit: Limit) -> bool:
    """(batch, channels, y, x) lies there as (batch, y, x, channels), so that up to rank 4 only the batch is outside."""
    shapes = [site.shape(name) for name in site.activations()]
    return all(shape is not None and math.prod(shape[: -limit.number]) == 1 for shape in shapes if shape != ())


def _stored(site: Site, limit: Limit) -> bool:
    return all(site.given(index) is None or site.given(index) in site.view.stored for index in limit.inputs)


def _stored_axes(site: Site, limit: Limit) -> bool:
    index = 3 if site.node.op_type == "Slice" else 1
    return site.given(index) is None or site.given(index) in site.view.stored


def _equal(site: Site, limit: Limit) -> bool:
    return len(set(site.attribute(limit.attribute, []))) <= 1


def _equal_to(site: Site, limit: Limit) -> bool:
    return set(site.attribute(limit.attribute, [])) <= {limit.number}


def _number(site: Site, limit: Limit) -> bool:
    return bool(site.attribute(limit.attribute, limit.number) == limit.number)


def _one_of(site: Site, limit: Limit) -> bool:
    return site.attribute(limit.attribute, limit.allowed[0]) in limit.allowed


def _window_rank(site: Site, limit: Limit) -> bool:
    rank = site.rank(str(site.node.input[0]))
    return rank is not None and rank - 2 in limit.inputs


def _one_output(site: Site, limit: Limit) -> bool:
    return sum(bool(name) for name in site.node.output) == 1


def _no_padding_counted(site: Site, limit: Limit) -> bool:
    return not site.attribute("count_include_pad", 0) or not any(padding_of(site) or ())


def _same_or_valid(site: Site, limit: Limit) -> bool:
    pads = padding_of(site)
    return pads is not None and (not any(pads) or pads == same_pads(site)) and not site.attribute("ceil_mode", 0)


def _zeros_joined(site: Site, limit: Limit) -> bool:
    joined = [site.graph.weights[name] for name in site.node.input if name in site.graph.weights]
    return not joined or (len(site.node.input) == 2 and not np.any(joined[0]))


def _not_batch(site: Site, limit: Limit) -> bool:
    axis, rank = site.attribute(limit.attribute, 0), site.rank(str(site.node.input[0]))
    return rank is not None and (axis % rank != 0 or rank < 2)


def _reduced_inside(site: Site, limit: Limit) -> bool:
    axes, rank = site.integers(1, "axes"), site.rank(str(site.node.input[0]))
    return bool(axes) and rank is not None and axes is not None and all(axis % rank != 0 for axis in axes)


def _channel_multiple(site: Site, limit: Limit) -> bool:
    axes, shape = site.integers(1, "axes"), site.shape(str(site.node.input[0]))
    if axes is None or shape is None or len(shape) != 4 or 1 not in [axis % 4 for axis in axes]:
        return True
    return shape[1] % limit.number == 0


def _pads_zeros(site: Site, limit: Limit) -> bool:
    pads, value = site.integers(1, "pads"), site.stored(2)
    if pads is None or site.attribute("mode", "constant") != "constant":
        return False
    half = len(pads) // 2
    return pads[0] == pads[half] == 0 and (site.given(2) is None or (value is not None and not np.any(value)))


def _slope_per_channel(site: Site, limit: Limit) -> bool:
    slope = site.stored(1)
    return slope is not None and slope.size == (slope.shape[-3] if slope.ndim >= 3 else slope.size)


def _lite_grid(site: Site, limit: Limit) -> bool:
    grid = site.attribute("coordinate_transformation_mode", "half_pixel")
    if site.attribute("mode", "nearest") == "nearest":
        return bool(grid == "asymmetric" and site.attribute("nearest_mode", "round_prefer_floor") == "floor")
    return grid in ("half_pixel", "align_corners", "asymmetric")


def _unit_steps(site: Site, limit: Limit) -> bool:
    steps = site.stored(4)
    return site.given(4) is None or (steps is not None and bool(np.all(steps == 1)))


def _vector(site: Site, limit: Limit) -> bool:
    shape = site.shape(site.output)
    if shape is None or math.prod(shape[:-1]) != 1:
        return False
    return not limit.number or shape[-1] <= limit.number


def _leading_ones(site: Site, limit: Limit) -> bool:
    axes, rank = site.integers(1, "axes"), site.rank(str(site.node.input[0]))
    if not axes or rank is None:
        return False
    return sorted(axis % rank for axis in axes) == list(range(len(axes)))


def _zero_point_zero(site: Site, limit: Limit) -> bool:
    value = site.stored(2)
    return value is not None and not np.any(value)


RULES: dict[str, Callable[[Site, Limit], bool]] = {
    "channel-multiple": _channel_multiple,
    "equal": _equal,
    "equal-to": _equal_to,
    "leading-ones": _leading_ones,
    "lite-grid": _lite_grid,
    "no-padding-counted": _no_padding_counted,
    "not-batch": _not_batch,
    "number": _number,
    "one-of": _one_of,
    "one-output": _one_output,
    "outer-ones": _outer_ones,
    "pads-zeros": _pads_zeros,
    "reduced-inside": _reduced_inside,
    "same-or-valid": _same_or_valid,
    "slope-per-channel": _slope_per_channel,
    "static": _static,
    "stored": _stored,
    "stored-axes": _stored_axes,
    "types": _types,
    "unit-steps": _unit_steps,
    "vector": _vector,
    "window-rank": _window_rank,
    "zero-point-zero": _zero_point_zero,
    "zeros-joined": _zeros_joined,
}
