"""The network as we compute it is the one that llama.cpp runs, and its derivative is that of finite differences."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from shoestring.base.errors import DataError
from shoestring.compress.language import passes
from shoestring.compress.language.family import Family
from shoestring.compress.language.head import draw
from shoestring.compress.language.layer import Reader
from shoestring.compress.language.operators import turn, turns
from shoestring.compress.language.passes import check_tokens, streams
from shoestring.runtimes.llamacpp.scorer import Scorer
from tiny_gguf import NARROW, ODD, WIDE, Tiny
from tiny_language import drawn_gradients, log_probabilities, made, reader, text

MODELS = {"wide": WIDE, "narrow": NARROW, "odd": ODD}


@pytest.mark.parametrize("what", MODELS.values(), ids=MODELS.keys())
def test_answers_as_llama_cpp_does(tmp_path: Path, what: Tiny) -> None:
    path, _, family = made(tmp_path, what)
    tokens = text(family, 2, 24)
    ours = log_probabilities(reader(what), family, tokens)
    with Scorer(path) as scorer:
        theirs = np.stack([scorer.score(block.tolist()) for block in tokens]).astype(np.float64)
    divergence = (np.exp(theirs) * (theirs - ours)).sum(axis=-1)
    assert divergence.max() < 1e-4  # llama.cpp keeps keys and values in 16 bits
    assert theirs.std() > 1  # and there was something to tell


def objective(read: Reader, family: Family, tokens: np.ndarray, drawn: np.ndarray) -> np.ndarray:
    found = log_probabilities(read, family, tokens)
    return np.take_along_axis(found, drawn[..., None], axis=-1).sum(axis=(1, 2))


def shifted(read: Reader, name: str, by: np.ndarray) -> Reader:
    return lambda asked: read(asked) + by if asked == name else read(asked)


@pytest.mark.parametrize("what", [NARROW, ODD], ids=["narrow", "odd"])
def test_gradients_are_those_of_finite_differences(tmp_path: Path, what: Tiny) -> None:
    _, _, family = made(tmp_path, what)
    read, tokens = reader(what), text(family, 3, 10, seed=1)
    drawn, pairs, _ = drawn_gradients(read, family, tokens, seed=2)
    assert sorted(pairs) == sorted(name for name in family.linears() if name.startswith("blk."))
    for name, pair in pairs.items():
        step = np.random.default_rng(3).standard_normal(read(name).shape).astype(np.float32)
        step *= 4e-3 * np.abs(read(name)).mean()
        ahead = objective(shifted(read, name, step), family, tokens, drawn)
        behind = objective(shifted(read, name, -step), family, tokens, drawn)
        found = np.einsum("ntr,ntc,rc->n", pair.g, pair.x, step)
        assert found == pytest.approx((ahead - behind) / 2, abs=0.02 * float(np.abs(ahead - behind).max())), name


def test_parts_change_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _, _, family = made(tmp_path, NARROW)
    read, tokens = reader(NARROW), text(family, 5, 8)
    whole = drawn_gradients(read, family, tokens, seed=0)[1]
    monkeypatch.setattr(passes, "TOKENS_AT_ONCE", 16)
    parted = drawn_gradients(read, family, tokens, seed=0)[1]
    for name, pair in whole.items():
        assert parted[name].g == pytest.approx(pair.g, abs=1e-5 * float(np.abs(pair.g).max()))


def test_a_later_token_changes_nothing_before_it(tmp_path: Path) -> None:
    _, _, family = made(tmp_path, NARROW)
    tokens = text(family, 1, 12)
    other = tokens.copy()
    other[0, 8] = (other[0, 8] + 1) % family.vocabulary
    one, two = (log_probabilities(reader(NARROW), family, each)[0] for each in (tokens, other))
    assert one[:8] == pytest.approx(two[:8])
    assert np.abs(one[8:] - two[8:]).max() > 1e-3


def test_tokens_are_drawn_from_the_model(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    weight, x = random.standard_normal((7, 4)).astype(np.float32), random.standard_normal(4).astype(np.float32)
    many = np.tile(x, (1, 20_000, 1))
    drawn = draw(weight, many, seed=1)
    chances = np.exp(weight @ x) / np.exp(weight @ x).sum()
    assert np.bincount(drawn.tokens[0], minlength=7) / 20_000 == pytest.approx(chances, abs=0.02)
    assert drawn.log_sum == pytest.approx(np.log(np.exp(weight @ x).sum()), abs=1e-4)


@pytest.mark.parametrize("halves", [False, True])
def test_turning_back_undoes_turning(halves: bool) -> None:
    x = np.random.default_rng(0).standard_normal((2, 3, 5, 12)).astype(np.float32)
    cosines, sines = turns(5, 8, 10_000.0, None)
    there = turn(x, cosines, sines, halves)
    assert turn(there, cosines, -sines, halves) == pytest.approx(x, abs=1e-6)
    assert there[..., 8:] == pytest.approx(x[..., 8:])
    assert there[:, :, 0] == pytest.approx(x[:, :, 0])
    assert np.abs(there[:, :, 1:, :8] - x[:, :, 1:, :8]).max() > 0.1


def test_only_one_layer_is_read_at_a_time(tmp_path: Path) -> None:
    _, _, family = made(tmp_path, NARROW)
    asked: list[str] = []
    read = reader(NARROW)
    walk = streams(lambda name: (asked.append(name), read(name))[1], family, text(family, 1, 4))
    for layer in (-1, 0):
        assert next(walk)[0] == layer
    assert not [name for name in asked if name.startswith("blk.1.")]


@pytest.mark.parametrize("tokens", [np.zeros((2, 1), int), np.zeros(4, int), np.full((1, 4), 10**6), np.zeros((1, 4))])
def test_refuses_tokens_that_are_none(tmp_path: Path, tokens: np.ndarray) -> None:
    _, _, family = made(tmp_path, NARROW)
    with pytest.raises(DataError):
        check_tokens(family, tokens)
