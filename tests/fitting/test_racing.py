"""Racing changes no admission: random users with near ties in cost, scored with and without it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import tiny
from proof_scale import SCALE
from shoestring.base.errors import UsageError
from shoestring.bundle import open_bundle
from shoestring.bundle.recheck import recheck_counts
from shoestring.domain.budget import Budget
from shoestring.domain.cost import Cost, Timing
from shoestring.domain.evidence import Trace
from shoestring.domain.ladder import Candidate
from shoestring.domain.recipe import Recipe
from shoestring.evaluate import race
from shoestring.evaluate.race import CERTAIN, OFF
from shoestring.fitting import candidates, fit, racing
from shoestring.fitting.candidates import Artefact
from shoestring.fitting.recheck import recheck
from shoestring.report import render
from shoestring.search.admit import Admission, admit

IMAGES = 320  # five parts of 64
BUDGETS = (
    Budget(max_drop=0.02, threads=1),
    Budget(threads=1),
    Budget(max_drop=0.05, latency_ms=6.0, threads=1),
)


@dataclass(frozen=True)
class User:
    """A data set and candidates, drawn at random.

    Args:
        made: artefacts by name, fp32 among them.
        costs: of each.
        top: answers of each on the selection split, and of `original`.
        labels: right classes, or None.
    """

    made: dict[str, Artefact]
    costs: dict[str, Cost]
    top: dict[str, tuple[tuple[int, ...], ...]]
    labels: tuple[int, ...] | None

    def bench(self, scored: list[int]) -> Any:
        """Stands in for the workbench; notes how many images each trace was asked for."""

        def trace(name: str, path: Path, sha256: str, split: str, runtime: str = "", count: int | None = None) -> Trace:
            assert split == "selection"
            scored.append(len(self.top[name][:count]))
            return Trace(name, split, self.top[name][:count])

        bench = SimpleNamespace(
            trace=trace,
            model=SimpleNamespace(path=Path("m"), sha256="m"),
            splits=SimpleNamespace(selection=tuple(range(IMAGES))),
            dataset=SimpleNamespace(labels=self.labels),
            feeding=SimpleNamespace(batch=16),
            threads=1,
            aim=None,
        )
        bench.of = lambda name: bench
        return bench


def draw_user(rng: np.random.Generator) -> User:
    """Costs on a grid finer than the noise, so that near ties are common; drops around the margin and far above."""
    original = np.where(rng.random(IMAGES) < 0.9, 0, 1)
    labels = tuple([0] * IMAGES) if rng.random() < 0.7 else None
    top = {"original": tuple((int(one),) for one in original)}
    made, costs = {}, {}
    for place in range(int(rng.integers(2, 8))):
        name = "fp32" if place == 0 else f"c{place}"
        flips = rng.random(IMAGES) < (0 if place == 0 else rng.choice([0.0, 0.01, 0.03, 0.1, 0.3]))
        top[name] = tuple((int(one),) for one in np.where(flips, 1 - original, original))
        ms = 4.0 * 1.02 ** int(rng.integers(0, 40))
        size = int(1_000_000 * 1.02 ** int(rng.integers(0, 40)))
        timing = Timing(1, ms, ms, ms, 10, 1.0, 1.0, 1.0)
        made[name] = Artefact(Recipe(name, "int8", (), "drawn"), Path(name), name, size, ())
        costs[name] = Cost((timing,), 1, size)
    return User(made, costs, top, labels)


@pytest.fixture
def drawn_costs(monkeypatch: pytest.MonkeyPatch) -> dict[str, Cost]:
    """Costs by name, as measuring answers them."""
    costs: dict[str, Cost] = {}
    monkeypatch.setattr(candidates, "measure_all", lambda bench, made, threads: {name: costs[name] for name in made})
    monkeypatch.setattr(candidates, "runtime_versions", lambda made: {"onnxruntime": "1"})
    monkeypatch.setattr(candidates, "drop_interval", lambda counts, metric, confidence: (-1.0, 1.0))
    return costs


def admission(user: User, costs: dict[str, Cost], budget: Budget, rule: str) -> tuple[Admission, int]:
    """Who is admitted, and the images that were scored for it."""
    costs.clear()
    costs.update(user.costs)
    scored: list[int] = []
    metric = "agreement" if user.labels is None else "top-1"
    found = racing.score_all(user.bench(scored), user.made, metric, 2, budget, rule)
    return admit(found.candidates, "fp32", budget, found.stopped), sum(one.score.paired.n for one in found.candidates)


def test_racing_admits_the_same_in_the_same_order(drawn_costs):
    rng = np.random.default_rng(17)
    saved = asked = 0
    for _ in range(300 * SCALE):
        user, budget = draw_user(rng), BUDGETS[int(rng.integers(len(BUDGETS)))]
        full, all_images = admission(user, drawn_costs, budget, OFF)
        raced, images = admission(user, drawn_costs, budget, CERTAIN)
        assert raced.admitted == full.admitted
        assert {item.candidate.name for item in raced.rejected} == {item.candidate.name for item in full.rejected}
        assert images <= all_images
        saved += all_images - images
        asked += all_images
    print(f"of {asked:,} images to score, the race left out {saved:,}")
    assert saved > 0


def differs(drawn_costs: dict[str, Cost]) -> bool:
    rng = np.random.default_rng(17)
    for _ in range(300):
        user, budget = draw_user(rng), BUDGETS[int(rng.integers(len(BUDGETS)))]
        full, _ = admission(user, drawn_costs, budget, OFF)
        if admission(user, drawn_costs, budget, CERTAIN)[0].admitted != full.admitted:
            return True
    return False


def test_a_race_that_forgets_the_wins_to_come_is_caught(drawn_costs, monkeypatch):
    monkeypatch.setattr(race.Standing, "lowest_drop", property(lambda now: (now.losses - now.wins) / now.total))
    assert differs(drawn_costs)


def test_a_race_that_looks_at_latency_alone_is_caught(drawn_costs, monkeypatch):
    honest = racing.overtaken

    def careless(one: Candidate, cost: Cost, *more: Any) -> bool:
        return honest(one, replace(cost, size_bytes=max(cost.size_bytes, one.cost.size_bytes)), *more)

    monkeypatch.setattr(racing, "overtaken", careless)
    assert differs(drawn_costs)


@pytest.mark.parametrize("budget", [Budget(max_drop=0.05), Budget(), Budget(max_drop=0.05, latency_ms=3.0, threads=1)])
def test_a_whole_fit_gives_the_same_rungs_and_certificates(task, warm, budget):
    raced = fit(task.model, task.data, budget=budget, cache=warm)
    full = fit(task.model, task.data, budget=budget, race=OFF, cache=warm)
    assert raced.ladder.rungs == full.ladder.rungs and raced.ladder.chosen == full.ladder.chosen
    assert {item.candidate.name for item in raced.ladder.rejected} == {
        item.candidate.name for item in full.ladder.rejected
    }


def test_evidence_of_a_stopped_candidate_ends_where_it_was_stopped_and_can_be_rechecked(task, warm, tmp_path):
    budget = Budget(max_drop=0.05, latency_ms=3.0, threads=1)
    fitted = fit(task.model, task.data, budget=budget, cache=warm, out=tmp_path / "a.shoe")
    (stopped,) = [item for item in fitted.ladder.rejected if item.candidate.name == "fp32"]
    assert stopped.reason == "latency 4 ms is above the budget of 3 ms; scored on 64 of 100 images"
    assert stopped.candidate.score.paired.n == len(fitted.evidence.trace("fp32", "selection").top) == 64
    for rung in fitted.ladder.rungs:
        assert len(fitted.evidence.trace(rung.name, "selection").top) == 100
        assert len(fitted.evidence.trace(rung.name, "certification").top) == 260
    with open_bundle(tmp_path / "a.shoe") as bundle:
        recheck_counts(bundle)
        assert recheck(bundle.manifest, bundle.evidence()) == len(fitted.ladder.rungs)
        assert "scored on 64 of 100 images" in render(bundle.manifest, bundle.evidence())


def test_cheap_candidates_are_scored_first(task, warm, monkeypatch):
    seen, honest = [], candidates.score

    def watched(bench: Any, one: Artefact, *more: Any) -> Any:
        seen.append(one.name)
        return honest(bench, one, *more)

    monkeypatch.setattr(candidates, "score", watched)
    fit(task.model, task.data, budget=Budget(threads=1), cache=warm)
    assert len(seen) >= 3 and seen == sorted(seen, key=lambda name: tiny.KNOWN_MS[name])


def test_an_unknown_rule_is_refused_before_any_work(task, tmp_path):
    with pytest.raises(UsageError, match="there is no race rule 'maybe'"):
        fit(task.model, task.data, race="maybe", cache=tmp_path / "cache")
    assert not (tmp_path / "cache").exists()
