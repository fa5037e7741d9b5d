"""From candidates to a stored ladder: what they cost, how they score, which are certified.

A candidate on a runtime of others that fails on the way is left out, and the rest begins again: all that was found of
the others is kept, so that this takes seconds.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from shoestring.base.errors import CandidateError
from shoestring.compress.candidates import REFERENCE
from shoestring.domain.budget import Budget
from shoestring.fitting import assemble, board, candidates, cascades, certify, elsewhere, racing
from shoestring.search.admit import admit
from shoestring.search.ladder import build_ladder

if TYPE_CHECKING:
    from shoestring.costmodel.meter import Meter
    from shoestring.domain.cost import Cost
    from shoestring.domain.evidence import Sensitivity
    from shoestring.domain.ladder import Ladder
    from shoestring.fitting.outcome import Fitted
    from shoestring.fitting.workbench import Workbench


@dataclass(frozen=True)
class Asked:
    """What a fit is to find.

    Args:
        there: the chip that costs are predicted for, or None.
        meter: what measures them on a board, or None.
        budget: limits.
        metric: `top-1` or `agreement`.
        classes: of the model.
        race: when scoring a candidate stops.
        cascade: whether one is looked for.
        seed: of the splits.
    """

    there: elsewhere.Elsewhere | None
    meter: Meter | None
    budget: Budget
    metric: str
    classes: int
    race: str
    cascade: bool
    seed: int


def settle(
    bench: Workbench,
    asked: Asked,
    made: Mapping[str, candidates.Artefact],
    sensitivity: tuple[Sensitivity, ...],
    notes: Sequence[str],
) -> Fitted:
    """The proven ladder of these candidates.

    Args:
        bench: model, images, machine.
        asked: what for.
        made: artefacts by name.
        sensitivity: worst layer first.
        notes: for the user, so far.

    Raises:
        BudgetError: nothing meets the budget.
        UsageError, EngineError: costs or answers of the reference cannot be had.
    """
    left, said = dict(made), list(notes)
    while True:
        try:
            return _settle(bench, asked, left, sensitivity, said)
        except CandidateError as error:
            del left[error.name]
            said.append(f"left out: {error.message}")


def _settle(
    bench: Workbench,
    asked: Asked,
    made: dict[str, candidates.Artefact],
    sensitivity: tuple[Sensitivity, ...],
    notes: Sequence[str],
) -> Fitted:
    made, costs, of_costs = price(bench, asked.there, asked.meter, made, asked.budget)
    raced = racing.score_all(bench, made, asked.metric, asked.classes, asked.budget, asked.race, costs)
    cascade = asked.cascade and bench.aim is None
    ladder, found = prove(bench, made, raced, asked.budget, asked.classes, cascade)
    said = (*notes, *of_costs, *([found.note] if found.note else []))
    return assemble.assemble(
        bench, made, ladder, asked.metric, asked.budget, sensitivity, asked.seed, said, found.readings
    )


def prove(
    bench: Workbench,
    made: Mapping[str, candidates.Artefact],
    raced: racing.Raced,
    budget: Budget,
    classes: int,
    cascade: bool,
) -> tuple[Ladder, cascades.Found]:
    """Choose on the selection split, certify on the certification split, and put the ladder together.

    Raises:
        BudgetError: nothing meets the budget.
    """
    scored = raced.candidates
    metric = scored[0].score.metric
    admission = admit(scored, REFERENCE, budget, raced.stopped)
    tested = cascades.contest(bench, made, scored, admission, budget, classes) if cascade else cascades.NOT_WANTED
    certificates, refusals, found = cascades.certify_all(bench, made, admission.admitted, metric, budget, tested)
    ladder = build_ladder(admission.admitted, certificates, refusals, admission.rejected, REFERENCE, budget)
    if ladder is not None:
        ladder, found = cascades.join(ladder, found, budget)
    if ladder is None or (ladder.cascade is None and certify.only_reference_for_lack_of_proof(ladder, refusals)):
        raise certify.nothing_fits(scored, admission, refusals, budget)
    return ladder, found


def price(
    bench: Workbench,
    there: elsewhere.Elsewhere | None,
    meter: Meter | None,
    made: dict[str, candidates.Artefact],
    budget: Budget,
) -> tuple[dict[str, candidates.Artefact], dict[str, Cost], tuple[str, ...]]:
    """The candidates that may be ranked, what each costs, and what is to be said of it.

    Raises:
        UsageError: nothing is claimed for the reference on the chip.
        ShoestringError: the board cannot be reached, or cannot run a candidate.
    """
    if meter is not None:
        return made, board.measure_all(meter, bench, made, budget), board.warnings(meter, bench, made)
    if there is None:
        return made, candidates.measure_all(bench, made, candidates.thread_counts(bench, budget)), ()
    here = candidates.measure_all(bench, made, candidates.thread_counts(bench, Budget()))
    costs, unclaimed = elsewhere.predict_all(there, bench, made, here, budget)
    return {name: made[name] for name in costs}, costs, (*elsewhere.warnings(there, bench), *unclaimed)
