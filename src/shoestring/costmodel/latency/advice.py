"""Which runtime, precision and number of threads to take on a chip, by predicted latency."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from shoestring.costmodel.latency.predict import clusters_of, predict_latency
from shoestring.domain.estimate import Estimate

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from shoestring.chips.published.table_chips import Cores
    from shoestring.domain.chip import Chip
    from shoestring.domain.features import Features
    from shoestring.domain.measured import Row

PRECISIONS = ("fp32", "fp16", "int8")


@dataclass(frozen=True)
class Combination:
    """One way to run. Args: runtime; precision; threads; device; estimate: of its latency."""

    runtime: str
    precision: str
    threads: int
    device: str
    estimate: Estimate


def combinations(
    features: Features, chip: Chip, *, rows: Sequence[Row] | None = None,
    networks: Mapping[tuple[str, str], Features] | None = None, runtimes: Sequence[str] = ("ncnn",),
) -> list[Combination]:  # fmt: skip
    """Every supported way to run a network on a chip's processor, the fastest first; without a claim, no entry.

    Args:
        features: of the network.
        chip: to run on.
        rows: see predict_latency.
        networks: see predict_latency.
        runtimes: to compare.
    """
    _, clusters = clusters_of(chip)
    counts = sorted({1, *(2**i for i in range(6) if clusters and 2**i < clusters[0].count), *_most(clusters)})
    found = []
    for runtime in runtimes:
        for precision in PRECISIONS:
            for threads in counts:
                answer = predict_latency(
                    features, chip, runtime=runtime, precision=precision, threads=threads, rows=rows, networks=networks
                )
                if isinstance(answer, Estimate):
                    found.append(Combination(runtime, precision, threads, "cpu", answer))
    return sorted(found, key=lambda entry: entry.estimate.value)


def best_combination(features: Features, chip: Chip, **more: object) -> Combination | None:
    """The first of `combinations`, or None where nothing supports one."""
    return next(iter(combinations(features, chip, **more)), None)  # type: ignore[arg-type]


def best_threads(features: Features, chip: Chip, *, runtime: str = "ncnn", precision: str = "fp32") -> int | None:
    """The number of threads with the least predicted latency; None where nothing supports one."""
    ways = [way for way in combinations(features, chip, runtimes=(runtime,)) if way.precision == precision]
    return ways[0].threads if ways else None


def _most(clusters: tuple[Cores, ...]) -> list[int]:
    return [clusters[0].count] if clusters else []
