"""Processors on which ONNX Runtime's 8-bit products are not exact: tests of fidelity mean nothing there."""

from __future__ import annotations

import pytest

from shoestring.chips.host import this_machine

VNNI = {"avx512_vnni", "avx_vnni"}
SATURATES = "avx2" in this_machine().isa and not VNNI & set(this_machine().isa)
"""VPMADDUBSW adds two products in 16 bits and saturates; recipes use 7-bit weights on such a machine."""

REASON = "8-bit products saturate on this processor (AVX2 without VNNI)"
needs_exact_products = pytest.mark.skipif(SATURATES, reason=REASON)
