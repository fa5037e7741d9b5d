"""How an image becomes the model's input: an explicit, stored specification."""

from __future__ import annotations

import math
from dataclasses import dataclass

RESIZES = ("stretch", "shorter-side", "letterbox", "none")
FILTERS = ("nearest", "bilinear", "bicubic", "area")
COLOURS = ("rgb", "bgr", "grey")
LAYOUTS = ("nchw", "nhwc")
DTYPES = ("float32", "uint8")


@dataclass(frozen=True)
class Preprocess:
    """Decode -> colour -> resize -> centre crop -> (pixel * scale - mean) / std -> layout.

    Args:
        height: of the model's input, pixels.
        width: of the model's input, pixels.
        resize: `stretch` to (height, width); `shorter-side` keeps the aspect and then crops the centre;
            `letterbox` keeps the aspect, shows the whole image and fills the rest with grey bars, as Darknet does;
            `none` demands images of the right size.
        resize_to: for `shorter-side`: length of the shorter side before the crop, pixels.
        filter: resampling filter; all but `nearest` are antialiased when shrinking.
        colour: channel order of the input.
        scale: factor on the 0..255 pixel value before the mean is taken off, above zero.
        mean: for each channel, in the order of `colour`, in scaled units.
        std: for each channel, likewise, above zero.
        layout: of the input tensor.
        dtype: of the input tensor; `uint8` allows neither mean nor std nor scale.
    """

    height: int
    width: int
    resize: str = "stretch"
    resize_to: int | None = None
    filter: str = "bilinear"
    colour: str = "rgb"
    scale: float = 1.0 / 255.0
    mean: tuple[float, ...] = (0.0, 0.0, 0.0)
    std: tuple[float, ...] = (1.0, 1.0, 1.0)
    layout: str = "nchw"
    dtype: str = "float32"

    @property
    def channels(self) -> int:
        return 1 if self.colour == "grey" else 3

    def problems(self) -> list[str]:
        """Every rule of the class text that this specification breaks, in words; empty when sound."""
        found = []
        for name, value, allowed in (
            ("resize", self.resize, RESIZES),
            ("filter", self.filter, FILTERS),
            ("colour", self.colour, COLOURS),
            ("layout", self.layout, LAYOUTS),
            ("dtype", self.dtype, DTYPES),
        ):
            if value not in allowed:
                found.append(f"{name} {value!r} is not one of {', '.join(allowed)}")
        if not (0 < self.height <= 8192 and 0 < self.width <= 8192):
            found.append(f"size {self.height}x{self.width} is outside 1..8192")
        if len(self.mean) != self.channels or len(self.std) != self.channels:
            found.append(f"mean and std need {self.channels} values each, got {len(self.mean)} and {len(self.std)}")
        if not all(math.isfinite(value) for value in (self.scale, *self.mean, *self.std)) or self.scale <= 0:
            found.append("scale must be above zero, and scale, mean and std finite numbers")
        if any(value <= 0 for value in self.std):
            found.append(f"std must be above zero, got {self.std}")
        if (self.resize == "shorter-side") != (self.resize_to is not None):
            found.append("resize_to goes with resize = 'shorter-side', and only with it")
        if self.resize_to is not None and self.resize_to < max(self.height, self.width):
            found.append(f"resize_to {self.resize_to} is smaller than the crop {self.height}x{self.width}")
        if self.dtype == "uint8" and (self.scale != 1.0 or any(self.mean) or any(value != 1.0 for value in self.std)):
            found.append("dtype 'uint8' needs scale 1, mean 0 and std 1")
        return found
