"""Which cascades are worth a test: a choice made on the selection split alone, from the safest to the cheapest.

Two or three candidates run one after the other; an answer stands where its sureness reaches a threshold. For every pair
and triple, every measure and a grid of thresholds the paired counts and the mean time on the selection split are known
at once. What remains is a path: cascades in the order of how safe they look, each cheaper than everything before it,
single rungs included (Laufer-Goldshtein et al., "Efficiently Controlling Multiple Risks with Pareto Testing", ICLR
2023). It becomes part of the one fixed sequence that is tested on the certification split (Angelopoulos et al., "Learn
then Test", arXiv 2110.01052; Bauer 1991, Statistics in Medicine 10:871), so it costs no correction.
docs/statistics.md says what is guaranteed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations, pairwise

import numpy as np
import numpy.typing as npt

from shoestring.base.errors import DataError
from shoestring.base.sureness import MEASURES
from shoestring.domain.score import Paired
from shoestring.evaluate.ordering import score

Bools = npt.NDArray[np.bool_]
Levels = npt.NDArray[np.int64]

GAIN = 1.03
"""A cascade must be cheaper by this factor than what is safer: less is within the noise of two medians."""
MAX_TESTED = 8
"""Cascades in the fixed sequence. The path is smooth, so more of them would differ by a few images each."""
HANDICAP = 1.5
"""Standard errors that a cascade must look safer by to be tested before a rung. Its thresholds are the best of many on
the selection split and look better there than they are; a rung is what it is. Rungs that will pass thus come first, and
only those that will hardly pass stand behind the cascades (docs/adr/0006-cascades.md)."""
PAIR_GRID = 96
TRIPLE_GRID = 16
"""Thresholds of a stage: quantiles of the levels it gave."""


@dataclass(frozen=True)
class Runner:
    """A candidate as a stage, with what it did on one split.

    Args:
        name: of the candidate.
        latency_ms: of one image, what its input takes included.
        asking_ms: what it takes to say how sure it is.
        right: whether each image was a hit for it.
        levels: for each measure the sureness of each image.
    """

    name: str
    latency_ms: float
    asking_ms: float
    right: Bools
    levels: Mapping[str, Levels]


@dataclass(frozen=True)
class Plan:
    """A cascade to be tested: what it is, and what it did on the selection split.

    Args:
        rungs: names, from cheap to dear.
        measure: of sureness.
        thresholds: of all stages but the last.
        answered: images that each stage answers.
        paired: counts against the original.
        expected_ms: mean time of an image.
        z: score of "the drop is the margin": the lower, the safer.
    """

    rungs: tuple[str, ...]
    measure: str
    thresholds: tuple[int, ...]
    answered: tuple[int, ...]
    paired: Paired
    expected_ms: float
    z: float

    @property
    def name(self) -> str:
        """For people: `small:int8 > int8 by margin at 0.8123`."""
        steps = ", ".join(f"{threshold / 10_000:g}" for threshold in self.thresholds)
        return f"{' > '.join(self.rungs)} by {self.measure} at {steps}"


@dataclass(frozen=True)
class Path:
    """The cascades to test, from the safest to the cheapest; and the cheapest of all that keep the margin, if any."""

    plans: tuple[Plan, ...]
    cheapest: Plan | None


@dataclass(frozen=True)
class Safer:
    """A single rung of the fixed sequence, or the reference: cascades must be cheaper than what is as safe."""

    name: str
    latency_ms: float
    z: float


def safety(paired: Paired, margin: float) -> float:
    """Score statistic of "the drop is `margin`" (see `ordering`): the lower, the safer it looks."""
    return float(score(paired.n, paired.losses, paired.wins, margin))


def stage_of(runners: Sequence[Runner], measure: str, thresholds: Sequence[int]) -> npt.NDArray[np.int64]:
    """Which stage answers each image: the first whose level reaches its threshold, else the last."""
    stage = np.full(len(runners[0].right), len(runners) - 1)
    for place in range(len(runners) - 2, -1, -1):
        stage[runners[place].levels[measure] >= thresholds[place]] = place
    return stage


def outcome(
    runners: Sequence[Runner], measure: str, thresholds: Sequence[int], original: Bools
) -> tuple[tuple[int, ...], Paired]:
    """How many images each stage answers, and the counts of the whole against the original.

    Args:
        runners: from cheap to dear, all on the same images.
        measure: of sureness.
        thresholds: one for each but the last.
        original: whether each image was a hit for the original; for agreement all true.

    Raises:
        DataError: thresholds that do not fit the stages, or no images.
    """
    if len(thresholds) != len(runners) - 1 or not len(original):
        raise DataError(f"{len(thresholds)} thresholds for {len(runners)} stages on {len(original)} images")
    stage = stage_of(runners, measure, thresholds)
    right = np.choose(stage, [runner.right for runner in runners])
    answered = tuple(int(np.sum(stage == place)) for place in range(len(runners)))
    return answered, count(original, right)


def count(original: Bools, right: Bools) -> Paired:
    """Paired counts from hits."""
    return Paired(
        n=len(original),
        original_hits=int(original.sum()),
        variant_hits=int(right.sum()),
        wins=int((right & ~original).sum()),
        losses=int((original & ~right).sum()),
    )


def grid(levels: Levels, size: int) -> Levels:
    """Thresholds: at most `size` different levels that were seen, and one above all of them, at which none stands."""
    seen = np.unique(levels)
    if len(seen) > size:
        seen = np.unique(np.quantile(levels, np.linspace(0, 1, size), method="nearest"))
    return np.append(seen, seen[-1] + 1).astype(np.int64)


def plan(runners: Sequence[Runner], original: Bools, margin: float, rungs: Sequence[Safer]) -> Path:
    """The cascades to test, from the safest to the cheapest.

    Args:
        runners: on the selection split, from cheap to dear.
        original: its hits on the same images.
        margin: that will be certified, a fraction.
        rungs: that stand for themselves.

    Returns:
        At most MAX_TESTED plans, each cheaper by GAIN than every rung and every cascade tested before it. None loses
        more than the margin here.
    """
    found = [
        item
        for item in _all(runners, original, margin)
        if item.paired.drop <= margin and item.answered[-1] < item.paired.n and item.answered[0] > 0
    ]
    found.sort(key=lambda item: (item.z, item.expected_ms, item.name))
    path: list[Plan] = []
    cheapest = float("inf")
    for item in found:
        limit = min([cheapest, *(rung.latency_ms for rung in rungs if rung.z <= item.z + HANDICAP)])
        if item.expected_ms * GAIN < limit:
            path.append(item)
            cheapest = item.expected_ms
    best = min(found, key=lambda item: item.expected_ms, default=None)
    if len(path) <= MAX_TESTED:
        return Path(tuple(path), best)
    kept = np.unique(np.round(np.linspace(0, len(path) - 1, MAX_TESTED)).astype(int))
    return Path(tuple(path[place] for place in kept), best)


def merge(rungs: Sequence[Safer], plans: Sequence[Plan]) -> list[str]:
    """The one fixed sequence: the rungs in their own order, each cascade before the first rung that looks less safe by
    HANDICAP."""
    order: list[str] = []
    left = list(plans)
    for rung in rungs:
        while left and left[0].z + HANDICAP < rung.z:
            order.append(left.pop(0).name)
        order.append(rung.name)
    return order + [item.name for item in left]


def _all(runners: Sequence[Runner], original: Bools, margin: float) -> Iterator[Plan]:
    for length, size in ((2, PAIR_GRID), (3, TRIPLE_GRID)):
        for chain in combinations(runners, length):
            if any(one.latency_ms >= other.latency_ms for one, other in pairwise(chain)):
                continue
            for measure in MEASURES:
                yield from _chain(chain, measure, size, original, margin)


def _chain(chain: Sequence[Runner], measure: str, size: int, original: Bools, margin: float) -> Iterator[Plan]:
    """Every point of one chain on the grid that no other point of it beats in both safety and time."""
    grids = [grid(runner.levels[measure], size) for runner in chain[:-1]]
    codes = [
        np.searchsorted(steps, runner.levels[measure], "right") for steps, runner in zip(grids, chain, strict=False)
    ]
    n, names = len(original), tuple(runner.name for runner in chain)
    losses, wins, answered = _tables(chain, codes, [len(steps) for steps in grids], original)
    time = np.zeros(losses.shape)
    spent = 0.0
    for runner, counts in zip(chain, answered, strict=True):
        spent += runner.latency_ms + (0.0 if runner is chain[-1] else runner.asking_ms)
        time += counts * spent / n
    z = score(n, losses, wins, margin)
    hits = int(original.sum())
    for place in _front(z.ravel(), time.ravel()):
        at = np.unravel_index(place, z.shape)
        lost, won = int(losses[at]), int(wins[at])
        yield Plan(
            names,
            measure,
            tuple(int(steps[i]) for steps, i in zip(grids, at, strict=True)),
            tuple(int(counts[at]) for counts in answered),
            Paired(n, hits, hits + won - lost, wins=won, losses=lost),
            float(time[at]),
            float(z[at]),
        )


def _tables(
    chain: Sequence[Runner], codes: Sequence[Levels], sizes: Sequence[int], original: Bools
) -> tuple[Levels, Levels, list[Levels]]:
    """Losses, wins and images answered by each stage, at every combination of grid thresholds.

    `codes` holds for each image how many thresholds its level reaches. With thresholds i (and j) the first stage
    answers where its code is above i, the second where that is not so and its code is above j.
    """
    if len(sizes) == 1:
        stands = [_above(codes[0], sizes[0])]
    else:
        first, second = (_above(code, size) for code, size in zip(codes, sizes, strict=True))
        stands = [np.repeat(first[:, None, :], sizes[1], axis=1), ~first[:, None, :] & second[None, :, :]]
    rest = ~np.logical_or.reduce(stands)
    masks = [*stands, rest]
    lost = [original & ~runner.right for runner in chain]
    won = [runner.right & ~original for runner in chain]
    losses = sum((mask @ one.astype(np.int64) for mask, one in zip(masks, lost, strict=True)), np.int64(0))
    wins = sum((mask @ one.astype(np.int64) for mask, one in zip(masks, won, strict=True)), np.int64(0))
    return np.asarray(losses), np.asarray(wins), [mask.sum(axis=-1) for mask in masks]


def _above(code: Levels, size: int) -> Bools:
    """(thresholds, images): whether the image reaches the threshold."""
    reaches: Bools = code[None, :] > np.arange(size)[:, None]
    return reaches


def _front(z: npt.NDArray[np.float64], time: npt.NDArray[np.float64]) -> list[int]:
    """Places of the points that no other one beats, from the safest to the cheapest."""
    order = np.lexsort((time, z))
    front, best = [], float("inf")
    for place in order:
        if time[place] < best:
            front.append(int(place))
            best = float(time[place])
    return front
