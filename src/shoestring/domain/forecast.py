"""What a model would cost on a chip: one forecast for each way to run it there."""

from __future__ import annotations

from dataclasses import dataclass

from shoestring.domain.estimate import Estimate, NoClaim
from shoestring.domain.features import Features

FITS = ("yes", "no", "unsure")


@dataclass(frozen=True)
class Combination:
    """A way to run a model on a chip.

    Args:
        runtime: as rows and chip files name it.
        device: what of the chip runs it, as `measured.Row.device` has it.
        precision: of weights and arithmetic.
        threads: of the processor, or None where the device decides.
    """

    runtime: str
    device: str
    precision: str
    threads: int | None

    def __str__(self) -> str:
        on = "" if self.device == "cpu" else f" on {self.device}"
        count = "" if self.threads is None else f", {self.threads} thread{'' if self.threads == 1 else 's'}"
        return f"{self.runtime} {self.precision}{on}{count}"


@dataclass(frozen=True)
class Forecast:
    """What one combination costs.

    Args:
        combination: how it runs.
        latency: ms for one example.
        rate: 1/s; for an engine that streams this is more than 1 / latency.
        memory: peak bytes of the process.
        fits: one of FITS: whether that is within what the chip leaves to a model.
        energy: mJ for one example, the board's idle watts included.
        price: USD for a million examples.
    """

    combination: Combination
    latency: Estimate | NoClaim
    rate: Estimate | NoClaim
    memory: Estimate | NoClaim
    fits: str
    energy: Estimate | NoClaim
    price: Estimate | NoClaim


@dataclass(frozen=True)
class Beside:
    """What the same model costs elsewhere.

    Args:
        chip: its name.
        title: for people.
        forecast: its best.
    """

    chip: str
    title: str
    forecast: Forecast


@dataclass(frozen=True)
class Prediction:
    """All forecasts of a model on a chip.

    Args:
        model: file name of the model.
        features: of its graph.
        chip: name of the chip.
        title: of the chip, for people.
        forecasts: those with a latency or rate first, the fastest first; the others say why nothing is claimed.
        best: the fastest that fits, or may; None where nothing is claimed or nothing fits.
        beside: machines of a data centre, for comparison.
        warnings: worth showing with it.
    """

    model: str
    features: Features
    chip: str
    title: str
    forecasts: tuple[Forecast, ...]
    best: Forecast | None
    beside: tuple[Beside, ...]
    warnings: tuple[str, ...]


@dataclass(frozen=True)
class Sustained:
    """A board under a steady load, hot.

    Args:
        cooling: which cooling was assumed.
        ambient_celsius: air around the board.
        minutes: how long.
        rate: 1/s that can be kept up.
        asked_rate: 1/s that was asked for, or None for as fast as it can.
        peak_celsius: highest temperature of the chip.
        throttles_after_s: seconds until the clock falls for the first time; None when it does not.
        watts: mean of the whole board.
        battery_hours: None without a battery.
    """

    cooling: str
    ambient_celsius: float
    minutes: float
    rate: Estimate
    asked_rate: float | None
    peak_celsius: Estimate
    throttles_after_s: float | None
    watts: Estimate
    battery_hours: Estimate | None


@dataclass(frozen=True)
class BoardAdvice:
    """How one board would do a job.

    Args:
        chip: its name.
        title: for people.
        forecast: the way to run the model that was weighed, or None where nothing is claimed.
        rate: 1/s that it keeps up at full speed, heat counted where a thermal model is known; None without a claim.
        sustained: its long run at the rate asked for, or None where no thermal model supports one.
        price_usd: to buy, or None.
        price_date: of that price.
        verdict: `yes`, `maybe` (the limit lies within the interval) or `no`.
        reasons: against it, each with the value and the limit; for `maybe` what is open.
        watts: of the whole board under this load.
        price_million: USD for a million examples.
    """

    chip: str
    title: str
    forecast: Forecast | None
    rate: Estimate | None
    sustained: Sustained | None
    price_usd: float | None
    price_date: str | None
    verdict: str
    reasons: tuple[str, ...]
    watts: Estimate | None
    price_million: Estimate | None


@dataclass(frozen=True)
class Job:
    """What a board is wanted for; None sets no limit.

    Args:
        fps: examples a second that must be kept up.
        max_price_usd: to buy one.
        max_watts: of the whole board, mean under this load.
        ambient_celsius: air around it.
        cooling: one of `bare`, `heatsink`, `fan`, or None for the best that the board has a thermal model of.
        minutes: of the long run.
        battery_wh: energy of a battery, or None.
    """

    fps: float
    max_price_usd: float | None = None
    max_watts: float | None = None
    ambient_celsius: float = 25.0
    cooling: str | None = None
    minutes: float = 30.0
    battery_wh: float | None = None


@dataclass(frozen=True)
class Advice:
    """Every board, ranked.

    Args:
        model: file name of the model.
        features: of its graph.
        job: what was asked.
        boards: `yes` first, then `maybe`, then `no`; within each the cheapest to buy first.
        assumptions: of prices and electricity, in words.
    """

    model: str
    features: Features
    job: Job
    boards: tuple[BoardAdvice, ...]
    assumptions: tuple[str, ...]
