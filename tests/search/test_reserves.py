"""Reserves: users simulated from the choice to the certificate, with the exact test of the product.

The doubt they answer: a fast int8 program that looks as accurate as a gentler one on the selection split sorts it out,
then fails certification, and no fast rung is left.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from functools import cache

import numpy as np
import pytest
from scipy.stats import binom

from proof_scale import SCALE
from shoestring.domain.budget import Budget
from shoestring.domain.cost import Cost, Timing
from shoestring.domain.ladder import Candidate
from shoestring.domain.recipe import Recipe
from shoestring.domain.score import Certificate, Paired, Score
from shoestring.evaluate.sample_size import critical_losses
from shoestring.search import admit as admitting
from shoestring.search.admit import admit, beats
from shoestring.search.ladder import build_ladder

ERROR, MARGIN = 0.05, 0.02
SELECTION, CERTIFICATION = 300, 800
USERS = 1_000 * SCALE


@dataclass(frozen=True)
class Kind:
    """A candidate as it truly is.

    Args:
        ms: latency.
        loss: chance of a loss on one image.
        win: of a win.
    """

    name: str
    ms: float
    loss: float
    win: float


FP32 = Kind("fp32", 10.0, 0.0, 0.0)
GENTLE = Kind("int8-float4@native", 4.0, 0.004, 0.002)
RISKY = Kind("int8@native", 3.0, 0.055, 0.045)  # a drop of 1 pt with so much discordance that 800 images rarely do
FINE = Kind("int8@native", 3.0, 0.006, 0.003)
FALSE = Kind("int8@native", 3.0, 0.045, 0.025)  # a drop of 2 pt: a certificate for it is false


@cache
def most_losses(discordant: int) -> int:
    return critical_losses(CERTIFICATION, discordant, MARGIN, ERROR)


def paired(n: int, losses: int, wins: int) -> Paired:
    before = int(0.9 * n)
    return Paired(n, before, before - losses + wins, wins, losses)


def seen(rng: np.random.Generator, kind: Kind) -> Candidate:
    """A candidate as the selection split shows it."""
    losses, wins, _ = rng.multinomial(SELECTION, (kind.loss, kind.win, 1 - kind.loss - kind.win)).tolist()
    counts = paired(SELECTION, losses, wins)
    score = Score("top-1", "selection", counts, counts.variant_hits / SELECTION, 0.9, -1.0, 1.0, 0.95)
    timing = Timing(1, kind.ms, kind.ms, kind.ms, 10, kind.ms / 10, 1.0, 1.0)
    recipe = Recipe(kind.name, "int8", (), "simulated")
    return Candidate(recipe, "onnxruntime", "1", kind.name, Cost((timing,), 1, 1), (score,), ())


def chosen(rng: np.random.Generator, kinds: tuple[Kind, ...]) -> tuple[str, set[str]]:
    """The chosen rung of one user, and every rung."""
    budget = Budget(max_drop=MARGIN, threads=1)
    found = admit([seen(rng, kind) for kind in (FP32, *kinds)], "fp32", budget)
    certificates, refusals, failed = {}, {}, False
    truth = {kind.name: kind for kind in kinds}
    for candidate in found.admitted:
        if candidate.name == "fp32":
            continue
        kind = truth[candidate.name]
        losses, wins, _ = rng.multinomial(CERTIFICATION, (kind.loss, kind.win, 1 - kind.loss - kind.win)).tolist()
        failed = failed or losses > most_losses(losses + wins)
        if failed:
            refusals[candidate.name] = "not certified"
        else:
            counts = paired(CERTIFICATION, losses, wins)
            certificates[candidate.name] = Certificate(
                "top-1", MARGIN, 1 - ERROR, "simulated", counts, ERROR, candidate.name, "onnxruntime", "1", ()
            )
    ladder = build_ladder(found.admitted, certificates, refusals, found.rejected, "fp32", budget)
    assert ladder is not None
    return ladder.chosen, {rung.name for rung in ladder.rungs}


def choices(*kinds: Kind, users: int = USERS) -> Counter[str]:
    rng = np.random.default_rng(41)
    return Counter(chosen(rng, kinds)[0] for _ in range(users))


@pytest.fixture
def without_reserves(monkeypatch: pytest.MonkeyPatch):
    """The procedure before: beaten is out, and the smallest observed drop is tested first."""

    def ease(one: Candidate, budget: Budget) -> tuple[float, int, str]:
        return one.score.paired.drop, one.score.paired.losses, one.name

    def switch() -> None:
        monkeypatch.setattr(admitting, "replaces", beats)
        monkeypatch.setattr(admitting, "ease", ease)

    return switch


def test_a_gentler_program_is_left_when_the_risky_one_fails(without_reserves):
    now = choices(RISKY, GENTLE)
    without_reserves()
    before = choices(RISKY, GENTLE)
    print(f"of {USERS:,} users without a fast rung: {now['fp32']} with reserves, {before['fp32']} without")
    assert now["fp32"] < 0.03 * USERS, now
    assert before["fp32"] > 0.15 * USERS, before


def test_reserves_cost_little_where_the_fast_one_is_fine(without_reserves):
    now = choices(FINE, GENTLE)
    without_reserves()
    before = choices(FINE, GENTLE)
    print(f"of {USERS:,} users with the fastest rung: {now[FINE.name]} with reserves, {before[FINE.name]} without")
    assert now[FINE.name] >= before[FINE.name] - 0.02 * USERS, (now, before)


def test_certificates_stay_as_true_as_they_claim():
    """A program just at the margin, behind a reserve that passes: certified by chance, at most one user in twenty."""
    rng = np.random.default_rng(43)
    false = sum(FALSE.name in chosen(rng, (FALSE, GENTLE))[1] for _ in range(USERS))
    assert false <= binom.ppf(0.999, USERS, ERROR), f"{false} of {USERS}"


def test_a_sequence_that_goes_on_after_a_failure_is_caught(monkeypatch):
    """The saboteur tests many programs at the margin, each at the full error, and does not stop: too many are false."""
    rng, false = np.random.default_rng(47), 0
    for _ in range(USERS):
        draws = rng.multinomial(CERTIFICATION, (FALSE.loss, FALSE.win, 1 - FALSE.loss - FALSE.win), size=6)
        false += any(losses <= most_losses(int(losses + wins)) for losses, wins, _ in draws)
    assert false > binom.ppf(0.999, USERS, ERROR)


def test_an_unneeded_reserve_is_taken_off_and_says_so():
    rng = np.random.default_rng(2)
    one, other = seen(rng, GENTLE), seen(rng, FINE)
    counts = paired(SELECTION, 2, 2)
    fast = Candidate(other.recipe, "onnxruntime", "1", "f", other.cost, (_with(other.score, counts),), ())
    slow = Candidate(one.recipe, "onnxruntime", "1", "s", one.cost, (_with(one.score, paired(SELECTION, 1, 0)),), ())
    budget = Budget(max_drop=MARGIN, threads=1)
    found = admit([slow, fast], "fp32", budget)
    assert [item.name for item in found.admitted] == [slow.name, fast.name], "the reserve is tested first"
    assert [item.name for item in admit([slow, fast], "fp32", Budget(threads=1)).admitted] == [fast.name]
    proof = {
        item.name: Certificate("top-1", MARGIN, 0.95, "t", counts, 0.01, item.artefact_sha256, "onnxruntime", "1", ())
        for item in (slow, fast)
    }
    ladder = build_ladder(found.admitted, proof, {}, found.rejected, "fp32", budget)
    assert ladder is not None and [rung.name for rung in ladder.rungs] == [fast.name]
    (spare,) = ladder.rejected
    assert spare.reason.startswith(f"certified as a reserve, and not needed: nowhere better than {fast.name} (4 ms")
    failed = build_ladder(
        found.admitted, {slow.name: proof[slow.name]}, {fast.name: "not certified"}, [], "fp32", budget
    )
    assert failed is not None and failed.chosen == slow.name


def _with(score: Score, counts: Paired) -> Score:
    return replace(score, paired=counts, value=counts.variant_hits / counts.n)
