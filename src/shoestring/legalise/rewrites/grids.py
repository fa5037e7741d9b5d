"""Resizing: where two of ONNX's many grids pick the very same values, the one that more chips know."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from shoestring.legalise.rewrites.change import Change, instead

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy.typing as npt

    from shoestring.legalise.site import Site

    Indices = npt.NDArray[np.int64]
    Places = npt.NDArray[np.float64]

ROUNDINGS: dict[str, Callable[[Places], Places]] = {
    "floor": np.floor,
    "ceil": np.ceil,
    "round_prefer_floor": lambda x: np.ceil(x - 0.5),
    "round_prefer_ceil": lambda x: np.floor(x + 0.5),
}
SPATIAL = (2, 3)


def nearest_as_asymmetric(site: Site) -> Change | None:
    """Nearest neighbours by index = floor(i / scale), where the grid asked for picks just these."""
    sizes = _sizes(site, "nearest")
    if sizes is None:
        return None
    grid, rounding = _grid(site), site.attribute("nearest_mode", "round_prefer_floor")
    if rounding not in ROUNDINGS:
        return None
    for before, after in sizes:
        same, wanted = picked(before, after, grid, rounding), picked(before, after, "asymmetric", "floor")
        if same is None or wanted is None or not np.array_equal(same, wanted):
            return None
    return instead(site, _again(site, coordinate_transformation_mode="asymmetric", nearest_mode="floor"))


def linear_as_half_pixel(site: Site) -> Change | None:
    """pytorch_half_pixel differs from half_pixel only where a side has one value after."""
    sizes = _sizes(site, "linear")
    if sizes is None or _grid(site) != "pytorch_half_pixel" or any(after == 1 != before for before, after in sizes):
        return None
    return instead(site, _again(site, coordinate_transformation_mode="half_pixel"))


def nearest_as_transposed_conv(site: Site) -> Change | None:
    """Each value repeated n times along both axes: a transposed convolution with ones, one group a channel."""
    sizes, shape = _sizes(site, "nearest"), site.shape(str(site.node.input[0]))
    if sizes is None or shape is None or any(after % before for before, after in sizes):
        return None
    scales = [after // before for before, after in sizes]
    grid, rounding = _grid(site), site.attribute("nearest_mode", "round_prefer_floor")
    for (before, after), scale in zip(sizes, scales, strict=True):
        same = picked(before, after, grid, rounding)
        if same is None or not np.array_equal(same, np.arange(after) // scale):
            return None
    kernel = site.constant("ones", np.ones((shape[1], 1, *scales)))
    x = str(site.node.input[0])
    return instead(site, site.step("ConvTranspose", [x, kernel], strides=scales, kernel_shape=scales, group=shape[1]))


def picked(before: int, after: int, grid: str, rounding: str) -> Indices | None:
    """Index of the value that each place takes along an axis, by ONNX's formulas for Resize (Operators.md); None for a
    grid that is not known here.

    Args:
        before: length of the axis.
        after: length once resized.
        grid: coordinate_transformation_mode.
        rounding: nearest_mode.
    """
    place, scale = np.arange(after, dtype=np.float64), after / before
    if grid == "asymmetric":
        found = place / scale
    elif grid in ("half_pixel", "pytorch_half_pixel"):
        found = np.zeros(after) if grid == "pytorch_half_pixel" and after == 1 else (place + 0.5) / scale - 0.5
    elif grid == "tf_half_pixel_for_nn":
        found = (place + 0.5) / scale
    elif grid == "align_corners":
        found = np.zeros(after) if after == 1 else place * (before - 1) / (after - 1)
    else:
        return None
    rounded: Indices = np.clip(ROUNDINGS[rounding](found), 0, before - 1).astype(np.int64)
    return rounded


def _grid(site: Site) -> str:
    return str(site.attribute("coordinate_transformation_mode", "half_pixel"))


def _sizes(site: Site, mode: str) -> list[tuple[int, int]] | None:
    """(before, after) of the two spatial axes, where only they change and the scale is after / before."""
    before, after = site.shape(str(site.node.input[0])), site.shape(site.output)
    if site.attribute("mode", "nearest") != mode or before is None or after is None or len(before) != 4:
        return None
    if before[:2] != after[:2] or site.attribute("antialias", 0):
        return None
    scales = site.stored(2)
    if scales is not None and scales.size:
        axes = site.attribute("axes", list(range(4)))
        given = dict(zip((axis % 4 for axis in axes), scales, strict=True))
        if any(given.get(axis, 1.0) * before[axis] != after[axis] for axis in SPATIAL):
            return None
    return [(before[axis], after[axis]) for axis in SPATIAL]


def _again(site: Site, **changes: str) -> Any:
    kept = {item.name: site.attribute(item.name) for item in site.node.attribute}
    return site.step("Resize", list(site.node.input), **{**kept, **changes})
