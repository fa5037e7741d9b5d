"""One forecast: latency, memory, energy and price of one way to run a model on a chip."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from shoestring.costmodel.accelerators import predict_accelerator
from shoestring.costmodel.latency import predict_latency
from shoestring.costmodel.memory import fits, predict_memory
from shoestring.costmodel.money import Assumptions, energy_per_example, price_per_million
from shoestring.domain.estimate import Estimate, NoClaim
from shoestring.domain.forecast import Forecast

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from shoestring.domain.chip import Chip
    from shoestring.domain.features import Features
    from shoestring.domain.forecast import Combination
    from shoestring.domain.measured import Row


@dataclass(frozen=True)
class Knowledge:
    """What forecasts rest on.

    Args:
        rows: published measurements and the user's own.
        networks: features of the networks that rows name.
        assumed: of prices.
    """

    rows: Sequence[Row]
    networks: Mapping[tuple[str, str], Features]
    assumed: Assumptions


def forecast(features: Features, chip: Chip, way: Combination, known: Knowledge) -> Forecast:
    """What it costs to run a model in this way.

    Args:
        features: of the model.
        chip: where.
        way: how.
        known: what it rests on.
    """
    latency, rate = _speed(features, chip, way, known)
    memory = predict_memory(features, chip, runtime=way.runtime, precision=way.precision)
    energy = energy_per_example(chip, rate, way.threads)
    return Forecast(
        combination=way,
        latency=latency,
        rate=rate,
        memory=memory,
        fits=fits(memory, chip),
        energy=energy,
        price=price_per_million(chip, rate, energy, known.assumed),
    )


def _speed(
    features: Features, chip: Chip, way: Combination, known: Knowledge
) -> tuple[Estimate | NoClaim, Estimate | NoClaim]:
    """Latency in ms and rate in 1/s; an engine that is only known to stream has no claim about its latency."""
    if way.device == "cpu":
        assert way.threads is not None
        found = predict_latency(
            features,
            chip,
            runtime=way.runtime,
            precision=way.precision,
            threads=way.threads,
            rows=known.rows,
            networks={(features.name, features.input): features, **known.networks},
        )
    else:
        found = predict_accelerator(
            features, chip, device=way.device, runtime=way.runtime, precision=way.precision, rows=known.rows
        )
    if isinstance(found, NoClaim):
        return found, found
    if found.unit == "1/s":
        return NoClaim("only its streaming rate is published, which says nothing about one example's latency"), found
    return found, rate_of(found)


def rate_of(latency: Estimate) -> Estimate:
    """Examples a second of an engine that takes one after the other."""
    return replace(latency, value=1000 / latency.value, low=1000 / latency.high, high=1000 / latency.low, unit="1/s")
