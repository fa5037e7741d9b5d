"""The choice of cascades: fast tables against plain counting, the path, its edges."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from shoestring.base.errors import DataError
from shoestring.base.sureness import MEASURES
from shoestring.domain.cascade import stands
from shoestring.domain.score import Paired
from shoestring.evaluate import cascade
from shoestring.evaluate.cascade import GAIN, HANDICAP, Plan, Runner, Safer, count, grid, merge, outcome, plan, safety
from shoestring.evaluate.statistics import certify

N = 400
ORIGINAL_MS = 9.0


def make_runners(seed: int = 0, n: int = N, most: int = 300) -> tuple[list[Runner], np.ndarray]:
    """Three candidates that are wrong where they are not sure, the dearer the less."""
    rng = np.random.default_rng(seed)
    original = rng.random(n) < 0.9
    runners = []
    for name, latency, errors in (("small", 1.0, 0.3), ("middle", 3.0, 0.08), ("large", 8.0, 0.004)):
        hardness = rng.random(n)
        levels = {
            measure: np.clip(most * (1 - hardness) + rng.normal(0, 10 + 20 * i, n), 0, most).astype(np.int64)
            for i, measure in enumerate(MEASURES)
        }
        runners.append(Runner(name, latency, 0.1, original ^ (hardness > 1 - errors), levels))
    return runners, original


def rungs_of(runners: list[Runner], original: np.ndarray, margin: float) -> list[Safer]:
    return [Safer("fp32", ORIGINAL_MS, safety(count(original, original), margin))]


def by_hand(runners: list[Runner], item: Plan, original: np.ndarray) -> tuple[tuple[int, ...], Paired, float]:
    """Image after image, by the rule of the device."""
    named = {runner.name: runner for runner in runners}
    chain = [named[name] for name in item.rungs]
    answered, right, spent = [0] * len(chain), [], 0.0
    for image in range(len(original)):
        for place, runner in enumerate(chain):
            last = place == len(chain) - 1
            spent += runner.latency_ms + (0 if last else runner.asking_ms)
            if stands(int(runner.levels[item.measure][image]), None if last else item.thresholds[place]):
                answered[place] += 1
                right.append(runner.right[image])
                break
    return tuple(answered), count(original, np.array(right)), spent / len(original)


@pytest.mark.parametrize("seed", range(6))
def test_every_plan_is_what_counting_image_by_image_gives(seed: int) -> None:
    runners, original = make_runners(seed)
    path = plan(runners, original, 0.05, rungs_of(runners, original, 0.05))
    assert path.plans
    for item in path.plans:
        answered, paired, expected_ms = by_hand(runners, item, original)
        chain = [next(one for one in runners if one.name == name) for name in item.rungs]
        assert (answered, paired) == (item.answered, item.paired)
        assert outcome(chain, item.measure, item.thresholds, original) == (answered, paired)
        assert item.expected_ms == pytest.approx(expected_ms)
        assert item.z == pytest.approx(safety(paired, 0.05))


def test_triples_are_among_what_is_tried() -> None:
    found = set()
    for seed in range(20):
        runners, original = make_runners(seed)
        path = plan(runners, original, 0.03, rungs_of(runners, original, 0.03))
        found |= {len(item.rungs) for item in path.plans}
    assert found == {2, 3}


@pytest.mark.parametrize("seed", range(6))
def test_the_path_goes_from_safe_to_cheap_and_beats_what_is_as_safe(seed: int) -> None:
    runners, original = make_runners(seed)
    alone = [
        Safer(one.name, one.latency_ms, safety(count(original, one.right), 0.03)) for one in (runners[1], runners[2])
    ]
    plans = plan(runners, original, 0.03, alone).plans
    for one, other in pairwise(plans):
        assert one.z <= other.z and other.expected_ms < one.expected_ms
    for item in plans:
        assert item.paired.drop <= 0.03
        assert all(item.expected_ms * GAIN < rung.latency_ms for rung in alone if rung.z <= item.z + HANDICAP)


def test_a_fast_rung_that_is_safe_leaves_no_cascade() -> None:
    runners, original = make_runners()
    alone = [Safer("int8", 0.9, safety(count(original, original), 0.05))]
    path = plan(runners, original, 0.05, alone)
    assert path.plans == () and path.cheapest is not None and path.cheapest.expected_ms > 0.9


def test_no_cascade_keeps_a_margin_that_no_candidate_keeps() -> None:
    runners, original = make_runners()
    path = plan(runners[:2], original, 0.0001, rungs_of(runners, original, 0.0001))
    assert path.plans == () and path.cheapest is None


@pytest.mark.parametrize("level", [0, 7])
def test_ties_everywhere_leave_all_or_nothing(level: int) -> None:
    """One level for all: every image stops at the first stage, since where every one climbs there is no cascade."""
    runners, original = make_runners()
    tied = [
        Runner(one.name, one.latency_ms, one.asking_ms, one.right, dict.fromkeys(MEASURES, np.full(N, level)))
        for one in runners
    ]
    assert list(grid(np.full(N, level), 96)) == [level, level + 1]
    for item in plan(tied, original, 0.5, rungs_of(tied, original, 0.5)).plans:
        assert item.answered == (N, 0)


def test_the_ends_of_a_chain_are_its_two_candidates() -> None:
    runners, original = make_runners()
    small, large = runners[0], runners[2]
    steps = grid(small.levels["margin"], 96)
    answered, paired = outcome([small, large], "margin", [int(steps[0])], original)
    assert answered == (N, 0) and paired == count(original, small.right)
    answered, paired = outcome([small, large], "margin", [int(steps[-1])], original)
    assert answered == (0, N) and paired == count(original, large.right)


def test_more_images_climb_as_the_threshold_rises() -> None:
    runners, original = make_runners()
    steps = [int(step) for step in grid(runners[0].levels["entropy"], 96)]
    shares = [outcome([runners[0], runners[2]], "entropy", [step], original)[0][0] for step in steps]
    assert shares == sorted(shares, reverse=True) and shares[0] == N and shares[-1] == 0


def test_the_grid_is_of_levels_that_were_seen() -> None:
    levels = np.random.default_rng(1).integers(0, 10_000, 2_000)
    steps = grid(levels, 96)
    assert len(steps) <= 97 and set(steps[:-1].tolist()) <= set(levels.tolist())
    assert steps[0] == levels.min() and steps[-1] == levels.max() + 1


@pytest.mark.parametrize("thresholds", [[], [1, 2]])
def test_thresholds_that_do_not_fit_are_refused(thresholds: list[int]) -> None:
    runners, original = make_runners()
    with pytest.raises(DataError, match="thresholds for 2 stages"):
        outcome(runners[:2], "margin", thresholds, original)


def test_too_few_images_certify_nothing() -> None:
    runners, original = make_runners(n=40)
    for item in plan(runners, original, 0.01, rungs_of(runners, original, 0.01)).plans:
        (verdict,) = certify([(item.name, item.paired)], "top-1", 0.01, 0.95)
        assert not verdict.certified


def make_plan(name: str, z: float) -> Plan:
    return Plan((name, "large"), "margin", (1,), (5, 5), Paired(10, 9, 9, 0, 0), 1.0, z)


def test_rungs_keep_their_order_and_stand_before_cascades_unless_they_look_far_less_safe() -> None:
    rungs = [Safer("a", 3.0, -4.0), Safer("b", 2.0, -1.0), Safer("c", 1.0, -0.2)]
    plans = [make_plan("x", -3.9), make_plan("y", -1.0 - HANDICAP - 0.01), make_plan("z", -1.2)]
    names = [item.name for item in plans]
    assert merge(rungs, plans) == ["a", names[0], names[1], "b", "c", names[2]]
    assert merge(rungs, []) == ["a", "b", "c"]
    assert merge([], plans) == names


def test_at_most_so_many_are_tested(monkeypatch: pytest.MonkeyPatch) -> None:
    runners, original = make_runners(2)
    long = plan(runners, original, 0.05, rungs_of(runners, original, 0.05)).plans
    monkeypatch.setattr(cascade, "MAX_TESTED", 3)
    short = plan(runners, original, 0.05, rungs_of(runners, original, 0.05)).plans
    assert len(long) > 3 and len(short) == 3
    assert short[0] == long[0] and short[-1] == long[-1]
