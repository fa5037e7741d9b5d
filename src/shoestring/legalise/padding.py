"""Padding of windows: as ONNX writes it, and as TensorFlow would have it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from shoestring.legalise.site import Site


def window_of(site: Site) -> list[int] | None:
    """Extent of the window along each axis; None where it is not known."""
    kernel = site.attribute("kernel_shape")
    if kernel is None:
        weight = None if site.given(1) is None else site.shape(str(site.given(1)))
        kernel = None if weight is None else weight[2:]
    return None if kernel is None else [int(one) for one in kernel]


def padding_of(site: Site) -> list[int] | None:
    """All begins, then all ends, with `auto_pad` worked out; None where it depends on an unknown shape."""
    window = window_of(site)
    if window is None:
        return None
    automatic = site.attribute("auto_pad", "NOTSET")
    if automatic == "NOTSET":
        return [int(one) for one in site.attribute("pads", [0] * (2 * len(window)))]
    if automatic == "VALID":
        return [0] * (2 * len(window))
    return same_pads(site, upper=automatic == "SAME_UPPER")


def same_pads(site: Site, *, upper: bool = True) -> list[int] | None:
    """What TensorFlow's SAME adds: ceil(size / stride) results, the odd one at the end where `upper`
    (https://www.tensorflow.org/api_docs/python/tf/nn, "Notes on padding"). None where the size is not known."""
    window, shape = window_of(site), site.shape(str(site.node.input[0]))
    if window is None or shape is None:
        return None
    strides = site.attribute("strides", [1] * len(window))
    dilations = site.attribute("dilations", [1] * len(window))
    first, last = [], []
    for size, kernel, stride, dilation in zip(shape[2:], window, strides, dilations, strict=True):
        reach = (kernel - 1) * dilation + 1
        total = max((-(-size // stride) - 1) * stride + reach - size, 0)
        less, more = total // 2, total - total // 2
        first.append(less if upper else more)
        last.append(more if upper else less)
    return [*first, *last]
