"""What goes on to certification, what does not, and that every reason holds its numbers."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shoestring.domain.budget import Budget
from shoestring.domain.cost import Cost, Timing
from shoestring.domain.ladder import Candidate
from shoestring.domain.recipe import Recipe
from shoestring.domain.score import Certificate, Paired, Score
from shoestring.search.admit import NOISE, admit, beats
from shoestring.search.ladder import PATIENCE, build_ladder, choose

N = 1000


def candidate(name: str, ms: float, losses: int = 0, size: int = 4_000_000, rss: int = 80_000_000) -> Candidate:
    timings = tuple(
        Timing(t, ms / speed, ms * 0.9, ms * 1.1, 500, ms / 10, ms / 11, ms / 9) for t, speed in ((1, 1), (2, 1.6))
    )
    counts = Paired(N, 900, 900 - losses, 0, losses)
    score = Score("top-1", "selection", counts, counts.variant_hits / N, 0.9, 0.0, 0.02, 0.95)
    recipe = Recipe(name, "int8", (), "test")
    return Candidate(recipe, "onnxruntime", "1", name.ljust(64, "0"), Cost(timings, rss, size), (score,), ())


REFERENCE = candidate("fp32", 10.0, 0, 16_000_000)


def names(items) -> list[str]:
    return [getattr(item, "name", None) or item.candidate.name for item in items]


@pytest.mark.parametrize(
    ("budget", "words"),
    [
        (Budget(latency_ms=4.0), ("12.5 ms", "4 ms")),
        (Budget(size_bytes=3_000_000), ("4 MB", "3 MB")),
        (Budget(memory_bytes=50_000_000), ("80 MB", "50 MB")),
        (Budget(max_drop=0.01), ("2.00 pt", "1.00 pt")),
    ],
)
def test_a_broken_budget_is_named_with_both_numbers(budget: Budget, words: tuple[str, str]) -> None:
    found = admit([candidate("slow", 20.0, losses=20)], "fp32", budget)
    assert found.admitted == ()
    (rejected,) = found.rejected
    assert all(word in rejected.reason for word in words), rejected.reason


def test_the_thread_count_of_the_budget_decides() -> None:
    one = candidate("int8", 5.0)
    assert names(admit([one], "fp32", Budget(latency_ms=4.0, threads=2)).admitted) == ["int8"]
    assert names(admit([one], "fp32", Budget(latency_ms=4.0, threads=1)).rejected) == ["int8"]


def test_what_is_beaten_everywhere_goes_and_the_winner_is_named() -> None:
    good, bad = candidate("good", 3.0, 5), candidate("bad", 4.0, 6)
    found = admit([REFERENCE, good, bad], "fp32", Budget())
    assert names(found.admitted) == ["fp32", "good"]
    assert "good" in found.rejected[0].reason


def test_noise_decides_nothing() -> None:
    one, other = candidate("one", 3.0, 5), candidate("other", 3.0 * NOISE * 0.999, 5)
    assert not beats(one, other, Budget())
    assert names(admit([one, other], "fp32", Budget()).admitted) == ["one", "other"]


def test_the_reference_is_kept_although_it_is_beaten() -> None:
    found = admit([REFERENCE, candidate("int8", 3.0)], "fp32", Budget())
    assert set(names(found.admitted)) == {"fp32", "int8"}


def test_the_fixed_order_is_most_accurate_first() -> None:
    found = admit([candidate("a", 1.0, 9), candidate("b", 2.0, 3), candidate("c", 3.0, 0)], "fp32", Budget())
    assert names(found.admitted) == ["c", "b", "a"]


@given(st.lists(st.tuples(st.floats(0.1, 20), st.integers(0, 60), st.integers(1, 9)), min_size=1, max_size=8))
def test_every_candidate_is_admitted_or_rejected_and_the_front_survives(figures) -> None:
    all_of_them = [candidate(f"c{i}", ms, lost, size * 10**6) for i, (ms, lost, size) in enumerate(figures)]
    found = admit(all_of_them, "fp32", Budget())
    assert sorted(names(found.admitted) + names(found.rejected)) == sorted(one.name for one in all_of_them)
    assert found.admitted
    for rejected in found.rejected:
        assert any(beats(other, rejected.candidate, Budget()) for other in all_of_them)


def certificate(one: Candidate) -> Certificate:
    return Certificate("top-1", 0.01, 0.95, "test", one.score.paired, 0.01, one.artefact_sha256, "onnxruntime", "1", ())


def test_the_ladder_goes_from_cheap_to_dear_and_chooses_the_fastest_within_the_drop() -> None:
    admitted = [REFERENCE, candidate("mixed", 4.0, 2), candidate("int8", 3.0, 8)]
    certificates = {one.name: certificate(one) for one in admitted[1:]}
    ladder = build_ladder(admitted, certificates, {}, [], "fp32", Budget(max_drop=0.01))
    assert ladder is not None
    assert [rung.name for rung in ladder.rungs] == ["int8", "mixed", "fp32"]
    assert ladder.chosen == "int8"
    assert ladder.rung("fp32").certificate is None


def test_what_failed_certification_is_rejected_with_its_reason() -> None:
    int8 = candidate("int8", 3.0, 8)
    ladder = build_ladder([REFERENCE, int8], {}, {"int8": "not certified: p = 0.4"}, [], "fp32", Budget())
    assert ladder is not None
    assert [rung.name for rung in ladder.rungs] == ["fp32"]
    assert ladder.rejected[0].reason == "not certified: p = 0.4"


def test_no_rung_at_all_is_no_ladder() -> None:
    assert build_ladder([], {}, {}, [], "fp32", Budget(latency_ms=0.1)) is None


def test_without_an_accuracy_budget_a_little_time_buys_accuracy() -> None:
    fast, near, far = candidate("fast", 3.0, 30), candidate("near", 3.0 * PATIENCE, 5), candidate("far", 9.0, 0)
    certificates = {one.name: certificate(one) for one in (fast, near, far)}
    ladder = build_ladder([far, near, fast], certificates, {}, [], "fp32", Budget())
    assert ladder is not None
    assert ladder.chosen == "near"
    slower = replace(ladder.rungs[1], candidate=candidate("near", 3.0 * PATIENCE * 1.01, 5))
    assert choose([ladder.rungs[0], slower], Budget()).name == "fast"
