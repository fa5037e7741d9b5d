"""What operators with windows share: attributes as pairs, padding by name, sequences as images of one row."""

from __future__ import annotations

from typing import Any

from shoestring.base.errors import ModelError
from shoestring.native.form import Value
from shoestring.native.front.builder import Builder
from shoestring.native.front.graph import Node, Shape


def as_image(builder: Builder, value: Value, node: Node) -> Value:
    """(1, C, H, W) as it is, (1, C, L) as (1, C, 1, L). Raises ModelError for other shapes."""
    shape = value.shape
    if len(shape) not in (3, 4) or shape[0] != 1:
        raise ModelError(f"its input has the shape {shape}; it must be one image (1, C, H, W) or sequence (1, C, L)")
    if len(shape) == 4:
        return value
    return builder.reshaped(value, f"{node.name}/image", (1, shape[1], 1, shape[2]))


def window(node: Node, kernel: Shape, sides: Shape) -> dict[str, Any]:
    """Kernel, strides, pads (top, left, bottom, right) and dilations of an image's windows.

    Args:
        node: a Conv or pool; attributes for sequences have one entry for each pair.
        kernel: (height, width).
        sides: of the image.

    Raises:
        ModelError: a wrong number of entries, negative pads, or an unknown auto_pad.
    """
    strides = _pair(node, "strides", 1)
    dilations = _pair(node, "dilations", 1)
    named = str(node.attributes.get("auto_pad", "NOTSET"))
    pads = tuple(int(n) for n in node.attributes.get("pads", ()))
    if named in ("SAME_UPPER", "SAME_LOWER"):
        ends = [_same(sides[i], kernel[i], strides[i], dilations[i], named == "SAME_UPPER") for i in (0, 1)]
        pads = (ends[0][0], ends[1][0], ends[0][1], ends[1][1])
    elif named == "VALID" or not pads:
        pads = (0, 0, 0, 0)
    elif named != "NOTSET":
        raise ModelError(f"its auto_pad is {named!r}; there are NOTSET, VALID, SAME_UPPER and SAME_LOWER")
    if len(pads) == 2:
        pads = (0, pads[0], 0, pads[1])
    if len(pads) != 4 or min(pads) < 0:
        raise ModelError(f"its pads are {pads}; they are four, 0 or more")
    return {"kernel": kernel, "strides": strides, "pads": pads, "dilations": dilations}


def kernel_of(node: Node) -> tuple[int, int]:
    """The attribute kernel_shape as (height, width)."""
    if "kernel_shape" not in node.attributes:
        raise ModelError("it has no kernel_shape")
    return _pair(node, "kernel_shape", 1)


def _pair(node: Node, name: str, default: int) -> tuple[int, int]:
    found = tuple(int(n) for n in node.attributes.get(name, (default, default)))
    if len(found) == 1:
        found = (1, *found)
    if len(found) != 2 or min(found) < 1:
        raise ModelError(f"its {name} are {found}; they are two, 1 or more")
    return found[0], found[1]


def _same(side: int, kernel: int, stride: int, dilation: int, upper: bool) -> tuple[int, int]:
    """Padding before and behind so that the output has ceil(side / stride) elements."""
    total = max((-(-side // stride) - 1) * stride + (kernel - 1) * dilation + 1 - side, 0)
    small = total // 2
    return (small, total - small) if upper else (total - small, small)
