"""From candidates of an encoder to a certified ladder."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from shoestring.base.canonical import digest
from shoestring.base.errors import CandidateError, EngineError
from shoestring.compress.candidates import REFERENCE
from shoestring.costmodel.measure import Measured, Measurement, describe, measure_all
from shoestring.domain.budget import Budget
from shoestring.domain.cost import Cost
from shoestring.domain.ladder import Candidate, Ladder
from shoestring.domain.score import Paired
from shoestring.evaluate.statistics import Verdict, certify
from shoestring.fitting.candidates import Artefact, runtime_versions, seconds_each
from shoestring.fitting.certify import nothing_fits, only_reference_for_lack_of_proof, settle
from shoestring.fitting.text.bench import TextBench
from shoestring.fitting.text.making import with_loss
from shoestring.fitting.text.scoring import Scorer, retrieval_note
from shoestring.runtimes import registry
from shoestring.search.admit import admit, over_budget
from shoestring.search.ladder import build_ladder


@dataclass(frozen=True)
class Costs:
    """What candidates cost.

    Args:
        costs: by name.
        failures: by name, why one could not be measured.
        measurement: in words.
    """

    costs: dict[str, Cost]
    failures: dict[str, str]
    measurement: str


def price(bench: TextBench, made: Mapping[str, Artefact], budget: Budget) -> Costs:
    """Costs of all candidates, measured side by side on a typical text; kept."""
    threads = tuple(sorted({1, (bench.threads + 1) // 2, bench.threads, budget.threads or 1}))
    seconds = seconds_each(len(made))
    feeds, tokens = bench.typical()
    bucket = feeds[bench.spec.ids.name].shape[1]
    question = {
        "artefacts": {name: one.sha256 for name, one in made.items()},
        "machine": bench.machine,
        "threads": threads,
        "seconds": seconds,
        "runtimes": runtime_versions(made),
        "feeds": {name: digest(value.tolist()) for name, value in feeds.items()},
    }

    def compute() -> Measurement:
        return measure_all(
            [Measured(name, one.path, one.runtime, one.size_bytes) for name, one in made.items()],
            REFERENCE,
            threads,
            seconds_each=seconds,
            feeds=feeds,
            progress=lambda words: bench.progress(f"measuring: {words}", 0, 0),
        )

    found = bench.cache.noun("costs", question, Measurement, compute)
    words = (
        f"{describe(len(made), REFERENCE, threads, seconds_each=seconds)} Every input was the calibration text of "
        f"median length, {tokens} tokens, padded to {bucket}; tokenizing is not in the times."
    )
    return Costs(found.costs, found.failures, words)


def score_all(
    scorer: Scorer, costs: Mapping[str, Cost], classes: int, budget: Budget
) -> tuple[Scorer, list[Candidate], list[str]]:
    """Candidates with cost and score, and what failed on the way, in words.

    The scorer that comes back holds the candidates that are left, with their losses. One that breaks a limit of the
    budget by its cost alone is scored like the others: its row says what it would have lost.
    """
    left, found, said = {}, [], []
    is_classes = scorer.bench.spec.kind == "classification"
    for name, one in scorer.made.items():
        if name not in costs:
            continue
        try:
            known = with_loss(scorer.bench, one, scorer.original, classes=is_classes)
            scores = scorer.scores(name, classes)
        except CandidateError as error:
            said.append(f"left out: {error.message}")
            continue
        except EngineError as error:  # NaN among the answers of a variant
            if name == REFERENCE:
                raise
            said.append(f"left out: {name}: {error.message}")
            continue
        notes = known.notes if is_classes else (*known.notes, retrieval_note(scorer, name))
        left[name] = known
        found.append(
            Candidate(
                recipe=known.recipe,
                runtime=known.runtime,
                runtime_version=registry.get(known.runtime).version(),
                artefact_sha256=known.sha256,
                cost=costs[name],
                scores=scores,
                notes=notes,
            )
        )
    return replace(scorer, made=left), found, said


def prove(
    scorer: Scorer,
    candidates: Sequence[Candidate],
    budget: Budget,
    count: Callable[[Candidate], Paired] | None = None,
) -> Ladder:
    """Choose on the selection split, certify on the certification split, and put the ladder together.

    Args:
        scorer: of the candidates.
        candidates: scored.
        budget: limits.
        count: counts on the certification split; None asks the scorer.

    Raises:
        BudgetError: nothing meets the budget.
    """
    count = count or scorer.certified_counts
    stopped = {one.name: reason for one in candidates if (reason := over_budget(one.cost, budget)) is not None}
    admission = admit(candidates, REFERENCE, budget, stopped)
    tested = [one for one in admission.admitted if one.name != REFERENCE]
    counts: dict[str, Paired] = {}
    verdicts: list[Verdict] = []
    if budget.max_drop is None:
        counts = {one.name: count(one) for one in tested}
        verdicts = list(certify(list(counts.items()), scorer.metric, None, budget.confidence))
    else:  # one after the other: what comes after a failure is not tested, so it is not scored either
        for one in tested:
            counts[one.name] = count(one)
            one_counts = [(one.name, counts[one.name])]
            verdicts += certify(one_counts, scorer.metric, budget.max_drop, budget.confidence)
            if not verdicts[-1].certified:
                break
    found = {verdict.name: verdict for verdict in verdicts}
    certificates, refusals = settle(scorer.bench, admission.admitted, counts, found, scorer.metric, budget)
    ladder = build_ladder(admission.admitted, certificates, refusals, admission.rejected, REFERENCE, budget)
    if ladder is None or only_reference_for_lack_of_proof(ladder, refusals):
        raise nothing_fits(candidates, admission, refusals, budget)
    return ladder
