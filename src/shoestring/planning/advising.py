"""Which board for a job: every chip weighed, none left out in silence."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from shoestring.base.errors import UsageError
from shoestring.base.units import format_bytes
from shoestring.costmodel.heat import Load, Outlook, outlook
from shoestring.domain.estimate import Estimate, NoClaim
from shoestring.domain.forecast import Advice, BoardAdvice, Forecast, Job
from shoestring.planning.forecasting import Knowledge, forecast
from shoestring.planning.predicting import ranked
from shoestring.planning.ways import ways

if TYPE_CHECKING:
    from collections.abc import Iterable

    from shoestring.domain.chip import Chip, Figure
    from shoestring.domain.features import Features

ORDER = {"yes": 0, "maybe": 1, "no": 2}
CLOSE = 0.995
"""A rate within half a per cent of what is asked for is that rate: simulated rates settle no better."""


@dataclass(frozen=True)
class Weighed:
    """A board's advice with its temperature curve, where there is one."""

    board: BoardAdvice
    outlook: Outlook | None


def advise(features: Features, chips: Iterable[Chip], job: Job, known: Knowledge) -> tuple[Advice, tuple[Weighed, ...]]:
    """Weigh every chip.

    Args:
        features: of the model.
        chips: to weigh.
        job: what is wanted.
        known: what the forecasts rest on.

    Returns:
        The advice, and the same boards in the same order with their curves.

    Raises:
        UsageError: a figure of the job is out of range.
    """
    check(job)
    weighed = sorted((weigh(features, chip, job, known) for chip in chips), key=lambda one: _rank(one.board))
    boards = tuple(one.board for one in weighed)
    return Advice(features.name, features, job, boards, (f"Prices: {known.assumed}.",)), tuple(weighed)


def check(job: Job) -> None:
    """Refuse what nobody can mean. Raises UsageError."""
    for name, value in (("--max-price", job.max_price_usd), ("--max-watts", job.max_watts)):
        if value is not None and not 0 < value < float("inf"):
            raise UsageError(f"{name} {value:g} must be above zero", hint=f"leave {name} out for no limit")
    if not 0 < job.fps <= 1e6:
        raise UsageError(f"--fps {job.fps:g} is outside (0, 1000000]", hint="a camera gives 15 to 60")


def weigh(features: Features, chip: Chip, job: Job, known: Knowledge) -> Weighed:
    """One chip against the job, by the way to run the model that keeps the highest rate there."""
    forecasts = ranked([forecast(features, chip, way, known) for way in ways(chip, known.rows)])
    claimed = [one for one in forecasts if isinstance(one.rate, Estimate)]
    chosen = next((one for one in claimed if one.fits != "no"), claimed[0] if claimed else None)
    if chosen is None:
        whys = dict.fromkeys(one.rate.why for one in forecasts if isinstance(one.rate, NoClaim))
        return Weighed(_board(chip, None, None, None, "no", (f"no claim: {'; '.join(whys) or 'nothing known'}",)), None)
    return _judge(chip, chosen, job)


def _judge(chip: Chip, chosen: Forecast, job: Job) -> Weighed:
    against: list[str] = []
    open_: list[str] = []
    assert isinstance(chosen.rate, Estimate)
    cool = _ambient(chip, job, against)
    kinds = [cooling.kind for cooling in chip.coolings]
    if job.cooling is not None and kinds and job.cooling not in kinds:
        against.append(f"no thermal model for cooling {job.cooling}; known: {', '.join(kinds)}")
        cool = False
    seen = full = None
    if cool:
        seen = outlook(chip, Load(chosen.rate, job.fps, job.minutes, job.ambient_celsius, job.cooling, job.battery_wh))
        full = outlook(chip, Load(chosen.rate, None, job.minutes, job.ambient_celsius, job.cooling))
    if isinstance(seen, NoClaim) and chip.kind != "server":
        open_.append(f"heat not counted: {seen.why}")
    hot = seen if isinstance(seen, Outlook) else None
    rate = full.sustained.rate if isinstance(full, Outlook) else chosen.rate
    kept = hot.sustained.rate if hot is not None else chosen.rate
    watts = hot.sustained.watts if hot is not None else _busy_watts(chip, chosen, job)
    _rate(kept, job, against, open_)
    if chip.host:
        open_.append(f"price and watts are without the board it hangs on: {' or '.join(chip.host)}")
    else:
        _memory(chip, chosen, against, open_)
    _price(chip.price, job, against)
    _watts(watts, job, against, open_)
    verdict = "no" if against else "maybe" if open_ else "yes"
    board = _board(chip, chosen, rate, watts, verdict, tuple(against or open_))
    return Weighed(_with(board, hot), hot)


