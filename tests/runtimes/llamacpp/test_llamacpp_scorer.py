"""Scores by llama.cpp in a process of its own: the same as its server tells, steady, and held against the original."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from shoestring.base.errors import DataError, EngineFaultError, ModelError, StorageError
from shoestring.domain.transformer import Transformer
from shoestring.runtimes.guarded import Limits
from shoestring.runtimes.llamacpp.asking import Options
from shoestring.runtimes.llamacpp.reference import Reference, row_bytes
from shoestring.runtimes.llamacpp.rows import divergence
from shoestring.runtimes.llamacpp.scorer import Scorer
from shoestring.runtimes.llamacpp.writer import Writer
from tiny_gguf import NARROW, WIDE, Tiny, tiny_gguf, vocabulary

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

WORDS = len(vocabulary())
TEXT = "the cat and the hen went to the other side of the road and in the end they were not seen again"


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_gguf(tmp_path_factory.mktemp("scorer") / "tiny.gguf", WIDE)


@pytest.fixture(scope="module")
def smaller(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_gguf(tmp_path_factory.mktemp("scorer") / "tiny-q8.gguf", Tiny(type="Q4_0"))


@pytest.fixture(scope="module")
def scorer(model: Path) -> Iterator[Scorer]:
    with Scorer(model, context=256, batch=32) as made:
        yield made


@pytest.fixture(scope="module")
def tokens(scorer: Scorer) -> list[int]:
    return scorer.tokenize([TEXT])[0]


def test_it_says_what_it_has_loaded(scorer: Scorer) -> None:
    about = scorer.about
    assert (about.vocabulary, about.width, about.layers, about.trained_context) == (WORDS, 256, 2, 256)
    assert about.context == 256
    assert about.version.startswith("xllamacpp ")


def test_a_text_is_tokens_and_back(scorer: Scorer) -> None:
    texts = [TEXT, "", "grüße, 世界", "<|im_end|>"]
    found = scorer.tokenize(texts)
    assert [scorer.text(ids) if ids else "" for ids in found] == texts
    assert len(found[3]) > 1  # words of strangers are never control tokens
    assert scorer.tokenize(["<|im_end|>"], special=True) == [[2]]


def test_rows_are_log_probabilities_of_every_place(scorer: Scorer, tokens: list[int]) -> None:
    rows = scorer.score(tokens)
    assert rows.shape == (len(tokens), WORDS)
    assert rows.dtype == np.float32
    assert np.allclose(np.exp(rows).sum(axis=1), 1, atol=1e-4)


def test_the_same_run_has_the_same_scores_bit_for_bit(scorer: Scorer, model: Path, tokens: list[int]) -> None:
    first = scorer.score(tokens)
    assert (scorer.score(tokens) == first).all()
    with Scorer(model, context=256, batch=32) as another:
        assert (another.score(tokens) == first).all()


def test_how_a_run_is_cut_into_batches_changes_no_score(scorer: Scorer, model: Path, tokens: list[int]) -> None:
    with Scorer(model, context=256, batch=7) as another:
        assert np.allclose(another.score(tokens), scorer.score(tokens), atol=1e-3)


def test_it_agrees_with_what_the_server_tells_of_each_token(scorer: Scorer, model: Path, tokens: list[int]) -> None:
    """The one public way to log-probabilities, one position at a time: the C functions must say the same."""
    with Writer(model, context=256) as writer:
        for end in (1, len(tokens) // 2, len(tokens)):
            # A token that is half a letter is not told of; the grammar keeps to whole ones, not to likely ones.
            options = Options(temperature=0, max_tokens=1, likeliest=8, grammar="root ::= [a-z]+")
            with writer.complete(tokens[:end], options) as pieces:
                told = next(piece for piece in pieces if piece.likeliest)
            row = scorer.score(tokens[:end])[-1]
            wanted = np.sort(row)[::-1][:8]
            assert np.allclose([logprob for _, logprob in told.likeliest], wanted, atol=1e-3)


def test_a_candidate_is_held_against_what_was_kept(model: Path, smaller: Path, tokens: list[int]) -> None:
    runs, lead = [tokens, tokens[3:40]], 4
    with Reference(WORDS) as reference:
        with Scorer(model, context=256, batch=32, reference=reference) as original:
            kept = original.remember(runs, "held-out", lead=lead)
            rows = [original.score(run) for run in runs]
            itself = original.compare("itself", "held-out")
        with Scorer(smaller, context=256, batch=32, reference=reference) as candidate:
            trace = candidate.compare("q4_0", "held-out")
            second = candidate.compare("q4_0", "held-out", [1])
            theirs = [candidate.score(run) for run in runs]
            loss = candidate.loss(runs[0], lead=lead)
    assert kept.tokens == trace.tokens == tuple(len(run) - 1 - lead for run in runs)
    assert max(itself.kl) < 1e-6
    assert itself.same == kept.same
    assert itself.loss == kept.loss
    for place, run in enumerate(runs):
        ours, other = rows[place][lead:-1], theirs[place][lead:-1]
        assert trace.kl[place] == pytest.approx(divergence(ours, other).mean(), rel=1e-3, abs=1e-6)
        assert trace.same[place] == (ours.argmax(axis=1) == other.argmax(axis=1)).sum()
        following = np.array(run[lead + 1 :])
        assert trace.loss[place] == pytest.approx(-other[np.arange(len(following)), following].mean(), rel=1e-4)
    assert min(trace.kl) > 1e-4
    assert second.kl == trace.kl[1:]
    assert loss == pytest.approx(trace.loss[0])


def test_the_reference_has_a_limit(model: Path, tokens: list[int]) -> None:
    limit = row_bytes(WORDS) * (len(tokens) + 3)
    with Reference(WORDS, max_bytes=limit) as reference, Scorer(model, context=256, reference=reference) as original:
        original.remember([tokens], "held-out")
        with pytest.raises(StorageError, match="more than the limit"):
            original.remember([tokens], "held-out")
        assert len(reference.runs) == 1


def test_models_of_other_vocabularies_are_not_compared(scorer: Scorer, model: Path) -> None:
    with (
        Reference(WORDS + 1) as reference,
        Scorer(model, context=256, reference=reference) as other,
        pytest.raises(ModelError, match="cannot be compared"),
    ):
        other.compare("other", "held-out")
    with pytest.raises(DataError, match="without a reference"):
        scorer.compare("none", "held-out")


@pytest.mark.parametrize(
    ("tokens", "words"), [([], "empty"), ([WORDS], "no token"), ([-1], "no token"), ([3] * 257, "context")]
)
def test_odd_runs_are_refused_and_the_next_one_is_served(scorer: Scorer, tokens: list[int], words: str) -> None:
    with pytest.raises(DataError, match=words):
        scorer.score(tokens)
    assert len(scorer.score([3, 4])) == 2


def test_a_run_that_scores_nothing_is_refused(scorer: Scorer) -> None:
    with pytest.raises(DataError, match="scores nothing"):
        scorer.loss([3, 4], lead=1)


def test_what_the_header_says_is_held_against_the_engine(model: Path) -> None:
    sound = Transformer("llama", 2, 256, 4, 2, 64, 64, 512, WORDS, 256, True, 1)
    Scorer(model, context=64, expected=sound).close()
    lying = Transformer("llama", 3, 256, 4, 2, 64, 64, 512, WORDS, 256, True, 1)
    with pytest.raises(ModelError, match="says"):
        Scorer(model, context=64, expected=lying)


def test_a_file_that_ends_early_is_refused_with_the_engine_s_reason(model: Path, tmp_path: Path) -> None:
    for size in (10, 2000, model.stat().st_size - 1000):
        cut = tmp_path / "cut.gguf"
        cut.write_bytes(model.read_bytes()[:size])
        with pytest.raises(ModelError, match=r"llama\.cpp refuses"):
            Scorer(cut, context=64)


def test_weights_that_are_no_numbers_are_a_fault(tmp_path: Path) -> None:
    spoilt = tiny_gguf(tmp_path / "nan.gguf", NARROW)
    data = bytearray(spoilt.read_bytes())
    data[-40_000:] = b"\xff" * 40_000  # NaN in float32
    spoilt.write_bytes(data)
    with Scorer(spoilt, context=64) as scorer, pytest.raises(EngineFaultError) as caught:
        scorer.score([5, 6, 7])
    assert caught.value.fault == "nan"


def test_a_memory_limit_is_kept(model: Path) -> None:
    with pytest.raises(EngineFaultError) as caught:
        Scorer(model, context=256, limits=Limits(memory_bytes=20_000_000))
    assert caught.value.fault == "memory"


def test_rates_are_told_for_prompt_and_answer(scorer: Scorer, tokens: list[int]) -> None:
    read_s, written_s = scorer.rate(tokens, 5, threads=1, prefill_threads=2)
    assert read_s > 0
    assert len(written_s) == 5
    with pytest.raises(DataError, match="context"):
        scorer.rate([3] * 250, 7)
