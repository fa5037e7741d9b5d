"""The rungs of a bundle as the governor knows them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shoestring.device.governor.nouns import RungPlan
from shoestring.domain.cascade import RUNTIME

if TYPE_CHECKING:
    from shoestring.domain.chip import Chip
    from shoestring.domain.ladder import Ladder, Rung
    from shoestring.domain.score import Certificate, Score


def plans_of(ladder: Ladder, chip: Chip | None) -> tuple[RungPlan, ...]:
    """The ladder's rungs, its cascade, and the cascade's stages that are no rungs (those below the proven floor).

    Latencies are the bundle's, until the policy is told what this board takes. Offered rungs are left out: nothing of
    them was measured.

    Args:
        ladder: of the bundle.
        chip: that it runs on, or None where nobody says so; then nothing is known of watts.

    Returns:
        From cheap to dear.
    """
    watts = _watts_per_core(chip)
    plans = [_plan(rung, watts, certified=True) for rung in ladder.rungs]
    if ladder.cascade is not None:
        names = {plan.name for plan in plans}
        stages = [rung for rung in ladder.runnable if rung.name not in names and rung.name in _stage_names(ladder)]
        plans += [_plan(rung, watts, certified=False) for rung in stages]
        cascade = ladder.cascade
        threads = max(stage.threads for stage in cascade.stages)
        reference = ladder.rungs[0].candidate.score
        plans.append(
            RungPlan(
                name=RUNTIME,
                quality=_proven(reference, cascade.certificate),
                certified=True,
                busy_s=cascade.observed_ms / 1000,
                busy_high_s=cascade.worst_ms / 1000,
                load_watts=None if watts is None else watts * threads,
                memory_bytes=sum(plan.memory_bytes or 0 for plan in plans if plan.name in _stage_names(ladder)),
            )
        )
    return tuple(sorted(plans, key=lambda plan: (plan.busy_s, plan.name)))


def quality(score: Score, certificate: Certificate | None) -> float:
    """The original's metric less the upper end of the drop's interval, and never less than what is certified.

    Args:
        score: on the selection split.
        certificate: None for a rung that computes the original's own function, or one that nothing is proven of.

    Returns:
        A fraction, 0 to 1.
    """
    likely = score.original - max(score.drop_high, 0.0)
    return max(0.0, likely if certificate is None else max(likely, _proven(score, certificate)))


def _proven(score: Score, certificate: Certificate) -> float:
    return max(0.0, score.original - certificate.max_drop)


def _plan(rung: Rung, watts: float | None, *, certified: bool) -> RungPlan:
    timing = rung.candidate.cost.at(rung.threads)
    return RungPlan(
        name=rung.name,
        quality=quality(rung.candidate.score, rung.certificate),
        certified=certified,
        busy_s=timing.median_ms / 1000,
        busy_high_s=timing.high_ms / 1000,
        load_watts=None if watts is None else watts * rung.threads,
        memory_bytes=rung.candidate.cost.peak_rss_bytes,
    )


def _watts_per_core(chip: Chip | None) -> float | None:
    """Watts above idle of one busy core: those of all of them shared out evenly."""
    if chip is None or chip.power is None or not chip.cores:
        return None
    return (chip.power.load.value - chip.power.idle.value) / chip.cores


def _stage_names(ladder: Ladder) -> frozenset[str]:
    return frozenset() if ladder.cascade is None else frozenset(stage.rung for stage in ladder.cascade.stages)
