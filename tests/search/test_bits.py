"""A choice of block types: within its limits, never worse than what it could have taken, monotone."""

from __future__ import annotations

import itertools
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proof_scale import SCALE
from shoestring.base.errors import BudgetError, UsageError
from shoestring.domain.bits import TypeChoice
from shoestring.search.bits import GAP, choose, smallest_bytes, spread

TYPES = ("Q8_0", "Q5_0", "Q4_0")
SIZES = {"Q8_0": 34, "Q5_0": 22, "Q4_0": 18}


@st.composite
def problems(draw: st.DrawFn) -> list[TypeChoice]:
    tensors = draw(st.integers(1, 5))
    found = []
    for tensor in range(tensors):
        elements = draw(st.integers(1, 1_000))
        weight = draw(st.floats(1e-9, 1.0))
        for kind in TYPES:
            shrink = draw(st.floats(0.5, 1.0)) * 4.0 ** -(SIZES[kind] / 8)
            found.append(TypeChoice(f"t{tensor}", kind, SIZES[kind] * elements, weight * shrink, SIZES[kind] * 1e-6))
    return found


def by_hand(choices: list[TypeChoice], max_bytes: int, max_token_s: float = float("inf")) -> float:
    """The least loss, by trying every mix."""
    tensors = {choice.tensor: [one for one in choices if one.tensor == choice.tensor] for choice in choices}
    fit = [
        sum(one.loss for one in mix)
        for mix in itertools.product(*tensors.values())
        if sum(one.size_bytes for one in mix) <= max_bytes and sum(one.token_s for one in mix) <= max_token_s
    ]
    return min(fit)


@settings(max_examples=60 * SCALE, deadline=None)
@given(problems(), st.floats(0.0, 1.0))
def test_is_the_best_of_all_mixes_that_fit(choices: list[TypeChoice], share: float) -> None:
    least = smallest_bytes(choices)
    budget = int(least + share * (least * 34 / 18 - least))
    mix = choose(choices, budget)
    best = by_hand(choices, budget)
    assert mix.size_bytes <= budget
    assert len(mix.types) == len({choice.tensor for choice in choices})
    assert best * (1 - 1e-6) <= mix.loss <= best * (1 + 2 * GAP) + 1e-15
    assert mix.bound <= best * (1 + 1e-6)


@settings(max_examples=40 * SCALE, deadline=None)
@given(problems(), st.floats(0.0, 1.0), st.floats(0.0, 1.0))
def test_more_bytes_never_lose_more(choices: list[TypeChoice], one: float, other: float) -> None:
    least = smallest_bytes(choices)
    low, high = (int(least * (1 + share)) for share in sorted((one, other)))
    assert choose(choices, high).loss <= choose(choices, low).loss * (1 + 2 * GAP) + 1e-15


@settings(max_examples=40 * SCALE, deadline=None)
@given(problems())
def test_no_type_for_all_is_better_at_its_own_size(choices: list[TypeChoice]) -> None:
    for kind in TYPES:
        alike = [choice for choice in choices if choice.type == kind]
        mix = choose(choices, sum(choice.size_bytes for choice in alike))
        assert mix.loss <= sum(choice.loss for choice in alike) * (1 + GAP) + 1e-15


@settings(max_examples=30 * SCALE, deadline=None)
@given(problems(), st.floats(0.0, 1.0))
def test_keeps_a_limit_of_time(choices: list[TypeChoice], share: float) -> None:
    tensors = len({choice.tensor for choice in choices})
    limit = tensors * (18 + share * 16) * 1e-6
    mix = choose(choices, 10**9, limit)
    assert mix.token_s <= limit * (1 + 1e-9)
    assert mix.loss <= by_hand(choices, 10**9, limit * (1 + 1e-9)) * (1 + 2 * GAP) + 1e-15


def test_what_cannot_be_met_says_what_can() -> None:
    choices = [TypeChoice("a", "Q8_0", 3_400_000, 0.0, 1e-3), TypeChoice("a", "Q4_0", 1_800_000, 0.1, 2e-3)]
    with pytest.raises(BudgetError, match=r"1\.8 MB, and 1 MB"):
        choose(choices, 1_000_000)
    with pytest.raises(BudgetError, match=r"1 ms a token, and 0\.5 ms"):
        choose(choices, 10_000_000, 0.5e-3)
    assert choose(choices, 10_000_000, 1e-3).types == {"a": "Q8_0"}


def test_refuses_what_is_no_problem() -> None:
    one = TypeChoice("a", "Q8_0", 34, 0.1)
    for choices in ([], [one, one], [replace(one, loss=float("nan"))], [replace(one, loss=-0.1)]):
        with pytest.raises(UsageError):
            choose(choices, 100)


def test_a_spread_of_sizes_gives_different_mixes() -> None:
    choices = [
        TypeChoice(f"t{i}", kind, SIZES[kind] * 100, 0.1 * (i + 1) * 4.0 ** -(SIZES[kind] / 8))
        for i in range(6)
        for kind in TYPES
    ]
    mixes = spread(choices, [20_400, 10_800, 10_801, 15_000, 99_999])
    assert [mix.size_bytes for mix in mixes] == sorted({mix.size_bytes for mix in mixes})
    assert len(mixes) == 3
    assert mixes[-1].loss < mixes[1].loss < mixes[0].loss
