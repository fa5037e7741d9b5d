"""Ranges poisoned by padding constants."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from shoestring.compress.graph import attribute
from shoestring.diagnosis.examination import Examination
from shoestring.diagnosis.findings import Disease, Evidence, Finding, Item, Unexamined
from shoestring.diagnosis.quantizers import quantizer_of

if TYPE_CHECKING:
    import onnx

HUGE = 1_000.0  # activations of normalised networks stay in the tens; only a stand-in for infinity is larger
TIMES = 8.0  # constants this many times the values seen leave at most 5 of 8 bits to the values
PLACES = {"Pad": (2,), "Where": (1, 2), "Add": (0, 1), "Concat": None}
"""Inputs through which a constant reaches the output; None for all of them."""


def look(examined: Examination) -> Iterator[Item]:
    """Constants that make a tensor's smallest-to-largest range far wider than its values."""
    found = [one for node in examined.graph.nodes for one in _poison(examined, node)]
    if found:
        found.sort(key=lambda one: -one.figures["constant_magnitude"])
        yield Finding(
            "harms" if examined.quantized or _ranges_by_extremes(examined, found) else "may harm",
            f"{len(found)} tensor(s) hold constants up to {found[0].figures['constant_magnitude']:g}, and a range from "
            "smallest to largest value has to cover them",
            tuple(found),
            "give the padding to the pool or convolution itself (`pads` of MaxPool pads with minus infinity and "
            "leaves the range alone), or pad with the smallest value that is meant, and export again",
        )
    if examined.seen is None and not found and any(_constants(examined, node) for node in examined.graph.nodes):
        yield Unexamined(f"padding constants below {HUGE:g} cannot be set against the values: {examined.no_images}")


def _ranges_by_extremes(examined: Examination, found: list[Evidence]) -> bool:
    """In a float model the constants harm as soon as a layer with weights reads the tensor and it is quantized."""
    weighted = {layer.data for layer in examined.layers}
    return any(tensor in weighted for one in found for tensor in _reach(examined, one.where))


def _reach(examined: Examination, name: str) -> set[str]:
    """Tensors that take over the range of a node's output: the output, and what pools and moves make of it."""
    node = next(node for node in examined.graph.nodes if node.name == name)
    found, left = {node.output[0]}, [node.output[0]]
    while left:
        for reader in examined.graph.consumers.get(left.pop(), []):
            if reader.op_type in ("Reshape", "Transpose", "Identity") and reader.output[0] not in found:
                found.add(reader.output[0])
                left.append(reader.output[0])
    return found


def _poison(examined: Examination, node: onnx.NodeProto) -> Iterator[Evidence]:
    magnitudes = _constants(examined, node)
    if not magnitudes:
        return
    worst = max(magnitudes)
    values = _values_magnitude(examined, node)
    if not (worst >= HUGE if values is None else worst > TIMES * max(values, 1e-6) and worst >= 1.0):
        return
    behind = quantizer_of(examined.graph, node.output[0])
    scale = None if behind is None else behind.step
    if scale is not None and 255 * scale < worst / TIMES:
        return  # the quantizer behind it clips the constant, and the values keep their steps
    figures = {"constant_magnitude": worst}
    words = f"{node.op_type} brings {'-' if _negative(examined, node) else ''}{worst:g} into {node.output[0]!r}"
    if values is not None:
        figures["values_magnitude"] = values
        figures["levels_left"] = 255 * 2 * values / (worst + values)
        words += f", whose values reach {values:.3g}: about {figures['levels_left']:.0f} of 256 steps are left for them"
    if scale is not None:
        figures["scale"] = scale
        words += f"; it is quantized in steps of {scale:.3g}"
    yield Evidence(node.name, words, figures)


def _constants(examined: Examination, node: onnx.NodeProto) -> list[float]:
    """Magnitudes of the float constants that reach the node's output; infinity counts as the largest float."""
    return [min(float(np.abs(array).max()), float(np.finfo(np.float32).max)) for array in _arrays(examined, node)]


def _arrays(examined: Examination, node: onnx.NodeProto) -> list[np.ndarray]:
    if node.op_type not in PLACES or (node.op_type == "Pad" and attribute(node, "mode", b"constant") != b"constant"):
        return []
    places = PLACES[node.op_type]
    names = [name for place, name in enumerate(node.input) if name and (places is None or place in places)]
    held = [examined.graph.weights[name] for name in names if name in examined.graph.weights]
    return [array for array in held if array.dtype.kind == "f" and array.size and not np.isnan(array).any()]


def _negative(examined: Examination, node: onnx.NodeProto) -> bool:
    worst = max(_arrays(examined, node), key=lambda array: float(np.abs(array).max()))
    return bool(-worst.min() > worst.max())


def _values_magnitude(examined: Examination, node: onnx.NodeProto) -> float | None:
    """Largest magnitude that images brought to the node beside the constants."""
    if examined.seen is None:
        return None
    spans = [examined.seen.spans[name] for name in node.input if name in examined.seen.spans]
    return max(span.magnitude for span in spans) if spans else None


DISEASE = Disease(
    id="padding-constants",
    name="ranges poisoned by padding constants",
    what="A Pad, Where or Add brings in a stand-in for minus infinity (often -10,000 before a max pool of stride 1); "
    "a range from smallest to largest value then has no steps left for the real values.",
    needs="the graph; images for constants below 1,000",
    source='range estimation by extremes: Krishnamoorthi, "Quantizing deep convolutional networks for '
    'efficient inference", '
    "2018",
    look=look,
)
