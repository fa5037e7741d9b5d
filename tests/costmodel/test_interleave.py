"""Timing on a clock that only moves when a contestant says so, so that every number is exact."""

import gc
import itertools

import pytest

from shoestring.costmodel import interleave
from shoestring.costmodel.interleave import Contestant


class Clock:
    """Time that stands still until somebody spends it."""

    def __init__(self):
        self.now_ns = 0
        self.calls = []

    def perf_counter_ns(self):
        return self.now_ns

    def worker(self, name, durations_ms):
        durations = iter(durations_ms)

        def run():
            self.calls.append(name)
            self.now_ns += round(next(durations) * 1e6)

        return run


@pytest.fixture
def clock(monkeypatch):
    made = Clock()
    monkeypatch.setattr(interleave, "time", made)
    return made


def test_warm_up_waits_until_two_windows_agree(clock):
    falling = [2.0 * 0.9**step for step in range(40)]
    warm = interleave.warm_up(clock.worker("a", itertools.chain([50.0], falling, itertools.repeat(falling[-1]))), 1e6)
    assert warm.flat
    assert warm.runs > 40
    assert warm.median_ms == pytest.approx(falling[-1], rel=0.05)


def test_warm_up_ends_at_its_limit_and_says_that_it_is_not_flat(clock):
    growing = (1.3**step for step in itertools.count())
    warm = interleave.warm_up(clock.worker("a", growing), 200)
    assert not warm.flat
    assert clock.now_ns < 2 * 200e6


def test_warm_up_of_a_very_slow_model_is_two_runs(clock):
    warm = interleave.warm_up(clock.worker("a", itertools.repeat(5000.0)), 3000)
    assert (warm.runs, warm.flat, warm.median_ms) == (2, False, 5000.0)


@pytest.mark.parametrize(("run_ms", "runs"), [(0.01, 2000), (1.0, 20), (7.0, 3), (19.0, 1), (500.0, 1)])
def test_a_block_is_about_20_ms_and_at_least_one_run(run_ms, runs):
    assert interleave.block_runs(run_ms) == runs


@pytest.mark.parametrize("count", [1, 2, 3, 4, 5])
def test_every_contestant_takes_every_place_equally_often(count):
    names = [f"c{i}" for i in range(count)]
    orders = [interleave.order(names, number) for number in range(2 * count)]
    for place in range(count):
        assert sorted(one[place] for one in orders) == sorted(2 * names)
    for one, other in itertools.permutations(names, 2):
        before = sum(order.index(one) < order.index(other) for order in orders)
        assert before == count


def test_rounds_interleave_and_lead_runs_are_not_timed(clock):
    first_of_a_block_is_slow = itertools.cycle([9.0, 1.0, 1.0, 1.0, 1.0, 1.0])
    contestants = [
        Contestant("a", clock.worker("a", first_of_a_block_is_slow)),
        Contestant("b", clock.worker("b", itertools.repeat(2.0))),
    ]
    rounds = interleave.run_rounds(contestants, {"a": 5, "b": 1}, 0)
    assert len(rounds) == interleave.MIN_ROUNDS
    assert all(one == {"a": [1.0] * 5, "b": [2.0]} for one in rounds)
    assert "".join(clock.calls)[:16] == "aaaaaabb" + "bbaaaaaa"


def test_rounds_go_on_until_the_time_is_spent(clock):
    rounds = interleave.run_rounds([Contestant("a", clock.worker("a", itertools.repeat(1.0)))], {"a": 9}, 1000)
    assert len(rounds) == 91  # a round takes 11 ms, and none starts after 1,000


def test_ratios_are_taken_within_a_round(clock):
    """The machine halves its speed for a while: ratios within a round do not notice, ratios of medians would."""
    rounds = [{"slow": [4.0 * f], "fast": [1.0 * f]} for f in (1.0, 1.0, 2.0, 2.0, 2.0, 1.0)]
    timing = interleave.summarise(rounds, "fast", "slow", 2)
    assert (timing.ratio_low, timing.ratio_to_original, timing.ratio_high) == (0.25, 0.25, 0.25)
    assert (timing.low_ms, timing.median_ms, timing.high_ms) == (1.0, 1.5, 2.0)
    assert (timing.threads, timing.runs) == (2, 6)


def drifting(clock):
    """Two contestants of the same cost on a machine that loses half its speed over time."""

    def run(name):
        def go():
            clock.calls.append(name)
            clock.now_ns += round(1e6 * (1 + min(1.0, clock.now_ns / 1e9)))

        return go

    return [Contestant("a", run("a")), Contestant("b", run("b"))]


def test_a_machine_that_slows_down_does_not_favour_whoever_came_first(clock):
    rounds = interleave.run_rounds(drifting(clock), {"a": 10, "b": 10}, 0)
    assert interleave.summarise(rounds, "b", "a", 1).ratio_to_original == pytest.approx(1.0, abs=0.02)


def test_a_benchmark_that_does_not_interleave_would_be_caught(clock):
    one, other = drifting(clock)
    first = interleave.run_rounds([one], {"a": 10}, 0)
    second = interleave.run_rounds([other], {"b": 10}, 0)
    merged = [{**a, **b} for a, b in zip(first, second, strict=True)]
    assert interleave.summarise(merged, "b", "a", 1).ratio_to_original > 1.1


@pytest.mark.parametrize("on", [True, False])
def test_the_collector_is_off_while_timing_and_left_as_it_was(on):
    was_on = gc.isenabled()
    try:
        (gc.enable if on else gc.disable)()
        with pytest.raises(KeyError), interleave.collector_off():
            assert not gc.isenabled()
            raise KeyError
        assert gc.isenabled() is on
    finally:
        (gc.enable if was_on else gc.disable)()
