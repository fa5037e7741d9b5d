"""What each layer takes in 8 bits and in float on this machine, from profiles of both models."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from shoestring.runtimes.ort_profile import operator_times

if TYPE_CHECKING:
    from shoestring.runtimes.protocol import Array

RUNS = 15  # of each model; medians of single operators settle within a few per cent
CONVERSIONS = 2.0
"""Going over from integers to floats or back takes this many times what quantizing an input of the same size takes: the
conversion itself, and the change of memory layout that float kernels ask for."""


@dataclass(frozen=True)
class LayerTimes:
    """Milliseconds by layer, one thread.

    Args:
        int8_ms: in the model whose layers all run in 8 bits.
        float_ms: in the float model.
        convert_ms_per_element: of a tensor between a float and an 8-bit layer.
        unknown: layers that a profile does not name; they count as equally fast in both.
    """

    int8_ms: dict[str, float]
    float_ms: dict[str, float]
    convert_ms_per_element: float
    unknown: tuple[str, ...]


def layer_times(
    float_model: bytes,
    int8_model: bytes,
    names: Mapping[str, Sequence[str]],
    feeds: Mapping[str, Array],
    quantize_name: str,
) -> LayerTimes:
    """Profile both models on one example.

    Args:
        float_model, int8_model: self-contained ONNX with the same inputs.
        names: by layer, what a profile may call it.
        feeds: one example.
        quantize_name: of the node that quantizes the first input; sets the price of conversions.

    Raises:
        EngineError: a model cannot be profiled.
    """
    in_float, in_int8 = (operator_times(model, feeds, RUNS) for model in (float_model, int8_model))
    found: dict[str, tuple[float, float]] = {}
    unknown = []
    for layer, known_as in names.items():
        times = [next((profile[name] for name in known_as if name in profile), None) for profile in (in_int8, in_float)]
        if times[0] is None or times[1] is None:
            unknown.append(layer)
        else:
            found[layer] = (times[0], times[1])
    elements = sum(array.size for array in feeds.values())
    return LayerTimes(
        {layer: pair[0] for layer, pair in found.items()},
        {layer: pair[1] for layer, pair in found.items()},
        CONVERSIONS * in_int8.get(quantize_name, 0.0) / elements,
        tuple(unknown),
    )
