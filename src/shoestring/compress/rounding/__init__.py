"""Second-order rounding: integer weights chosen by what a layer's real inputs make of their errors."""

from shoestring.compress.rounding.choose import follow_drift
from shoestring.compress.rounding.layerwise import Rounded, round_layers

__all__ = ["Rounded", "follow_drift", "round_layers"]
