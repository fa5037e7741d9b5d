"""Each limit rejects with its numbers; what nothing meets is an error that says what can be had."""

from __future__ import annotations

import numpy as np
import pytest

from shoestring.base.errors import BudgetError, UsageError
from shoestring.compress.passes import PASSES
from shoestring.compress.passes.fp16_weights import Fp16Weights
from shoestring.domain.budget import Budget
from shoestring.domain.evidence import Trace
from shoestring.fitting import candidates, certify, fit


def reasons(fitted) -> dict[str, str]:
    return {item.candidate.name: item.reason for item in fitted.ladder.rejected}


@pytest.mark.parametrize(
    ("budget", "rejected"),
    [
        (Budget(latency_ms=1.5, threads=1), {"fp32": "latency 4 ms is above the budget of 1.5 ms"}),
        (Budget(latency_ms=2.5, threads=1), {"fp32": "latency 4 ms is above the budget of 2.5 ms"}),
        (Budget(memory_bytes=91_000_000), {"fp16-weights": "memory 92 MB is above the budget of 91 MB"}),
        (Budget(size_bytes=20_000), {"fp32": "size 21.3 kB is above the budget of 20 kB"}),
    ],
)
def test_a_limit_rejects_with_its_numbers(task, warm, budget, rejected):
    fitted = fit(task.model, task.data, budget=budget, cache=warm)
    found = reasons(fitted)
    for name, words in rejected.items():
        assert found[name] == f"{words}; scored on 64 of 100 images"
    assert not {rung.name for rung in fitted.ladder.rungs} & rejected.keys()
    assert fitted.manifest.budget == budget


def test_threads_decide_at_which_latency_a_candidate_is_judged(task, warm):
    one = fit(task.model, task.data, budget=Budget(latency_ms=2.5, threads=1), cache=warm)
    two = fit(task.model, task.data, budget=Budget(latency_ms=2.5, threads=2), cache=warm)
    assert "fp32" in reasons(one) and "fp32" not in reasons(two)
    assert {rung.threads for rung in one.ladder.rungs} == {1}
    assert {rung.threads for rung in two.ladder.rungs} == {2}


def test_a_candidate_that_loses_too_much_is_rejected_on_the_selection_split(task, tmp_path, monkeypatch):
    class Ruins(Fp16Weights):
        def run(self, graph, options, workshop):
            graph.weights["head.w"] = np.zeros_like(graph.weights["head.w"])
            return super().run(graph, options, workshop)

    monkeypatch.setitem(PASSES, "fp16_weights", Ruins())
    fitted = fit(task.model, task.data, budget=Budget(max_drop=0.05), cache=tmp_path / "cache")
    reason = reasons(fitted)["fp16-weights"]
    assert reason.startswith("top-1 falls by more than 5.00 pt on the selection split: certain after 64 of 100 images")
    (score,) = [item.candidate.score for item in fitted.ladder.rejected if item.candidate.name == "fp16-weights"]
    assert score.paired.n == 64 and score.paired.drop > 0.5
    assert len(fitted.evidence.trace("fp16-weights", "selection").top) == 64
    assert len(fitted.evidence.trace("original", "selection").top) == 100
    assert "fp16-weights" not in {trace.candidate for trace in fitted.evidence.traces if trace.split == "certification"}


def test_limits_that_nothing_meets_say_what_can_be_had(task, warm):
    with pytest.raises(BudgetError, match="no candidate keeps the budget") as caught:
        fit(task.model, task.data, budget=Budget(memory_bytes=1_000_000, threads=1), cache=warm)
    assert caught.value.exit_code == 3
    assert caught.value.hint == "to be had here: latency from 0.9 ms, size from 8.73 kB, memory from 70 MB"
    assert {row["candidate"] for row in caught.value.rows} == {"fp32", "fp16-weights", "int8", "int8-float1"}
    assert all("is above the budget of 1 MB" in row["reason"] for row in caught.value.rows)


def test_a_drop_that_cannot_be_certified_is_an_error_with_the_number_of_images_needed(task, warm, monkeypatch):
    """Candidates that look fine on the selection split and lose on the certification split."""

    def worse(bench, artefact, split):
        original, variant = candidates.traces(bench, artefact, split)
        turned = tuple(row[::-1] if place < 20 else row for place, row in enumerate(variant.top))
        return original, Trace(variant.candidate, split, turned)

    monkeypatch.setattr(certify, "traces", worse)
    with pytest.raises(BudgetError, match="no candidate can be certified: ") as caught:
        fit(task.model, task.data, budget=Budget(max_drop=0.05), cache=warm)
    assert "p = " in caught.value.message and "not certified: losses" in caught.value.message
    assert caught.value.hint is not None and "ask for more, or give more images" in caught.value.hint
    rows = {row["candidate"]: row["reason"] for row in caught.value.rows}
    assert rows["fp32"] == "the original's own function"
    assert "earlier in the fixed order, failed" in rows["int8"] or "earlier in the fixed order" in rows["fp16-weights"]


@pytest.mark.parametrize(
    ("budget", "words"),
    [
        (Budget(max_drop=0.0), "max_drop must be above zero"),
        (Budget(max_drop=1.0), "fraction below 1"),
        (Budget(latency_ms=-1.0), "latency_ms must be above zero"),
        (Budget(latency_ms=float("nan")), "latency_ms must be above zero"),
        (Budget(memory_bytes=0), "memory_bytes must be above zero"),
        (Budget(size_bytes=-5), "size_bytes must be above zero"),
        (Budget(threads=0), r"threads must be in 1\.\."),
        (Budget(confidence=0.3), "confidence 0.3 is outside"),
    ],
)
def test_a_budget_that_makes_no_sense_is_refused_before_any_work(task, tmp_path, budget, words):
    with pytest.raises(UsageError, match=words) as caught:
        fit(task.model, task.data, budget=budget, cache=tmp_path / "cache")
    assert caught.value.hint
    assert not (tmp_path / "cache").exists()
