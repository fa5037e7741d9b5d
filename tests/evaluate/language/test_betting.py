"""The test of a bounded mean: its error, by simulation, in worlds chosen to break it; and saboteurs it would catch."""

import math

import numpy as np
import pytest

from proof_scale import SCALE
from shoestring.base.errors import DataError, UsageError
from shoestring.domain.divergence import BlockTrace
from shoestring.evaluate.language.betting import needed_blocks, p_value, smallest_blocks, upper_limit
from shoestring.evaluate.language.certify import certify_each

RUNS = 1_500 * SCALE
MARGIN, CAP, ERROR = 0.05, 0.5, 0.05


def rare(random, n):
    """A block is harmless or a catastrophe: the world that a normal approximation does not see."""
    return CAP * (random.random(n) < MARGIN / CAP)


def very_rare(random, n):
    """As above with two in a hundred, each so large that the cap counts it for half of what it is."""
    return np.where(random.random(n) < 0.02, CAP, (MARGIN - 0.02 * CAP) / 0.98)


def skewed(random, n):
    """As KL of blocks is: a gamma of shape 2. The cap takes nearly nothing off."""
    return random.gamma(2, MARGIN / 2, n)


def constant(random, n):
    return np.full(n, MARGIN)


WORLDS = [rare, very_rare, skewed, constant]


def false_certificates(world, n, judge, seed=0):
    """Share of runs in which a variant exactly at the margin passes."""
    random = np.random.default_rng([seed, n])
    return np.mean([judge(world(random, n)) <= ERROR for _ in range(RUNS)])


def allowed():
    """Four standard errors above the error itself: no seed of a valid test gets there."""
    return ERROR + 4 * math.sqrt(ERROR * (1 - ERROR) / RUNS)


@pytest.mark.parametrize("world", WORLDS)
@pytest.mark.parametrize("n", [20, 120])
def test_a_variant_at_the_margin_is_seldom_certified(world, n):
    if world is skewed:  # its capped mean is a little below the margin: set the margin to what it is
        sample = np.minimum(skewed(np.random.default_rng(5), 400_000), CAP)
        margin = float(sample.mean())
    else:
        margin = MARGIN
    assert false_certificates(world, n, lambda values: p_value(values, margin, CAP)) <= allowed()


def test_a_normal_approximation_would_be_caught():
    """The saboteur: a z-test of the mean. In the rare world a run without a catastrophe has no spread at all."""
    from statistics import NormalDist

    def judge(values):
        spread = values.std(ddof=1) / math.sqrt(len(values))
        return NormalDist().cdf((values.mean() - MARGIN) / spread) if spread else float(values.mean() >= MARGIN)

    assert false_certificates(rare, 20, judge) > allowed()


def test_a_cap_learnt_from_the_split_itself_would_be_caught():
    """The saboteur: it takes the worst block that it saw for the worst that there is."""

    def judge(values):
        cap = max(values.max(), 1.01 * MARGIN)
        return p_value(values, MARGIN, cap)

    assert false_certificates(rare, 20, judge) > allowed()


def test_looking_until_it_passes_would_be_caught():
    """The saboteur: Hoeffding's bound of a fixed number, looked at after each block."""

    def judge(values):
        sums = np.cumsum(values / CAP)
        n = np.arange(1, len(values) + 1)
        mean = np.minimum(sums / n, MARGIN / CAP)
        with np.errstate(divide="ignore", invalid="ignore"):
            kl = np.where(mean > 0, mean * np.log(mean * CAP / MARGIN), 0.0)
            kl += (1 - mean) * np.log((1 - mean) / (1 - MARGIN / CAP))
        return float(np.exp(-n * kl).min())

    whole = false_certificates(rare, 400, lambda values: judge_last(values))
    assert whole <= allowed()
    assert false_certificates(rare, 400, judge) > allowed()


def judge_last(values):
    """The same bound, looked at once."""
    mean, margin = min(values.mean(), MARGIN) / CAP, MARGIN / CAP
    kl = (mean * math.log(mean / margin) if mean else 0.0) + (1 - mean) * math.log((1 - mean) / (1 - margin))
    return math.exp(-len(values) * kl)


def test_it_has_the_power_that_it_says():
    random = np.random.default_rng(1)
    seen = random.gamma(4, 0.006, 60)  # a mean KL of 0.024
    n = needed_blocks(seen, MARGIN, CAP, ERROR)
    passed = np.mean([p_value(random.choice(seen, n), MARGIN, CAP) <= ERROR for _ in range(400)])
    assert 0.65 <= passed <= 0.95
    assert n < 90
    assert needed_blocks(seen, 0.9 * float(seen.mean()), CAP, ERROR) is None


