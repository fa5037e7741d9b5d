"""Channels of one tensor whose ranges lie far apart."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from shoestring.compress.layers import foldable_activation
from shoestring.diagnosis.examination import Array, Examination
from shoestring.diagnosis.findings import Disease, Evidence, Finding, Item, Unexamined
from shoestring.diagnosis.quantizers import quantizer_of
from shoestring.diagnosis.weights import Layer

APART = 1_000.0  # the ratio that 8 bits cannot bridge: four times their 256 steps
POOR = 7  # largest code of a channel: three bits and a sign are left of eight
POOR_SHARE = 0.1  # of a layer's channels
DEAD = 1e-6  # of the largest channel: below it a channel carries nothing
MATTERS = 0.01  # of the strongest channel's part in a sum; channels below it are lost without loss


@dataclass(frozen=True, eq=False)
class _Spread:
    """Ratio of the widest to the narrowest live channel, and how many live ones there are."""

    ratio: float
    live: int


def look(examined: Examination) -> Iterator[Item]:
    """Depthwise weights, and with images the tensors behind depthwise layers."""
    depthwise = [layer for layer in examined.layers if layer.depthwise]
    if not depthwise:
        return
    if not examined.quantized:
        yield from _weights(examined, depthwise)
    if examined.seen is None:
        yield Unexamined(f"ranges of the activations behind {len(depthwise)} depthwise layers: {examined.no_images}")
        return
    found = [one for layer in depthwise for one in _activations(examined, layer)]
    if found:
        found.sort(key=lambda one: -one.figures["channels_that_matter"])
        yield Finding(
            "harms",
            f"behind {len(found)} of {len(depthwise)} depthwise layers, channels that the next layer relies on lie "
            "within one step of the tensor's 8-bit scale",
            tuple(found),
            "balance the channels between the two layers before quantizing (cross-layer equalization), or leave "
            "these layers in float, as `shoestring fit` tries by itself (rungs int8-float...)",
        )


def _weights(examined: Examination, depthwise: list[Layer]) -> Iterator[Finding]:
    """Float weights that one scale for the whole layer would spoil, weighed by who reads the channels."""
    found = []
    for layer in depthwise:
        largest = np.abs(layer.rows()).max(axis=1)
        spread = _spread(largest)
        gains = _gains(examined, _behind(examined, layer), layer.channels)
        if spread is None or gains is None:
            continue
        matters = _matters(largest * gains)
        lost = int(np.sum((largest < largest.max() / 254) & matters))
        poor = int(np.sum((largest < largest.max() * (POOR + 0.5) / 127) & matters))
        if poor >= POOR_SHARE * layer.channels or (lost and spread.ratio >= APART):
            figures = {"ratio": spread.ratio, "lost_channels": float(lost), "poor_channels": float(poor)}
            words = (
                f"largest weights {spread.ratio:.3g} times apart; one scale would leave {poor} of {layer.channels} "
                f"channels that the next layer reads no code above {POOR} of 127, and {lost} of them none"
            )
            found.append(Evidence(layer.name, words, figures))
    if found:
        found.sort(key=lambda one: (-one.figures["lost_channels"], -one.figures["poor_channels"]))
        apart = any(one.figures["lost_channels"] and one.figures["ratio"] >= APART for one in found)
        yield Finding(
            "may harm" if apart else "note",
            f"weights of {len(found)} of {len(depthwise)} depthwise layers need a scale for each channel",
            tuple(found),
            "quantize with one scale a channel, as `shoestring fit` does; do not use an engine or recipe "
            "with one scale a layer",
        )


def _activations(examined: Examination, layer: Layer) -> Iterator[Evidence]:
    """What one common scale of the tensor behind `layer` does to its channels, weighed by who reads them."""
    tensor = _behind(examined, layer)
    span = examined.seen.spans.get(tensor) if examined.seen is not None else None
    gains = _gains(examined, tensor, layer.channels)
    if span is None or gains is None or len(span.lows) != layer.channels:
        return
    quantizer = quantizer_of(examined.graph, tensor)
    lows, highs = span.lows, span.highs
    if quantizer is not None:
        lows, highs = (np.clip(ends, quantizer.low, quantizer.high) for ends in (lows, highs))
    widths = np.maximum(np.abs(lows), np.abs(highs))
    spread = _spread(widths)
    if spread is None or spread.ratio < APART:
        return
    step = quantizer.step if quantizer is not None else (max(highs.max(), 0.0) - min(lows.min(), 0.0)) / 255
    matter = int(np.sum((widths < step) & _matters(widths * gains)))
    if not matter:
        return
    words = (
        f"ranges of {tensor!r} are {spread.ratio:.3g} times apart; {matter} channels narrower than one step "
        f"({step:.3g}) carry {100 * MATTERS:.0f} % or more of the strongest channel's part in the next layer"
    )
    figures = {"ratio": spread.ratio, "step": step, "channels_that_matter": float(matter)}
    yield Evidence(layer.name, words, figures)


def _gains(examined: Examination, tensor: str, channels: int) -> Array | None:
    """Largest weight that any layer puts on each channel of `tensor`; None when no plain layer reads it."""
    names = {tensor}
    for reader in examined.graph.consumers.get(tensor, []):
        if reader.op_type == "QuantizeLinear":
            for inner in examined.graph.consumers.get(reader.output[0], []):
                names.add(inner.output[0])
    found = [layer.input_gains() for layer in examined.layers if layer.data in names]
    usable = [gains for gains in found if gains is not None and len(gains) == channels]
    return np.max(usable, axis=0) if usable else None


def _behind(examined: Examination, layer: Layer) -> str:
    """The tensor that is quantized: behind the activation whose work the range does."""
    node = next(node for node in examined.graph.nodes if node.name == layer.name)
    activation = foldable_activation(examined.graph, node)
    return activation.output[0] if activation is not None else layer.output


def _matters(parts: Array) -> Array:
    return np.asarray(parts >= MATTERS * parts.max())


def _spread(widths: Array) -> _Spread | None:
    largest = float(widths.max()) if widths.size else 0.0
    live = widths[widths > DEAD * largest]
    if largest <= 0 or not np.isfinite(largest) or live.size < 2:
        return None
    return _Spread(largest / float(live.min()), int(live.size))


DISEASE = Disease(
    id="uneven-channels",
    name="channel ranges far apart after depthwise layers",
    what="A depthwise layer scales each channel alone, so that their ranges drift apart; one scale for the tensor "
    "then rounds narrow channels to zero, though the next layer may multiply them up again.",
    needs="depthwise weights; images for the activations",
    source='Nagel et al., "Data-Free Quantization Through Weight Equalization and Bias Correction", ICCV '
    "2019, section 3",
    look=look,
)
