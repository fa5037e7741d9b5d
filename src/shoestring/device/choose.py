"""Which rung to load."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shoestring.base.errors import BudgetError, UsageError
from shoestring.base.units import format_ms

if TYPE_CHECKING:
    from shoestring.domain.ladder import Ladder, Rung


def choose_rung(ladder: Ladder, *, name: str | None, threads: int | None, latency_ms: float | None) -> Rung:
    """The rung called `name`, or the most accurate one within `latency_ms`, or the ladder's chosen one.

    Latencies are those measured when the bundle was made, on the machine that its evidence names.

    Args:
        ladder: of the bundle.
        name: of a rung, or None.
        threads: that latency is judged at; None judges each rung at its own count.
        latency_ms: above zero, or None. Not together with `name`.

    Raises:
        UsageError: no rung of that name, both choices at once, or no latency was measured at that thread count.
        BudgetError: no rung is that fast; the hint says what there is.
    """
    names = ", ".join(rung.name for rung in ladder.rungs)
    if name is not None and latency_ms is not None:
        raise UsageError(f"both rung {name!r} and a latency were asked for", hint="give one of them")
    if latency_ms is not None:
        return _within(ladder, threads, latency_ms)
    wanted = ladder.chosen if name is None else name
    try:
        return ladder.rung(wanted)
    except KeyError:
        raise UsageError(f"there is no rung {wanted!r}", hint=f"the rungs are: {names}") from None


def _within(ladder: Ladder, threads: int | None, latency_ms: float) -> Rung:
    if not latency_ms > 0:
        raise UsageError(f"latency {latency_ms} ms is not above zero", hint="give it like 5.0")
    medians: dict[str, float] = {}
    for rung in ladder.rungs:
        for timing in rung.candidate.cost.timings:
            if timing.threads == (rung.threads if threads is None else threads):
                medians[rung.name] = timing.median_ms
    if not medians:
        counts = sorted({timing.threads for rung in ladder.rungs for timing in rung.candidate.cost.timings})
        measured = ", ".join(map(str, counts))
        raise UsageError(f"no latency was measured at {threads} threads", hint=f"measured were: {measured}")
    fast = [rung for rung in ladder.rungs if rung.name in medians and medians[rung.name] <= latency_ms]
    if not fast:
        there = ", ".join(f"{rung} {format_ms(median)}" for rung, median in medians.items())
        raise BudgetError(f"no rung answers within {format_ms(latency_ms)}", hint=f"to be had: {there}")
    return max(fast, key=lambda rung: (_quality(rung), -medians[rung.name]))


def _quality(rung: Rung) -> float:
    """The score, or of a model that writes how little it diverges."""
    found = rung.candidate.divergence
    return rung.candidate.score.value if found is None else -found.kl
