"""Which engines a chip has beside its processor, and how long a model takes there."""

from __future__ import annotations

import functools
from dataclasses import replace
from typing import TYPE_CHECKING

from shoestring.chips.published import published_networks, published_rows
from shoestring.costmodel.accelerators.edge_tpu import HOSTS, edge_tpu_sample
from shoestring.costmodel.accelerators.points import network, points
from shoestring.costmodel.accelerators.regression import LEAST, LEAST_NETWORKS, fitted
from shoestring.costmodel.accelerators.sample import Sample, sample, streams
from shoestring.costmodel.accelerators.specs import ENGINE_OF, from_peak
from shoestring.domain.estimate import Estimate, NoClaim
from shoestring.domain.forecast import Combination

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from shoestring.domain.chip import Chip, Peak
    from shoestring.domain.features import Features
    from shoestring.domain.measured import Row

EDGE_TPU = "litert"
"""Our name of the runtime that drives the Edge TPU, whatever the rows call it."""

UNCOVERED = 1.25
"""The interval's factor grows by this for each kind of operator that no count stands for."""

WIDEST = 10.0
"""A factor up and down beyond which an interval says nothing that a data sheet does not."""

BEYOND = 1.5
"""... and by this where the model is larger than every network of the rows."""

PROTOCOL = "batch 1, warm, as the sources time it; decoding and post-processing mostly left out"


def accelerator_combinations(chip: Chip) -> tuple[Combination, ...]:
    """Every (runtime, device, precision) that rows or the chip file's peaks know of, the processor left out.

    Rows are counted where they are enough to fit; an engine that has them is not listed again for its peak in the same
    precision.
    """
    found = [
        Combination(runtime, device, precision, None)
        for (name, runtime, device, precision) in _measured()
        if name in chip.rows and device not in ("cpu", "edgetpu")
    ]
    if _link(chip) is not None:
        found.append(Combination(EDGE_TPU, "edgetpu", "int8", None))
    seen = {(ENGINE_OF.get(way.device, way.device), way.precision.split(" ")[0]) for way in found}
    for peak in chip.peaks:
        if peak.engine != "cpu" and (peak.engine, peak.precision) not in seen:
            found.append(Combination(_runtime(chip, peak), peak.engine, peak.precision, None))
    return tuple(dict.fromkeys(found))


def predict_accelerator(
    features: Features,
    chip: Chip,
    *,
    device: str,
    runtime: str,
    precision: str,
    rows: Sequence[Row] | None = None,
    networks: Mapping[tuple[str, str], Features] | None = None,
) -> Estimate | NoClaim:
    """Latency of one example in ms; for an engine whose rows are streamed rates, its rate in 1/s.

    Calibrated on the chip's own rows where they name enough networks, else from the peak of the data sheet.

    Args:
        features: of the model.
        chip: where.
        device: as in rows, or the engine of a peak.
        runtime: as in rows.
        precision: as in rows.
        rows: the table and the user's own; None for the published ones.
        networks: counts of the networks that rows name; None for the published ones.
    """
    rows = published_rows() if rows is None else rows
    networks = published_networks() if networks is None else networks
    link = _link(chip)
    if device == "edgetpu" and link is not None:
        found = edge_tpu_sample(rows, link, features)
        return _calibrated(found, features, False, f"Edge TPU over {link}")
    same = [
        row
        for row in rows
        if row.chip in chip.rows
        and (row.runtime, row.device, row.precision) == (runtime, device, precision)
        and "noisy" not in row.flags
    ]
    known = sample(same, features, networks)
    if known is not None:
        claim = _calibrated(known, features, streams(same), f"{runtime} on {chip.name}")
        if isinstance(claim, Estimate):
            return claim
    engine = ENGINE_OF.get(device, device)
    for peak in chip.peaks:
        if peak.engine == engine and precision.startswith(peak.precision):
            return _widen(from_peak(features, chip, peak, rows), features)
    return NoClaim(
        f"{len(same)} rows of {runtime} {precision} on {chip.name}, too few with known MACs and parameters: "
        f"{LEAST} networks are needed"
    )


def _calibrated(known: Sample, features: Features, streaming: bool, what: str) -> Estimate | NoClaim:
    line = fitted(known.terms, known.ms, known.models)
    if line is None:
        return NoClaim(
            f"{len(known.ms)} rows of {what} have known counts; {LEAST} of {LEAST_NETWORKS} networks are needed"
        )
    ms, spread = line.at(known.wanted), line.spread()
    if spread > WIDEST:
        return NoClaim(
            f"{len(known.ms)} rows of {what} contradict each other: the 90 % interval would be a factor {spread:.3g}"
        )
    widened: tuple[str, ...] = ()
    if any(known.wanted > line.largest):
        spread *= BEYOND
        widened = ("larger than every network that was measured there",)
    made = Estimate(
        ms,
        ms / spread,
        ms * spread,
        "ms",
        "calibrated",
        (f"{len(known.ms)} measurements of {len(set(known.models))} networks: {what}", *known.sources[:3]),
        PROTOCOL,
        widened=widened,
    )
    wide = _widen(made, features)
    if streaming and isinstance(wide, Estimate):
        return replace(
            wide,
            value=1000 / wide.value,
            low=1000 / wide.high,
            high=1000 / wide.low,
            unit="1/s",
            protocol="streamed examples, many in flight; no latency",
        )
    return wide


def _widen(made: Estimate | NoClaim, features: Features) -> Estimate | NoClaim:
    if isinstance(made, NoClaim) or not features.uncovered:
        return made
    factor = UNCOVERED ** len(features.uncovered)
    names = ", ".join(one.operator for one in features.uncovered)
    return replace(
        made,
        low=made.low / factor,
        high=made.high * factor,
        widened=(*made.widened, f"no count stands for {names}"),
    )


def _link(chip: Chip) -> str | None:
    """How this chip's Edge TPU reaches its host; None without one."""
    if not any(one.engine == "edgetpu" for one in chip.accelerators):
        return None
    return next((HOSTS[name] for name in chip.rows if name in HOSTS), None)


def _runtime(chip: Chip, peak: Peak) -> str:
    return next((one.runtime for one in chip.runtimes if one.engine == peak.engine and one.how != "none"), "vendor")


@functools.cache
def _measured() -> tuple[tuple[str, str, str, str], ...]:
    """(chip, runtime, device, precision) with rows that are enough to fit."""
    networks = published_networks()
    seen: dict[tuple[str, str, str, str], list[str]] = {}
    for row in published_rows():
        if row.latency_ms or row.fps:
            known = (row.model, row.input) in networks or bool(points((row,), streams((row,))))
            if known:
                seen.setdefault((row.chip, row.runtime, row.device, row.precision), []).append(network(row.model))
    return tuple(key for key, models in seen.items() if len(models) >= LEAST and len(set(models)) >= LEAST_NETWORKS)