def _board(
    chip: Chip,
    chosen: Forecast | None,
    rate: Estimate | None,
    watts: Estimate | None,
    verdict: str,
    reasons: tuple[str, ...],
) -> BoardAdvice:
    return BoardAdvice(
        chip=chip.name,
        title=chip.title,
        forecast=chosen,
        rate=rate,
        sustained=None,
        price_usd=None if chip.price is None else chip.price.value,
        price_date=None if chip.price is None else chip.price.date,
        verdict=verdict,
        reasons=reasons,
        watts=watts,
        price_million=chosen.price if chosen is not None and isinstance(chosen.price, Estimate) else None,
    )


def _with(board: BoardAdvice, hot: Outlook | None) -> BoardAdvice:
    return board if hot is None else replace(board, sustained=hot.sustained)


def _ambient(chip: Chip, job: Job, against: list[str]) -> bool:
    low = None if chip.ambient_low is None else chip.ambient_low.value
    high = None if chip.ambient_high is None else chip.ambient_high.value
    if (low is not None and job.ambient_celsius < low) or (high is not None and job.ambient_celsius > high):
        against.append(f"ambient {job.ambient_celsius:g} C, made for {_bound(low)} to {_bound(high)} C")
        return False
    return True


def _bound(value: float | None) -> str:
    return "?" if value is None else f"{value:g}"


def _rate(kept: Estimate, job: Job, against: list[str], open_: list[str]) -> None:
    words = f"{kept.value:.3g} a second ({kept.low:.3g} to {kept.high:.3g}), {job.fps:g} wanted"
    if kept.high < CLOSE * job.fps:
        against.append(f"keeps up {words}")
    elif kept.low < CLOSE * job.fps:
        open_.append(f"may not keep up: {words}")


def _memory(chip: Chip, chosen: Forecast, against: list[str], open_: list[str]) -> None:
    if chosen.fits == "yes" or not isinstance(chosen.memory, Estimate):
        return
    room = "" if chip.usable is None else f", {format_bytes(chip.usable.value)} usable"
    words = f"memory {format_bytes(chosen.memory.low)} to {format_bytes(chosen.memory.high)}{room}"
    (against if chosen.fits == "no" else open_).append(words)


def _price(price: Figure | None, job: Job, against: list[str]) -> None:
    if job.max_price_usd is None:
        return
    if price is None:
        against.append(f"no price known, at most {job.max_price_usd:g} USD wanted")
    elif price.value > job.max_price_usd:
        against.append(f"costs {price.value:g} USD ({price.date}), at most {job.max_price_usd:g} wanted")


def _watts(watts: Estimate | None, job: Job, against: list[str], open_: list[str]) -> None:
    if job.max_watts is None:
        return
    if watts is None:
        against.append(f"no watts known, at most {job.max_watts:g} wanted")
    elif watts.low > job.max_watts:
        against.append(
            f"draws {watts.value:.3g} W ({watts.low:.3g} to {watts.high:.3g}), at most {job.max_watts:g} wanted"
        )
    elif watts.high > job.max_watts:
        open_.append(f"may draw more than {job.max_watts:g} W: {watts.value:.3g} ({watts.low:.3g} to {watts.high:.3g})")


def _busy_watts(chip: Chip, chosen: Forecast, job: Job) -> Estimate | None:
    """Mean watts of a board without a thermal model: idle, and its busy share of the rest."""
    if chip.power is None or not isinstance(chosen.rate, Estimate):
        return None
    idle, load = chip.power.idle.value, chip.power.load.value

    def mean(rate: float) -> float:
        return idle + (load - idle) * min(1.0, job.fps / rate)

    rate = chosen.rate
    ends = (0.85 * mean(rate.high), 1.15 * mean(rate.low))
    rests = (f"{idle:g} to {load:g} W ({chip.power.load.status}, {chip.power.load.source})",)
    return Estimate(mean(rate.value), *ends, "W", "formula", rests, "the whole board")


def _rank(board: BoardAdvice) -> tuple[int, float, str]:
    return ORDER[board.verdict], float("inf") if board.price_usd is None else board.price_usd, board.chip
