"""What there is to fit for one engine with one runtime and precision."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from shoestring.costmodel.accelerators.points import Point, points, terms_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from shoestring.domain.features import Features
    from shoestring.domain.measured import Row

STREAMING = ("hailo8", "hailo8l", "hailo10h")
"""Table chips whose rows are streamed frames a second, never a latency."""


@dataclass(frozen=True)
class Sample:
    """Points in the terms of their engine.

    Args:
        terms: (points, terms).
        ms: (points,).
        models: the network of each point.
        wanted: the terms of the network asked about.
        sources: of the points, each once.
    """

    terms: NDArray[np.float64]
    ms: NDArray[np.float64]
    models: tuple[str, ...]
    wanted: NDArray[np.float64]
    sources: tuple[str, ...]


def sample(rows: Sequence[Row], features: Features, networks: Mapping[tuple[str, str], Features]) -> Sample | None:
    """Points of an engine; None without any.

    A GPU under ncnn has the full counts of its networks: each kind of MACs, parameters, what moves, launches. Elsewhere
    only MACs and parameters are published: a fixed part, GMACs, millions of parameters.

    Args:
        rows: of one engine, runtime and precision.
        features: of the network asked about.
        networks: counts of the networks that rows name.
    """
    known = [row for row in rows if row.latency_ms and (row.model, row.input) in networks]
    if known:
        return Sample(
            np.array([terms_of(networks[row.model, row.input]) for row in known]),
            np.array([row.latency_ms for row in known], dtype=float),
            tuple(row.model.removesuffix("_int8") for row in known),
            np.array(terms_of(features)),
            tuple(dict.fromkeys(row.source for row in known)),
        )
    found = points(rows, streaming=streams(rows))
    if not found:
        return None
    return Sample(
        np.array([[1.0, point.macs / 1e9, point.params / 1e6] for point in found]),
        np.array([point.ms for point in found]),
        tuple(point.model for point in found),
        np.array([1.0, features.macs / 1e9, features.params / 1e6]),
        sources(found),
    )


def streams(rows: Sequence[Row]) -> bool:
    """Whether these rows say how many examples a second pass, and not how long one takes."""
    return any(row.chip in STREAMING for row in rows)


def sources(found: Sequence[Point]) -> tuple[str, ...]:
    """Each source once."""
    return tuple(dict.fromkeys(point.source for point in found))
