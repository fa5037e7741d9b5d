"""llama.cpp behind the service: a tiny real model writes, streams, is cancelled and replaced."""

from __future__ import annotations

import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from serving_asks import until
from shoestring.base.errors import GoldenError, PromptTooLongError, UsageError
from shoestring.bundle import open_bundle
from shoestring.bundle.packing import pack
from shoestring.device.language.garage import Garage
from shoestring.device.language.jobs import Always, Began, Ended, Job
from shoestring.device.language.llama import SEEDS, Loader, options_of, ours
from shoestring.device.language.nouns import LENGTH, Options, Piece, Prompt, texts
from shoestring.domain.text import GoldenTexts
from text_bundles import RUNGS, make_transformer, make_writer_parts
from tiny_gguf import NARROW, tiny_gguf

pytest.importorskip("xllamacpp")
pytest.importorskip("gguf")
PROMPTS = ("the cat", "a dog and")


@pytest.fixture(scope="module")
def bundle_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from shoestring.runtimes.llamacpp.scorer import Scorer

    folder = tmp_path_factory.mktemp("writer")
    data = tiny_gguf(folder / "tiny.gguf", NARROW).read_bytes()
    net = replace(make_transformer(), layers=2, width=64, heads=2, kv_heads=1, feed_forward=160, context=256)
    asked = tuple((5 + i, 9 + i) for i in range(len(PROMPTS)))
    with Scorer(folder / "tiny.gguf", threads=1, context=128, batch=64) as scorer:
        rows = []
        for prompt, ids in zip(PROMPTS, asked, strict=True):
            (tokens,) = scorer.tokenize([prompt], add_start=True)
            rows.append(scorer.score(tokens)[-1][list(ids)])
    golden = {name: np.stack(rows).astype(np.float32) for name in RUNGS}
    golden[RUNGS[2]] = golden[RUNGS[2]] - 1.0  # a rung that answers otherwise here
    parts = make_writer_parts(
        models=dict.fromkeys(RUNGS, data),
        golden=GoldenTexts(PROMPTS, asked),
        golden_outputs=golden,
        context=256,
        transformer=net,
    )
    pack(folder / "tiny.shoe", parts.manifest, parts.blobs)
    return folder / "tiny.shoe"


def test_a_real_rung_writes_streams_and_is_cancelled(bundle_path: Path, tmp_path: Path) -> None:
    with open_bundle(bundle_path) as bundle:
        garage = Garage(Loader(bundle, folder=tmp_path), {})
        try:
            _use(garage)
        finally:
            garage.close()


def _use(garage: Garage) -> None:
    def events(prompt: Prompt, options: Options) -> list[Any]:
        found: list[Any] = []
        Job(prompt, options, None, garage, Always(RUNGS[0]), None, found.append).run()
        return found

    began, *pieces, ended = events(Prompt(text="the cat"), Options(max_tokens=8, temperature=0.0, logprobs=2))
    assert (began, ended) == (Began(RUNGS[0]), Ended())
    assert pieces[-1].finish == LENGTH
    assert pieces[-1].usage.written == 8
    told = [one for piece in pieces for one in piece.tokens]
    assert 4 <= len(told) <= 8  # llama.cpp tells of no token that ends within a character
    for one in told:
        assert one.token.logprob <= 0
        assert len(one.others) == 2
        assert one.others[0].logprob >= one.token.logprob - 1e-6
    again = events(Prompt(text="the cat"), Options(max_tokens=8, temperature=0.0))
    assert texts([one for one in again if isinstance(one, Piece)]) == texts(pieces)
    same = [events(Prompt(text="a dog"), Options(max_tokens=6, seed=5)) for _ in range(2)]
    assert texts(same[0][1:-1]) == texts(same[1][1:-1])
    long = events(Prompt(text="cat dog " * 300), Options())
    assert isinstance(long[-1].error, PromptTooLongError)
    assert long[-1].error.limit == 256 < long[-1].error.tokens
    found: list[Any] = []
    job = Job(Prompt(text="a"), Options(temperature=0.0), None, garage, Always(RUNGS[0]), None, found.append)
    thread = threading.Thread(target=job.run)
    thread.start()
    until(lambda: bool(found))
    job.cancel()
    thread.join(60)
    assert found[-1] == Ended()
    assert events(Prompt(text="b"), Options(max_tokens=2))[-1] == Ended()
    assert garage.loads == 1


def test_nothing_is_written_by_a_rung_that_answers_otherwise_here(bundle_path: Path, tmp_path: Path) -> None:
    with open_bundle(bundle_path) as bundle:
        garage = Garage(Loader(bundle, folder=tmp_path), {})
        with pytest.raises(GoldenError), garage.lease(RUNGS[2]):
            pass
        assert garage.loaded == ()
        garage.close()


def test_options_are_the_engines() -> None:
    theirs = options_of(Options(seed=-1, temperature=0.5, top_p=0.9, stop=("x",), logprobs=3))
    theirs.check()
    assert (theirs.seed, theirs.temperature, theirs.top_p, theirs.stop) == (SEEDS - 1, 0.5, 0.9, ("x",))
    assert (theirs.logprobs, theirs.likeliest, theirs.top_k, theirs.min_p) == (True, 3, 0, 0.0)
    plain = options_of(Options())
    assert (plain.logprobs, plain.seed, plain.max_tokens) == (False, None, None)


def test_a_piece_of_the_engine_is_ours() -> None:
    from shoestring.runtimes.llamacpp.asking import Piece as Theirs
    from shoestring.runtimes.llamacpp.asking import Usage

    piece = ours(Theirs("ä", -0.5, (("ä", -0.5),)))
    assert piece.tokens[0].token.octets == "ä".encode()
    last = ours(Theirs("", finish="deadline", usage=Usage(3, 1, 5)))
    assert (last.finish, last.count) == (LENGTH, 0)
    assert last.usage is not None
    assert (last.usage.read, last.usage.written, last.usage.cached) == (3, 5, 1)


def test_a_bundle_that_writes_nothing_has_no_rungs_to_load() -> None:
    class Bundle:
        class manifest:  # noqa: N801
            name, generation = "camera", None

    with pytest.raises(UsageError, match="does not write"):
        Loader(Bundle())  # type: ignore[arg-type]
