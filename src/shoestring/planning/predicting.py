"""Every way to run a model on one chip, and the best of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from shoestring.base.errors import UsageError
from shoestring.domain.estimate import Estimate
from shoestring.domain.forecast import Beside, Combination, Forecast, Prediction
from shoestring.planning.forecasting import Knowledge, forecast
from shoestring.planning.ways import ways

if TYPE_CHECKING:
    from collections.abc import Sequence

    from shoestring.domain.chip import Chip
    from shoestring.domain.features import Features


@dataclass(frozen=True)
class Wish:
    """What the user fixed; None leaves it to us."""

    runtime: str | None = None
    precision: str | None = None
    threads: int | None = None

    def allows(self, way: Combination) -> bool:
        return (
            self.runtime in (None, way.runtime)
            and self.precision in (None, way.precision)
            and (self.threads is None or way.threads in (None, self.threads))
        )


def predict(
    features: Features, chip: Chip, known: Knowledge, *, wish: Wish | None = None, beside: Sequence[Chip] = ()
) -> Prediction:
    """What a model would cost on a chip.

    Args:
        features: of the model.
        chip: where.
        known: what the forecasts rest on.
        wish: what is fixed.
        beside: chips to compare with.

    Raises:
        UsageError: no way to run a model on that chip is as wished, or more threads than cores.
    """
    wish = wish or Wish()
    if wish.threads is not None and chip.cores and not 1 <= wish.threads <= chip.cores:
        raise UsageError(
            f"{wish.threads} threads are outside 1..{chip.cores}, the cores of {chip.name}", hint="leave --threads out"
        )
    every = ways(chip, known.rows)
    allowed = [way for way in every if wish.allows(way)]
    if not allowed:
        raise UsageError(
            f"no way to run a model on {chip.name} is {_wished(wish)}", hint=f"known there: {_known(every)}"
        )
    forecasts = ranked([forecast(features, chip, way, known) for way in allowed])
    return Prediction(
        model=features.name,
        features=features,
        chip=chip.name,
        title=chip.title,
        forecasts=forecasts,
        best=best_of(forecasts),
        beside=tuple(_beside(features, other, known) for other in beside),
        warnings=_warnings(features, chip),
    )


def ranked(forecasts: Sequence[Forecast]) -> tuple[Forecast, ...]:
    """The fastest first; those without a claim last, in the order they came."""
    return tuple(sorted(forecasts, key=lambda one: -one.rate.value if isinstance(one.rate, Estimate) else 0.0))


def best_of(forecasts: Sequence[Forecast]) -> Forecast | None:
    """The fastest that has a claim and is not known to be too large."""
    return next((one for one in ranked(forecasts) if isinstance(one.rate, Estimate) and one.fits != "no"), None)


def _beside(features: Features, chip: Chip, known: Knowledge) -> Beside:
    found = ranked([forecast(features, chip, way, known) for way in ways(chip, known.rows)])
    return Beside(chip.name, chip.title, best_of(found) or found[0])


def _warnings(features: Features, chip: Chip) -> tuple[str, ...]:
    found = [
        f"{one.count} {one.operator} ({one.elements:,} numbers written): no feature stands for it, intervals are wider"
        for one in features.uncovered
    ]
    return (*found, *(f"{note.value} ({note.source})" for note in chip.notes))


def _wished(wish: Wish) -> str:
    words = [
        f"{name} {value}"
        for name, value in (("runtime", wish.runtime), ("precision", wish.precision), ("threads", wish.threads))
        if value is not None
    ]
    return ", ".join(words) or "known at all"


def _known(every: Sequence[Combination]) -> str:
    seen = dict.fromkeys(f"{way.runtime} {way.precision} ({way.device})" for way in every)
    return ", ".join(seen) or "none"
