"""Which candidates may go on to certification, and why the others may not. Looks at the selection split only.

With a margin, certification goes through a fixed sequence up to the first failure, so a candidate that comes after one
that failed is lost, and one that was sorted out before is lost too. Hence two rules:

- A candidate is sorted out only by one that is no worse in latency, size, observed drop *and discordance* (losses plus
  wins). Of two with the same drop, the one with fewer of both is far easier to certify: where a fast one with many
  looks as accurate as a slower, gentler one, the gentler stays as a reserve.
- The sequence starts with the candidate that is easiest to certify (see `ease`), so reserves come before what they are
  reserves for. A further candidate costs no error; it costs power only where it fails and a later one would have
  passed, which is rare because it is the easier one (tests/search/test_reserves.py simulates both).

A reserve that turns out not to be needed is taken off the ladder after certification (`search.ladder`). Without a
margin nothing fails and every candidate shares the error, so there are no reserves.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from shoestring.base.units import format_bytes, format_ms, format_points
from shoestring.domain.budget import Budget
from shoestring.domain.cost import Cost
from shoestring.domain.ladder import Candidate, Rejected

NOISE = 1.03
"""Two latencies or sizes within 3 % count as equal: a judgement of what a median can tell apart."""


MAY_MEET = "may meet"
"""How the reason against a candidate begins whose estimate does not tell."""


@dataclass(frozen=True)
class Admission:
    """Admitted candidates in the fixed order of certification (easiest first), and the rejected ones."""

    admitted: tuple[Candidate, ...]
    rejected: tuple[Rejected, ...]


def latency_ms(candidate: Candidate, budget: Budget) -> float:
    """Median at the budget's thread count; without one, at the count that is fastest for this candidate."""
    return candidate.cost.at(budget.threads).median_ms


def over_budget(cost: Cost, budget: Budget) -> str | None:
    """The first limit that a cost breaks, with both numbers; None when it keeps them all.

    An estimate keeps a limit only when the upper end of its interval does (ADR 12); where the limit lies inside the
    interval, the reason begins with MAY_MEET.
    """
    timing = cost.at(budget.threads)
    predicted = cost.predicted
    memory = cost.peak_rss_bytes
    bounds = (memory, memory) if predicted is None else (predicted.memory_low_bytes, predicted.memory_high_bytes)
    ends = (timing.median_ms, timing.median_ms) if predicted is None else (timing.low_ms, timing.high_ms)
    return (
        _above("latency", timing.median_ms, ends, budget.latency_ms, format_ms)
        or _above("memory", memory, bounds, budget.memory_bytes, lambda value: format_bytes(int(value)))
        or _above("size", cost.size_bytes, (cost.size_bytes,) * 2, budget.size_bytes, lambda v: format_bytes(int(v)))
    )


def _above(
    what: str, value: float, ends: tuple[float, float], limit: float | None, words: Callable[[float], str]
) -> str | None:
    low, high = ends
    if limit is None or high <= limit:
        return None
    if low == high:
        return f"{what} {words(value)} is above the budget of {words(limit)}"
    between = f"{what} ~{words(value)} ({words(low)} to {words(high)}, estimate)"
    if low > limit:
        return f"{between} is above the budget of {words(limit)}"
    return f"{MAY_MEET} the budget: {between} has the limit of {words(limit)} inside its interval"


def admit(
    candidates: Sequence[Candidate], reference: str, budget: Budget, stopped: Mapping[str, str] | None = None
) -> Admission:
    """Sort out what breaks the budget, loses too much on the selection split, or is beaten in every respect.

    Args:
        candidates: all, the reference among them; its scores are the original's own.
        reference: name of the candidate that computes the original's function; never sorted out for its score.
        budget: limits.
        stopped: by name, why a candidate's scoring ended early; it is rejected, and beats nobody.
    """
    kept: list[Candidate] = []
    rejected: list[Rejected] = []
    for candidate in candidates:
        reason = (stopped or {}).get(candidate.name) or over_budget(candidate.cost, budget)
        drop = candidate.score.paired.drop
        if reason is None and budget.max_drop is not None and drop > budget.max_drop and candidate.name != reference:
            reason = (
                f"{candidate.score.metric} falls by {format_points(drop)} on the selection split, "
                f"more than {format_points(budget.max_drop)}"
            )
        if reason is None:
            kept.append(candidate)
        else:
            rejected.append(Rejected(candidate, reason))
    admitted = []
    for candidate in kept:
        better = next((other for other in kept if other.name != reference and replaces(other, candidate, budget)), None)
        if better is None or candidate.name == reference:
            admitted.append(candidate)
        else:
            rejected.append(Rejected(candidate, beaten_reason(better, candidate, budget)))
    fixed_order = sorted(admitted, key=lambda candidate: ease(candidate, budget))
    return Admission(tuple(fixed_order), tuple(rejected))