def test_it_beats_hoeffdings_bound():
    """The bound that is known best: of a fixed number, with the exact divergence (Bates et al. 2021, section 3.1)."""
    random = np.random.default_rng(2)
    for mean in (0.01, 0.025, 0.035):
        values = random.gamma(4, mean / 4, 120)
        assert p_value(values, MARGIN, CAP) < judge_last(np.minimum(values, CAP))


def test_limit_and_p_value_say_the_same():
    values = np.random.default_rng(3).gamma(4, 0.006, 100)
    limit = upper_limit(values, CAP, ERROR)
    assert p_value(values, limit, CAP) <= ERROR < p_value(values, limit * 0.998, CAP)
    assert upper_limit(np.full(3, CAP), CAP, ERROR) is None
    assert 0 < upper_limit(np.zeros(100), CAP, ERROR) < 0.022


def test_p_falls_with_the_margin_and_not_with_the_order():
    values = np.random.default_rng(4).gamma(2, 0.02, 50)
    found = [p_value(values, margin, CAP) for margin in np.linspace(0.02, 0.4, 30)]
    assert found == sorted(found, reverse=True)
    assert p_value(values[::-1], MARGIN, CAP) == pytest.approx(p_value(values, MARGIN, CAP), rel=1e-9)
    assert p_value([10.0], MARGIN, CAP) == 1.0


def test_the_fewest_blocks_are_the_fewest():
    n = smallest_blocks(MARGIN, CAP, ERROR)
    assert p_value(np.zeros(n), MARGIN, CAP) <= ERROR < p_value(np.zeros(n - 1), MARGIN, CAP)


@pytest.mark.parametrize(
    ("values", "margin", "cap", "error"),
    [
        ([], 0.05, 0.5, DataError),
        ([0.1, float("nan")], 0.05, 0.5, DataError),
        ([-0.1], 0.05, 0.5, DataError),
        ([0.1], 0.5, 0.5, UsageError),
        ([0.1], 0.0, 0.5, UsageError),
        ([0.1], 0.05, float("inf"), UsageError),
        ([0.1], 0.05, float("nan"), UsageError),
    ],
)
def test_what_makes_no_sense_is_refused(values, margin, cap, error):
    with pytest.raises(error):
        p_value(values, margin, cap)


def family(random, n, worlds):
    """Certificates over a ladder of variants on the same split."""
    return [
        BlockTrace(str(i), "certification", (64,) * n, tuple(map(float, world(random, n))), (0,) * n, (1.0,) * n)
        for i, world in enumerate(worlds)
    ]


@pytest.mark.parametrize("margin", [MARGIN, None])
def test_a_ladder_of_variants_at_the_margin_has_the_error_of_one(margin):
    random = np.random.default_rng(6)
    wrong = 0
    for _ in range(RUNS // 5):
        traces = family(random, 60, [rare, very_rare, rare, constant])
        verdicts = certify_each(traces, [CAP] * 4, margin, 1 - ERROR)
        wrong += any(one.certified and (margin is not None or one.max_kl < MARGIN) for one in verdicts)
    assert wrong / (RUNS // 5) <= ERROR + 4 * math.sqrt(ERROR * (1 - ERROR) / (RUNS // 5))


def test_testing_all_at_the_full_error_would_be_caught():
    """The saboteur: no fixed sequence, so that each of many variants gets its own chance."""
    random = np.random.default_rng(7)
    wrong = 0
    for _ in range(RUNS // 5):
        traces = family(random, 42, [rare] * 24)
        wrong += any(p_value(trace.kl, MARGIN, CAP) <= ERROR for trace in traces)
    assert wrong / (RUNS // 5) > ERROR + 4 * math.sqrt(ERROR * (1 - ERROR) / (RUNS // 5))


def test_after_a_failure_nothing_is_tested():
    n = 100
    traces = family(
        np.random.default_rng(8), n, [lambda r, n: r.gamma(4, 0.003, n), constant, lambda r, n: np.zeros(n)]
    )
    first, second, third = certify_each(traces, [CAP] * 3, MARGIN, 0.95)
    assert first.certified
    assert not second.certified
    assert not third.certified
    assert third.p_value is None
    assert "more would not help" in second.reason
    assert "not tested: 1" in third.reason
