"""Sets of layers that stay in float: the fastest mixtures for falling divergences, from probes and from profiles."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shoestring.compress.neighbours import passages, profile_names
from shoestring.compress.quantize import to_qdq
from shoestring.costmodel.layer_times import LayerTimes, layer_times
from shoestring.search.mixed import Edge, LayerCost, Mixture, mixtures

if TYPE_CHECKING:
    from shoestring.compress.scheme import Scheme
    from shoestring.domain.evidence import Sensitivity
    from shoestring.fitting.workbench import Workbench


def find_mixtures(bench: Workbench, scheme: Scheme, sensitivity: tuple[Sensitivity, ...]) -> tuple[Mixture, ...]:
    """Mixtures worth making, from the fastest to the most accurate; kept for this machine.

    Args:
        bench: model, calibration images, machine.
        scheme: integer types.
        sensitivity: of every weighted layer.
    """
    question = {
        **bench.basis,
        "model": bench.model.sha256,
        "images": bench.calibration_digest,
        "scheme": scheme,
        "sensitivity": sensitivity,
        "machine": bench.machine,
    }

    def compute() -> tuple[Mixture, ...]:
        bench.progress("profiling layers", 0, 0)
        times = measure_layers(bench, scheme)
        layers = [
            LayerCost(one.layer, one.kl, times.int8_ms.get(one.layer, 0.0), times.float_ms.get(one.layer, 0.0))
            for one in sensitivity
        ]
        known = {layer.name for layer in layers}
        edges = [
            Edge(one.before, one.after, one.elements * times.convert_ms_per_element)
            for one in passages(bench.graph)
            if one.before in known and one.after in known
        ]
        return mixtures(layers, edges)

    return bench.cache.noun("mixtures", question, tuple[Mixture, ...], compute)


def measure_layers(bench: Workbench, scheme: Scheme) -> LayerTimes:
    """Every layer's latency in 8 bits and in float, on one example, or one batch where its size is fixed."""
    quantized = to_qdq(bench.graph, bench.ranges(scheme), scheme, frozenset())
    batch = next(bench.feed(bench.splits.calibration))
    feeds = batch if bench.fixed_batch is not None else {name: value[:1] for name, value in batch.items()}
    return layer_times(
        bench.graph.to_bytes(),
        quantized.to_bytes(),
        profile_names(bench.graph),
        feeds,
        f"{bench.graph.inputs[0]}/quantize",
    )
