"""Which candidates go on, in which order they are certified, and which rung is chosen: pure rules over nouns."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from shoestring.domain.bits import TypeChoice
from shoestring.domain.budget import Budget
from shoestring.domain.cost import Predicted
from shoestring.domain.divergence import BlockTrace
from shoestring.fitting.language import choosing
from shoestring.fitting.language.making import mix_name
from shoestring.fitting.language.sizes import SHARES, ladder_mixes, loss_curve, size_for
from text_bundles import WRITTEN, make_writer_candidate, make_writer_evidence

EVIDENCE = make_writer_evidence()
CANDIDATES = tuple(make_writer_candidate(EVIDENCE, one) for one in WRITTEN)
REFERENCE = "given@llamacpp"


def named(candidates):
    return [one.name for one in candidates]


def test_without_limits_all_that_differ_stay():
    found = choosing.admit(CANDIDATES, REFERENCE, Budget())
    assert named(found.candidates) == [REFERENCE, "mix-86MB@llamacpp", "mix-62MB@llamacpp", "mix-40MB@llamacpp"]


@pytest.mark.parametrize(
    ("budget", "words"),
    [
        (Budget(max_kl=0.05), "more than 0.05"),
        (Budget(tokens_per_s=40.0), "fewer than the budget of 40 tokens/s"),
        (Budget(size_bytes=50_000_000), "size"),
        (Budget(memory_bytes=110_000_000), "memory"),
        (Budget(latency_ms=17.0), "latency"),
    ],
)
def test_what_breaks_the_budget_is_told_with_both_numbers(budget, words):
    found = choosing.admit(CANDIDATES, REFERENCE, budget)
    assert 1 <= len(found.candidates) < len(CANDIDATES)
    assert all(words in item.reason for item in found.rejected)


def test_an_estimate_keeps_a_rate_only_with_its_whole_interval():
    cost = CANDIDATES[0].cost
    rate = cost.tokens.rates[-1]
    told = Predicted("a-chip", "formula", ("words",), (), 0.9, 1, 10**9)
    guessed = replace(CANDIDATES[0], cost=replace(cost, predicted=told))
    for wanted, begins in (
        (rate.decode_low, None),
        (rate.decode_per_s, choosing.MAY_MEET),
        (rate.decode_high * 2, "~"),
    ):
        reason = choosing.over(guessed, Budget(tokens_per_s=wanted))
        assert (reason is None) == (begins is None)
        assert reason is None or reason.startswith(begins)


def test_what_is_nowhere_better_goes():
    worse = replace(
        CANDIDATES[0],
        recipe=replace(CANDIDATES[0].recipe, name="mix-80MB"),
        cost=replace(CANDIDATES[0].cost, size_bytes=80_000_000),
    )
    found = choosing.admit((*CANDIDATES, worse), REFERENCE, Budget())
    assert [item.reason[:38] for item in found.rejected] == ["nowhere better than mix-62MB@llamacpp:"]


def traces(kls, n=100):
    random = np.random.default_rng(0)
    return {
        name: BlockTrace(
            name, "certification", (60,) * n, tuple(map(float, random.gamma(4, kl / 4, n))), (0,) * n, (1.0,) * n
        )
        for name, kl in kls.items()
    }


def test_certification_stops_at_the_first_failure_and_scores_nothing_after_it():
    order = choosing.admit(CANDIDATES, REFERENCE, Budget(max_kl=1.0)).candidates
    truth = traces({"mix-86MB@llamacpp": 0.02, "mix-62MB@llamacpp": 1.5, "mix-40MB@llamacpp": 0.01})
    asked = []

    def trace_of(name):
        asked.append(name)
        return truth[name]

    found = choosing.certify(order, REFERENCE, truth, trace_of, Budget(max_kl=1.0))
    assert asked == ["mix-86MB@llamacpp", "mix-62MB@llamacpp"]
    assert [found[name].certified for name in named(order)[1:]] == [True, False, False]
    assert "not tested: mix-62MB@llamacpp" in found["mix-40MB@llamacpp"].reason
    ladder = choosing.build(choosing.Admitted(order, ()), REFERENCE, found, truth, ("avx2",), Budget(max_kl=1.0))
    assert [rung.name for rung in ladder.rungs] == ["mix-86MB@llamacpp", REFERENCE]
    assert ladder.chosen == "mix-86MB@llamacpp"
    assert ladder.rungs[1].kl_certificate is None
    assert [item.reason.startswith("not certified") for item in ladder.rejected] == [True, True]


def test_without_a_margin_the_error_is_shared():
    order = choosing.admit(CANDIDATES, REFERENCE, Budget()).candidates
    truth = traces({"mix-86MB@llamacpp": 0.02, "mix-62MB@llamacpp": 0.08, "mix-40MB@llamacpp": 0.9})
    found = choosing.certify(order, REFERENCE, truth, truth.__getitem__, Budget())
    for verdict in found.values():
        assert verdict.certified
        assert verdict.p_value <= 0.05 / 3
        assert verdict.mean <= verdict.max_kl <= verdict.cap


@pytest.mark.parametrize(
    ("budget", "chosen"),
    [
        (Budget(max_kl=1.0), "mix-40MB@llamacpp"),
        (Budget(tokens_per_s=35.0), "given@llamacpp"),
        (Budget(), "mix-62MB@llamacpp"),
    ],
)
def test_the_chosen_rung_follows_from_what_was_asked(budget, chosen):
    rungs = [choosing.Rung(candidate, 2, None) for candidate in CANDIDATES]
    assert choosing.choose(rungs, budget).name == chosen


def choices(tensors=12, seed=0):
    random = np.random.default_rng(seed)
    found = []
    for tensor in range(tensors):
        weight = float(random.gamma(1, 0.01))
        for bits, kind in ((2.6, "Q2_K"), (4.5, "Q4_0"), (5.5, "Q5_0"), (8.5, "Q8_0")):
            found.append(TypeChoice(f"t{tensor}", kind, int(1e5 * bits / 8), weight * 4.0 ** (4 - bits)))
    return found


def test_sizes_follow_from_the_divergence_that_is_allowed():
    mixes = ladder_mixes(choices(), 0.05, None)
    assert 3 <= len(mixes) <= len(SHARES)
    sizes = [mix.size_bytes for mix in mixes]
    assert sizes == sorted(sizes)
    assert mixes[0].loss <= 0.05
    assert mixes[-1].loss <= 0.005
    assert all(large >= 1.03 * small for small, large in pairwise(sizes))


def test_a_size_that_is_allowed_is_never_passed():
    whole = ladder_mixes(choices(), 0.05, None)
    most = whole[1].size_bytes
    assert all(mix.size_bytes <= most for mix in ladder_mixes(choices(), 0.05, most))


def test_the_curve_falls_and_is_read_between_its_points():
    curve = loss_curve(choices(), 390_000, 1_275_000)
    losses = [loss for _, loss in curve]
    assert losses == sorted(losses, reverse=True)
    assert size_for(curve, losses[0] * 2) == curve[0][0]
    assert size_for(curve, 0.0) == curve[-1][0]
    between = size_for(curve, (losses[3] * losses[4]) ** 0.5)
    assert curve[3][0] < between < curve[4][0]


def test_names_tell_the_size():
    assert [mix_name(size) for size in (999, 86_300_000, 1_234_000_000)] == ["mix-999B", "mix-86.3MB", "mix-1.23GB"]