def ease(candidate: Candidate, budget: Budget) -> tuple[float, float, int, str]:
    """Sorts by how easily a candidate is certified.

    With a margin m: by (m - d) / sqrt(q), the distance of the drop d from the margin in units of its standard error,
    which the power of the test rises with whatever the number of images; q is the discordance. A gain is taken for
    none (d >= 0), since compression rarely mends a model and a gain on the selection split is mostly luck; and one
    outcome is added to q, since none seen is not none. Without a margin every candidate is tested: by the drop.
    """
    paired = candidate.score.paired
    far = 0.0
    if budget.max_drop is not None:
        far = (budget.max_drop - max(0.0, paired.drop)) / math.sqrt((discordant(candidate) + 1) / paired.n)
    return -far, paired.drop, paired.losses, candidate.name


def discordant(candidate: Candidate) -> int:
    """Images of the selection split on which candidate and original are not both right or both wrong."""
    return candidate.score.paired.losses + candidate.score.paired.wins


def replaces(one: Candidate, other: Candidate, budget: Budget) -> bool:
    """Whether `other` is needed neither beside `one` nor, with a margin, as its reserve."""
    no_reserve = budget.max_drop is None or discordant(one) <= discordant(other)
    return no_reserve and beats(one, other, budget)


def overtaken(
    one: Candidate, cost: Cost, lowest_drop: float, differing: int, budget: Budget, loss: float | None = None
) -> bool:
    """Whether `one`, scored in full, will replace a candidate of this cost however its remaining images turn out.

    Here noise excuses nothing: whatever the other would have replaced, `one` then replaces too, so that stopping the
    other changes no admission.

    Args:
        one: kept by the budget, not the reference.
        cost: of the other.
        lowest_drop: what the other's drop cannot fall below.
        differing: losses and wins of the other so far.
        budget: decides the thread count, and whether there are reserves.
        loss: of the other, or None.
    """
    fast, slow = latency_ms(one, budget), cost.at(budget.threads).median_ms
    small, large, drop = one.cost.size_bytes, cost.size_bytes, one.score.paired.drop
    no_reserve = budget.max_drop is None or discordant(one) <= differing
    no_worse = fast <= slow and small <= large and drop <= lowest_drop and not _loses_more(one.recipe.loss, loss)
    return no_reserve and no_worse and (fast * NOISE < slow or small * NOISE < large or drop < lowest_drop)


def beats(one: Candidate, other: Candidate, budget: Budget) -> bool:
    """Whether `one` is clearly better in latency, drop or size and, within noise, worse in none of them.

    Where the other's loss is smaller, a smaller drop counts only beyond the noise of both.
    """
    if one.name == other.name:
        return False
    fast, slow = latency_ms(one, budget), latency_ms(other, budget)
    small, large = one.cost.size_bytes, other.cost.size_bytes
    drop, other_drop = one.score.paired.drop, other.score.paired.drop
    no_worse = fast <= slow * NOISE and small <= large * NOISE and drop <= other_drop
    if _loses_more(one.recipe.loss, other.recipe.loss) and not clearly_below(one, other):
        return False
    return no_worse and (fast * NOISE < slow or small * NOISE < large or drop < other_drop)


def clearly_below(one: Candidate, other: Candidate) -> bool:
    """Whether the drop of `one` is smaller by more than a standard error of the difference of both (in images, taking
    what differs from the original as Poisson counts; the selection split of unlabelled photos often has ten).
    """
    gap = (other.score.paired.drop - one.score.paired.drop) * other.score.paired.n
    return gap > math.sqrt(discordant(one) + discordant(other))


def _loses_more(one: float | None, other: float | None) -> bool:
    return one is not None and other is not None and one > other


def beaten_reason(better: Candidate, candidate: Candidate, budget: Budget) -> str:
    """Why `candidate` is not needed beside `better`, in numbers."""

    def words(one: Candidate) -> str:
        drop = format_points(one.score.paired.drop)
        return f"{format_ms(latency_ms(one, budget))}, {drop}, {format_bytes(one.cost.size_bytes)}"

    return f"nowhere better than {better.name} ({words(candidate)} against {words(better)})"
