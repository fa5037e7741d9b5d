"""Where the selection split cannot tell two candidates apart, the predicted loss decides; clear drops still win."""

from __future__ import annotations

from shoestring.domain.budget import Budget
from shoestring.domain.cost import Cost, Timing
from shoestring.domain.ladder import Candidate, Rung
from shoestring.domain.recipe import Recipe
from shoestring.domain.score import Paired, Score
from shoestring.search.admit import admit, beats
from shoestring.search.ladder import choose

N = 124


def candidate(name: str, ms: float, losses: int, loss: float | None) -> Candidate:
    timing = Timing(1, ms, ms, ms, 100, ms, ms, ms)
    paired = Paired(N, N, N - losses, 0, losses)
    score = Score("agreement", "selection", paired, 1 - losses / N, 1.0, 0.0, 1.0, 0.95)
    cost = Cost((timing,), 1_000_000, 1_000_000)
    return Candidate(Recipe(name, "int8", (), "test", loss), "onnxruntime", "1", name, cost, (score,), ())


REFERENCE = candidate("fp32", 5.0, 0, 0.0)
WHOLE = candidate("int8", 1.0, 5, 0.020)
MIXED = candidate("int8-float2", 1.1, 5, 0.009)
UNLUCKY = candidate("int8-float3", 1.15, 6, 0.006)
BAD = candidate("int8-float4", 1.15, 40, 0.006)


def test_a_smaller_predicted_loss_is_not_beaten_by_a_tie_or_by_noise() -> None:
    assert not beats(WHOLE, MIXED, Budget())
    assert not beats(WHOLE, UNLUCKY, Budget())
    assert beats(WHOLE, BAD, Budget()), "40 against 5 is no noise"
    blind = [candidate("int8", 1.0, 5, None), candidate("int8-float2", 1.1, 5, None)]
    assert beats(blind[0], blind[1], Budget()), "without a prediction the tie goes to the faster one"


def test_the_chosen_rung_is_the_one_predicted_to_lose_least() -> None:
    admitted = admit([REFERENCE, WHOLE, MIXED, UNLUCKY, BAD], "fp32", Budget()).admitted
    assert {one.name for one in admitted} == {"fp32", "int8", "int8-float2", "int8-float3"}
    assert choose([Rung(one, 1, None) for one in admitted], Budget()).name == "int8-float3"
    assert choose([Rung(one, 1, None) for one in admitted], Budget(max_drop=0.05)).name == "int8"
    assert choose([Rung(WHOLE, 1, None), Rung(BAD, 1, None)], Budget()).name == "int8"
