"""A runtime that nobody measured on a chip: ncnn's figure there, and how far tuned runtimes lie apart."""

from __future__ import annotations

import functools
import itertools
import math
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from shoestring.chips.published import published_rows
from shoestring.costmodel.latency import predict
from shoestring.domain.estimate import Estimate, NoClaim

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from shoestring.domain.chip import Chip
    from shoestring.domain.features import Features
    from shoestring.domain.measured import Row

HOME = "ncnn"
NAMES = {
    "ncnn": ("ncnn", "NCNN"),
    "onnxruntime": ("ONNX",),
    "openvino": ("OpenVINO",),
    "litert": ("TFLite XNNPACK", "TFLite + ArmNN delegate", "XNNPACK end2end-bench"),
    "mnn": ("MNN",),
    "native": (),
}
"""Our name of a runtime tuned for processors -> what the table calls it."""

LEAST_PAIRS = 2
"""Networks measured under both runtimes on one chip, from which on the ratio itself counts, not only its spread."""


def predict_latency(
    features: Features,
    chip: Chip,
    *,
    runtime: str = HOME,
    precision: str = "fp32",
    threads: int | None = None,
    device: str = "cpu",
    rows: Sequence[Row] | None = None,
    networks: Mapping[tuple[str, str], Features] | None = None,
) -> Estimate | NoClaim:
    """Latency of one example in ms, also under a tuned runtime that has no rows on this chip.

    Then it is ncnn's estimate times the median ratio between the two runtimes, where networks were measured under both
    on one chip, and the interval is widened by the spread of such ratios between all tuned runtimes.

    Args, Returns: as `predict.predict_latency`.
    """
    found = predict.predict_latency(
        features,
        chip,
        runtime=runtime,
        precision=precision,
        threads=threads,
        device=device,
        rows=rows,
        networks=networks,
    )
    if isinstance(found, Estimate) or runtime == HOME or runtime not in NAMES or device != "cpu":
        return found
    home = _home(features, chip, precision, threads, rows, networks)
    if isinstance(home, NoClaim):
        return found
    ratio, pairs = ratio_to_home(runtime)
    own, apart = math.log(home.high / home.value), math.log(spread())
    half = math.hypot(own, apart)
    told = f"{runtime} takes {ratio:.2f} times ncnn's time on {pairs} networks" if pairs else f"no row of {runtime}"
    return replace(
        home,
        value=home.value * ratio,
        low=home.value * ratio * math.exp(-half),
        high=home.value * ratio * math.exp(half),
        ground="transfer",
        rests_on=(f"ncnn there: {home.ground}, {home.rests_on[0]}", told, *home.rests_on[1:]),
        widened=(*home.widened, f"tuned runtimes lie up to a factor {spread():.2f} apart on one network and chip"),
    )


def _home(
    features: Features,
    chip: Chip,
    precision: str,
    threads: int | None,
    rows: Sequence[Row] | None,
    networks: Mapping[tuple[str, str], Features] | None,
) -> Estimate | NoClaim:
    """ncnn's estimate; its floats are fp16 where the cores compute in them, so both are asked for."""
    found: Estimate | NoClaim = NoClaim("not asked")
    for one in (precision,) if precision == "int8" else ("fp32", "fp16"):
        found = predict.predict_latency(
            features, chip, runtime=HOME, precision=one, threads=threads, rows=rows, networks=networks
        )
        if isinstance(found, Estimate):
            return found
    return found


def ratio_to_home(runtime: str) -> tuple[float, int]:
    """Median time under `runtime` over that under ncnn on one network and chip, and the number of pairs."""
    found = [
        other if first == HOME else -other for first, second, other in _pairs() if {first, second} == {HOME, runtime}
    ]
    return (math.exp(float(np.median(found))), len(found)) if len(found) >= LEAST_PAIRS else (1.0, 0)


def spread() -> float:
    """Factor that nine in ten ratios between two tuned runtimes stay within."""
    return math.exp(float(np.quantile([abs(one) for *_, one in _pairs()], 0.9)))


@functools.cache
def _pairs() -> tuple[tuple[str, str, float], ...]:
    """(runtime, other, ln(time under other / time under runtime)): each network, chip and kind measured under both."""
    ours = {name: runtime for runtime, names in NAMES.items() for name in names}
    best: dict[tuple[str, str, str, str], dict[str, float]] = {}
    for row in published_rows():
        if row.runtime in ours and row.device == "cpu" and row.latency_ms and "noisy" not in row.flags:
            kind = "int8" if row.precision == "int8" else "fp"
            size = row.input.split("x")[0]
            times = best.setdefault((row.chip, row.model.lower().removesuffix("_int8"), size, kind), {})
            name = ours[row.runtime]
            times[name] = min(times.get(name, math.inf), row.latency_ms)
    return tuple(
        (first, second, math.log(times[second] / times[first]))
        for times in best.values()
        for first, second in itertools.combinations(sorted(times), 2)
    )
