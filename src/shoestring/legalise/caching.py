"""Which weights stay in an accelerator's own memory, and how many cross its link at every inference."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from shoestring.legalise.target import Target

MIB = 1024 * 1024
MOST_BYTES = round(8.05 * MIB)
"""Free for weights where a compiled model runs next to nothing on an Edge TPU: YOLOv5s, 8.05 MiB remaining (public log
of edgetpu_compiler 15.0.340273435); 7.67 MiB with the first layer of YOLOv3-tiny at 416 pixels."""


@dataclass(frozen=True)
class Caching:
    """Where the weights on an accelerator are held.

    One end takes all of its memory for weights; the other leaves the widest layer's activations and the compiler's
    instructions room beside them, and streams whole what does not fit alone. Public logs lie between the two, but for
    some of which the compiler streamed more for reasons that are not published.

    Args:
        weight_bytes: of all operators on the accelerator.
        on_chip_low_bytes: that stay at least.
        on_chip_high_bytes: that stay at most.
        streamed_low_bytes: that cross the link at every inference, at least.
        streamed_high_bytes: at most.
        link_low_ms: what that takes, at least; None where the link is not known.
        link_high_ms: at most.
    """

    weight_bytes: int
    on_chip_low_bytes: int
    on_chip_high_bytes: int
    streamed_low_bytes: int
    streamed_high_bytes: int
    link_low_ms: float | None
    link_high_ms: float | None


def caching(target: Target, parameters: Sequence[int], activation_elements: int) -> Caching | None:
    """What stays and what is streamed; None where the chip's file does not say how much it holds.

    Args:
        target: whose `on_chip` is the size where published latencies bend: it has room for code and activations.
        parameters: of each operator on the accelerator.
        activation_elements: that the widest layer reads and writes, a byte each.
    """
    held = target.accelerator.on_chip
    if held is None:
        return None
    each = [count * target.weight_bytes for count in parameters]
    weight_bytes = sum(each)
    room = max(0, round(held.value) - activation_elements)
    most = min(weight_bytes, max(MOST_BYTES, round(held.value)))
    least = min(sum(one for one in each if one <= room), room)
    link = target.accelerator.link
    each_ms = None if link is None else 1e3 / (link.value * 1e9)
    return Caching(
        weight_bytes=weight_bytes,
        on_chip_low_bytes=least,
        on_chip_high_bytes=most,
        streamed_low_bytes=weight_bytes - most,
        streamed_high_bytes=weight_bytes - least,
        link_low_ms=None if each_ms is None else (weight_bytes - most) * each_ms,
        link_high_ms=None if each_ms is None else (weight_bytes - least) * each_ms,
    )
