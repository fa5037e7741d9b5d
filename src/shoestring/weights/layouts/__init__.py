"""How each block type lies in bits: codes, scales and minimums, packed and unpacked. No rounding happens here."""

from shoestring.weights.layouts.k_types import K_TYPES
from shoestring.weights.layouts.layout import Blocks, Layout
from shoestring.weights.layouts.plain import PLAIN

LAYOUTS: dict[str, Layout] = {layout.name: layout for layout in (*PLAIN, *K_TYPES)}

__all__ = ["LAYOUTS", "Blocks", "Layout"]
