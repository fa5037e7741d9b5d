"""Padding of windows: by TFLite's names SAME and VALID where they mean the same, else by a PAD in front."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from shoestring.convert.tflite.emitter import Emitter
from shoestring.convert.tflite.layout import IMAGE
from shoestring.native.form import Pads, Value, Window


@dataclass(frozen=True)
class Framed:
    """An image that is ready for windows.

    Args:
        tensor: N, H, W, C.
        padding: SAME or VALID.
    """

    tensor: int
    padding: str


def padding_name(
    sides: Window, kernel: Window, strides: Window, pads: Pads, dilations: Window, out: Window
) -> str | None:
    """SAME or VALID where TFLite's rule for it puts every window where the pads do, else None.

    SAME has ceil(side / stride) windows and half of the padding they need, rounded down, in front; VALID has none.
    Source: tflite/kernels/padding.h.

    Args:
        sides: height and width of the image.
        kernel, strides, dilations: of the windows.
        pads: top, left, bottom, right.
        out: height and width of the result.
    """
    reach = [(kernel[i] - 1) * dilations[i] + 1 for i in (0, 1)]
    fits = [
        pads[i] == 0 and out[i] == -(-(sides[i] - reach[i] + 1) // strides[i]) and reach[i] <= sides[i] for i in (0, 1)
    ]
    if all(fits):
        return "VALID"
    needed = [max((out[i] - 1) * strides[i] + reach[i] - sides[i], 0) for i in (0, 1)]
    same = all(out[i] == -(-sides[i] // strides[i]) and pads[i] == needed[i] // 2 for i in (0, 1))
    return "SAME" if same else None


def framed(
    emitter: Emitter,
    value: Value,
    kernel: Window,
    strides: Window,
    pads: Pads,
    dilations: Window,
    out: Window,
    fill: float,
) -> Framed:
    """An image with its padding named, or written as an operator.

    Args:
        emitter: to emit to.
        value: the image (1, C, H, W).
        kernel, strides, pads, dilations, out: as `padding_name` takes them.
        fill: what stands outside the image: a code or a real.
    """
    tensor = emitter.tensor(value.name, IMAGE)
    sides = (value.shape[2], value.shape[3])
    name = padding_name(sides, kernel, strides, pads, dilations, out)
    if name is not None:
        return Framed(tensor, name)
    behind = [
        max((out[i] - 1) * strides[i] + (kernel[i] - 1) * dilations[i] + 1 - sides[i] - pads[i], 0) for i in (0, 1)
    ]
    before, after = (0, pads[0], pads[1], 0), (0, behind[0], behind[1], 0)
    return Framed(padded(emitter, value, tensor, before, after, fill), "VALID")


def padded(
    emitter: Emitter, value: Value, tensor: int, before: tuple[int, ...], after: tuple[int, ...], fill: float
) -> int:
    """A tensor with elements around it; `before` and `after` in the order of its memory."""
    shape = [a + side + b for a, side, b in zip(before, emitter.flat.shape(tensor), after, strict=True)]
    made = emitter.like(value, f"{value.name}/padded", shape)
    return pad_into(emitter, value, tensor, made, before, after, fill)


def pad_into(
    emitter: Emitter,
    value: Value,
    tensor: int,
    made: int,
    before: tuple[int, ...],
    after: tuple[int, ...],
    fill: float,
) -> int:
    """PAD where zeros are added, else PADV2 with its constant."""
    counts = emitter.flat.plain(np.stack([before, after], axis=1), "int32", "pads")
    int8 = value.kind == "i8"
    if fill == (value.zero if int8 else 0.0):
        return emitter.flat.operator("PAD", (tensor, counts), made, options="Pad", int8=int8)
    constant = emitter.constant(np.array([fill]), value, (0,), value.scale, value.zero)
    return emitter.flat.operator("PADV2", (tensor, counts, constant), made, options="PadV2", int8=int8)


def sides_of(value: Value) -> Window:
    """Height and width of an image."""
    return (value.shape[2], value.shape[3])


__all__ = ["Framed", "framed", "pad_into", "padded", "padding_name", "sides_of"]
