"""Whether what a candidate answers here is what it will answer on the chip it is for."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from shoestring.fitting.candidates import Artefact
    from shoestring.fitting.workbench import Workbench

SATURATING = ("onnxruntime", "openvino")
"""Runtimes whose 8-bit kernels for AVX2 use VPMADDUBSW, which adds two products in 16 bits and saturates."""
EXACT_BITS = 7
"""Of weights: two products of an unsigned byte and such a weight fit into 16 bits."""
VNNI = frozenset(("avx512_vnni", "avx_vnni"))


def unsound(bench: Workbench, artefact: Artefact) -> str | None:
    """Why answers of this machine would not be those of the chip, or None.

    For this machine itself a saturated sum is simply what it computes, and is scored as such.
    """
    if bench.aim is None or artefact.runtime not in SATURATING or not artefact.recipe.precision.startswith("int8"):
        return None
    here = frozenset(bench.machine.isa)
    if "avx2" not in here or here & VNNI or bench.scheme.weight_bits <= EXACT_BITS:
        return None
    return (
        f"cannot be scored here: 8-bit products of {artefact.runtime} saturate on this processor (AVX2 without VNNI), "
        f"not on {bench.aim.chip}; its program, or a processor with VNNI, tells"
    )


__all__ = ["unsound"]
