"""The rungs of a bundle that writes as the governor knows them: an example is a token."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shoestring.device.governor.nouns import RungPlan

if TYPE_CHECKING:
    from shoestring.domain.chip import Chip
    from shoestring.domain.ladder import Ladder, Rung


def plans_of(ladder: Ladder, chip: Chip | None) -> tuple[RungPlan, ...]:
    """The ladder's rungs; every one of them is certified.

    Args:
        ladder: of the bundle.
        chip: that it runs on, or None where nobody says so; then nothing is known of watts.

    Returns:
        From cheap to dear.
    """
    watts = None
    if chip is not None and chip.power is not None and chip.cores:
        watts = (chip.power.load.value - chip.power.idle.value) / chip.cores
    plans = [_plan(rung, watts) for rung in ladder.rungs]
    return tuple(sorted(plans, key=lambda plan: (plan.busy_s, plan.name)))


def quality(rung: Rung) -> float:
    """The share of tokens that are the original's, at the lower end of its interval; 1 of the original itself."""
    divergence = rung.candidate.divergence
    if rung.kl_certificate is None or divergence is None:
        return 1.0
    return min(1.0, max(0.0, divergence.agreement_low))


def _plan(rung: Rung, watts: float | None) -> RungPlan:
    cost = rung.candidate.cost
    timing = cost.at(rung.threads)
    return RungPlan(
        name=rung.name,
        quality=quality(rung),
        certified=True,
        busy_s=timing.median_ms / 1000,
        busy_high_s=timing.high_ms / 1000,
        load_watts=None if watts is None else watts * rung.threads,
        memory_bytes=cost.peak_rss_bytes,
    )


__all__ = ["plans_of", "quality"]
