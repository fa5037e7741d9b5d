"""Outputs that are cut off."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from shoestring.diagnosis.ends import before_outputs
from shoestring.diagnosis.examination import INTEGER_FORMS, Array, Examination
from shoestring.diagnosis.findings import Disease, Evidence, Finding, Item, Unexamined
from shoestring.diagnosis.quantizers import represented
from shoestring.diagnosis.seeing import THROUGH

if TYPE_CHECKING:
    import onnx

SHARE = 0.001  # of the values; fewer than one in a thousand beyond the range change no first class


def look(examined: Examination) -> Iterator[Item]:
    """A Clip before the output, or a quantizer before it whose range is narrower than the values."""
    evidence: list[Evidence] = []
    unsure: list[Evidence] = []
    quantized = 0
    for output, node in before_outputs(examined.graph, THROUGH):
        if node.op_type in INTEGER_FORMS:
            yield Unexamined(f"the range of {output!r}: {node.op_type} {node.name!r} quantizes inside")
        limits = _limits(examined, node)
        if limits is None:
            continue
        quantized += node.op_type == "QuantizeLinear"
        values = examined.seen.values.get(node.input[0]) if examined.seen is not None else None
        if values is not None:
            one = _measured(output, node, values, limits)
            if one is not None:
                evidence.append(one)
        elif node.op_type == "Clip":
            low, high = limits
            unsure.append(
                Evidence(
                    node.name,
                    f"{output!r} is cut to [{low:g}, {high:g}] by a Clip",
                    {"limit_low": low, "limit_high": high},
                )
            )
    cure = (
        "remove the Clip and export again"
        if not quantized
        else (
            "quantize again with images like those of the device (`shoestring fit MODEL --data DIR`), which keeps a "
            "last fully connected layer's sums in float"
        )
    )
    if evidence:
        worst = max(one.figures["share_beyond"] for one in evidence)
        yield Finding("harms", f"up to {100 * worst:.1f} % of an output's values are cut off", tuple(evidence), cure)
    if unsure:
        yield Finding(
            "may harm",
            f"{len(unsure)} output(s) end in a Clip; how many values it cuts off was not seen ({examined.no_images})",
            tuple(unsure),
            cure,
        )
    if quantized and examined.seen is None:
        yield Unexamined(f"whether the range of a quantized output suffices: {examined.no_images}")


def _measured(output: str, node: onnx.NodeProto, values: Array, limits: tuple[float, float]) -> Evidence | None:
    """How many values lie beyond the limits, by more than half a step of 256."""
    low, high = limits
    finite = values[np.isfinite(values)].astype(np.float64)
    slack = 0.5 * (high - low) / 255 if np.isfinite(high - low) else 0.0
    share = float(np.mean((finite < low - slack) | (finite > high + slack))) if finite.size else 0.0
    if share <= SHARE:
        return None
    figures = {
        "share_beyond": share,
        "limit_low": low,
        "limit_high": high,
        "seen_low": float(finite.min()),
        "seen_high": float(finite.max()),
    }
    words = (
        f"{100 * share:.1f} % of {output!r} lie beyond [{low:.4g}, {high:.4g}]; seen: "
        f"[{finite.min():.4g}, {finite.max():.4g}]"
    )
    return Evidence(node.name, words, figures)


def _limits(examined: Examination, node: onnx.NodeProto) -> tuple[float, float] | None:
    """What the node can let through; None where it cuts nothing, or on purpose from below alone."""
    weights = examined.graph.weights
    found = represented(examined.graph, node)
    if found is not None:
        return found.low, found.high
    if node.op_type != "Clip":
        return None
    held = [weights.get(name) for name in (*node.input[1:], "", "")[:2]]
    low, high = (
        infinite if end is None or end.size != 1 else float(end.reshape(()))
        for end, infinite in zip(held, (-np.inf, np.inf), strict=True)
    )
    return (low, high) if np.isfinite(high) else None


DISEASE = Disease(
    id="clipped-outputs",
    name="clipped logits",
    what="The last range is narrower than the values, so that large logits become equal and classes tie or "
    "change places.",
    needs="the graph; images to see how much is cut off",
    source='clipping and rounding error of a range: Nahshan et al., "Loss Aware Post-training Quantization", 2021',
    look=look,
)
