"""Rates and memory of tiny models, and the choice of threads and of speculation from figures."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from shoestring.base.errors import DataError, UsageError
from shoestring.domain.cost import TokenRate
from shoestring.runtimes.llamacpp.measure import best_threads, measure_memory, measure_rates, spread_tokens
from shoestring.runtimes.llamacpp.speculation import Gain, bootstrap, chosen, faster_with
from tiny_gguf import NARROW, Tiny, tiny_gguf, vocabulary

if TYPE_CHECKING:
    from pathlib import Path

PROMPTS = [f"the cat and the hen and the {word} and the cat and the" for word in ("road", "end", "side", "sea", "in")]


def rate(threads: int, prefill: float, decode: float) -> TokenRate:
    return TokenRate(threads, 64, prefill, prefill, prefill, decode, decode, decode, 3)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_gguf(tmp_path_factory.mktemp("measure") / "tiny.gguf", NARROW)


def test_every_model_has_a_rate_at_every_thread_count(model: Path, tmp_path: Path) -> None:
    other = tiny_gguf(tmp_path / "other.gguf", Tiny(width=64, heads=2, kv_heads=1, hidden=160, seed=1))
    rounds: list[int] = []
    found = measure_rates(
        [model, other], threads=[2, 1], prompt_tokens=20, written_tokens=3, rounds=2, tell=rounds.append
    )
    assert rounds == [0, 1, 2]
    for rates in found:
        assert [one.threads for one in rates] == [2, 1]
        for one in rates:
            assert one.runs == 2
            assert one.prompt_tokens == 20
            assert 0 < one.prefill_low <= one.prefill_per_s <= one.prefill_high
            assert 0 < one.decode_low <= one.decode_per_s <= one.decode_high


@pytest.mark.parametrize("odd", [{"rounds": 0}, {"prompt_tokens": 0}, {"written_tokens": 0}, {"threads": [0]}])
def test_odd_numbers_are_refused(model: Path, odd: dict[str, object]) -> None:
    with pytest.raises(UsageError):
        measure_rates([model], **{"threads": [1], **odd})  # type: ignore[arg-type]
    with pytest.raises(UsageError):
        measure_memory(model, [1])


def test_threads_for_reading_and_writing_are_chosen_apart_and_fewer_where_they_do_as_well() -> None:
    rates = [rate(1, 50, 20.0), rate(2, 95, 20.3), rate(4, 150, 12)]
    assert best_threads(rates) == (1, 4)
    assert best_threads([rate(1, 50, 10), rate(2, 90, 18)]) == (2, 2)
    with pytest.raises(UsageError):
        best_threads([])


def test_a_longer_context_takes_more_memory(model: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="has at most 256"):
        measure_memory(model, [512])
    long = tiny_gguf(tmp_path / "long.gguf", Tiny(width=64, heads=2, kv_heads=1, hidden=160, context=8192))
    wide = measure_memory(long, [4096, 256, 256])
    assert [context for context, _ in wide] == [256, 4096]
    cache = (4096 - 256) * 2 * 32 * 2 * 2  # tokens, keys and values, of one head, in f16, of two layers
    assert wide[1][1] - wide[0][1] > 0.8 * cache


def test_tokens_are_spread_the_same_way_each_time() -> None:
    tokens = spread_tokens(1000, len(vocabulary()))
    assert tokens == spread_tokens(1000, len(vocabulary()))
    assert 0 <= min(tokens) < 10
    assert max(tokens) < len(vocabulary())


# --- speculation -------------------------------------------------------------------------------------------------


def gain(kind: str, low: float, ratio: float, unchanged: int = 8, accepted: int = 9) -> Gain:
    return Gain(kind, ratio, low, 2 * ratio, 0.95, 8, unchanged, 20, accepted)


def test_only_what_is_surely_faster_by_its_guesses_and_changes_nothing_is_chosen() -> None:
    sure, faster = gain("ngram-simple", 1.1, 1.3), gain("ngram-cache", 1.05, 1.5)
    assert chosen([sure, faster]) is faster
    assert chosen([gain("ngram-simple", 0.99, 1.8)]) is None
    assert chosen([gain("ngram-simple", 1.1, 1.8, unchanged=7)]) is None
    assert chosen([gain("ngram-simple", 1.1, 1.8, accepted=0)]) is None  # luck of the clock
    assert chosen([]) is None


def test_speculation_is_measured_on_prompts_answered_both_ways(model: Path) -> None:
    counted: list[int] = []
    gains = faster_with(
        model, PROMPTS, ("ngram-simple",), draft=model, context=256, written_tokens=24, rounds=1, tell=counted.append
    )
    assert [one.kind for one in gains] == ["ngram-simple", "draft"]
    assert counted[-1] == 3 * len(PROMPTS)
    for one in gains:
        assert one.unchanged == one.prompts
        assert 0 < one.low <= one.ratio <= one.high
        assert one.confidence == pytest.approx(0.975)
    assert gains[1].drafted >= gains[1].accepted > 0  # a model guesses its own words


def test_few_prompts_prove_nothing(model: Path) -> None:
    with pytest.raises(DataError, match="too few"):
        faster_with(model, PROMPTS[:4])


def test_the_interval_of_a_mean_covers_it_as_often_as_it_says() -> None:
    random = np.random.default_rng(0)
    hits = 0
    for seed in range(200):
        low, high = bootstrap(random.normal(0.2, 1.0, 40), 0.9, seed)
        hits += low <= 0.2 <= high
    assert 0.8 < hits / 200 < 0.97
