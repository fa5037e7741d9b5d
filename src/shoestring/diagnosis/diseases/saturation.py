"""Sums of two products that do not fit 16 bits."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from shoestring.compress.scheme import scheme_for
from shoestring.diagnosis.examination import Array, Examination
from shoestring.diagnosis.findings import Disease, Evidence, Finding, Item, Remark
from shoestring.diagnosis.weights import Layer

LARGEST_ACTIVATION = 255
INT16_MAX = 32_767
CERTAIN = (
    0.001  # share of pairs from which on some product of a layer meets two large activations in nearly every image
)


def look(examined: Examination) -> Iterator[Item]:
    """Neighbouring signed weights whose products with bytes of 255 leave int16, as VPMADDUBSW adds them."""
    quantized = [(layer, share) for layer in examined.layers if (share := saturating_share(layer)) is not None]
    if not quantized:
        scheme = scheme_for(examined.aim.isa)
        if examined.layers and not examined.quantized and examined.aim.accelerator is None:
            yield Remark(
                f"on {examined.aim.name} `shoestring fit` quantizes with {scheme.weight_bits}-bit weights and "
                f"{scheme.activation} activations: {scheme.why}"
            )
        return
    bad = sorted(((layer, share) for layer, share in quantized if share > 0), key=lambda item: -item[1])
    if not bad:
        return
    pairs = sum(_pair_count(layer) for layer, _ in quantized)
    total = sum(share * _pair_count(layer) for layer, share in bad) / pairs
    words = f"{100 * total:.2g} % of all weight pairs, in {len(bad)} of {len(quantized)} layers, can leave 16 bits"
    if not examined.aim.saturates:
        yield Remark(f"no saturation on {examined.aim.name}; on x86 without VNNI {words} in ONNX Runtime")
        return
    yield Finding(
        "harms" if bad[0][1] >= CERTAIN else "may harm",
        f"{words} where VPMADDUBSW adds two products, on {examined.aim.name}",
        tuple(
            Evidence(layer.name, f"{100 * share:.2g} % of {_pair_count(layer):,} pairs", {"share_of_pairs": share})
            for layer, share in bad
        ),
        "quantize on that machine with `shoestring fit`, which takes 7-bit weights there, or run the model as "
        "`shoestring compile` makes it, whose sums are exact",
    )


def saturating_share(layer: Layer) -> float | None:
    """Share of weight pairs (w0, w1) with |255 * (w0 + w1)| beyond int16; None for a layer that is not added that way.

    Pairs are neighbours in the order in which ONNX Runtime adds products up: input channels first, then the positions
    of the kernel. Depthwise layers have kernels of their own, which add in 32 bits.
    """
    pairs = _pairs(layer)
    if pairs is None:
        return None
    sums = LARGEST_ACTIVATION * np.abs(pairs.sum(axis=-1))
    return float(np.mean(sums > INT16_MAX))


def _pairs(layer: Layer) -> Array | None:
    codes = layer.weight.codes
    if codes is None or codes.dtype != np.int8 or layer.depthwise:
        return None
    if layer.operator == "Conv":
        codes = np.moveaxis(codes, 1, -1)
    rows = np.moveaxis(codes, 0 if layer.operator == "Conv" else layer.axis, 0).reshape(layer.channels, -1)
    if rows.shape[1] % 2:
        rows = np.pad(rows, ((0, 0), (0, 1)))
    return rows.astype(np.int32).reshape(layer.channels, -1, 2)


def _pair_count(layer: Layer) -> int:
    return (layer.weight.values.size // layer.channels + 1) // 2 * layer.channels


DISEASE = Disease(
    id="saturation",
    name="saturation on x86 without VNNI",
    what="Engines multiply unsigned by signed bytes with VPMADDUBSW, which adds two products in 16 bits; two large "
    "weights of one sign side by side give wrong sums on AVX2 and SSE4.1 that no other machine shows.",
    needs="8-bit weights, and the target",
    source="Intel 64 and IA-32 Architectures Software Developer's Manual, VPMADDUBSW; ONNX Runtime "
    'documentation, "Quantize '
    'ONNX models"',
    look=look,
)
