"""Writers by what both kinds promise, with a real tiny model and without one; then what only a real model shows."""

from __future__ import annotations

import json
import threading
import time
from typing import TYPE_CHECKING

import pytest

from shoestring.base.errors import DataError, EngineError, ModelError, UsageError
from shoestring.runtimes.llamacpp.asking import DEADLINE, LENGTH, STOP, Options
from shoestring.runtimes.llamacpp.null import CANCELLED, NullPlan, null_writer, write_plan
from shoestring.runtimes.llamacpp.writer import Writer
from shoestring.runtimes.llamacpp.writer_child import NGRAM_KINDS
from tiny_gguf import WIDE, Tiny, tiny_gguf

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

LETTERS = Options(temperature=0, grammar="root ::= [a-z]*")  # no half letters, no early end
HELLO = [{"role": "user", "content": "the cat and the hen"}]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_gguf(tmp_path_factory.mktemp("writer") / "tiny.gguf", WIDE)


@pytest.fixture(scope="module")
def real(model: Path) -> Iterator[Writer]:
    with Writer(model, context=256, slots=2) as made:
        yield made


@pytest.fixture(scope="module")
def embedding(model: Path) -> Iterator[Writer]:
    with Writer(model, context=256, embedding=True) as made:
        yield made


@pytest.fixture(scope="module")
def null(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Writer]:
    plan = write_plan(tmp_path_factory.mktemp("writer") / "null.json", NullPlan(words=("ab ",) * 200, token_s=0.002))
    with null_writer(plan, slots=2) as made:
        yield made


@pytest.fixture(params=["real", "null"])
def writer(request: pytest.FixtureRequest) -> Writer:
    found: Writer = request.getfixturevalue(request.param)
    return found


def letters(**others: object) -> Options:
    return Options(**{"temperature": 0.0, "grammar": "root ::= [a-z ]*", **others})  # type: ignore[arg-type]


def test_an_answer_comes_in_pieces_and_the_last_says_what_it_took(writer: Writer) -> None:
    pieces = list(writer.chat(HELLO, letters(max_tokens=6, logprobs=True)))
    assert [piece.finish for piece in pieces[:-1]] == [None] * (len(pieces) - 1)
    last = pieces[-1]
    assert last.finish == LENGTH
    assert last.usage is not None
    assert last.usage.written_tokens == 6
    assert last.usage.prompt_tokens >= 5
    assert all(piece.token_logprob is not None and piece.token_logprob <= 0 for piece in pieces[:-1])


def test_the_likeliest_answer_is_the_same_each_time(writer: Writer) -> None:
    asked = [list(writer.complete("the cat", letters(max_tokens=8, cache=False))) for _ in range(2)]
    first, second = ("".join(piece.text for piece in pieces) for pieces in asked)
    assert first == second != ""


def test_stop_words_end_an_answer_and_are_no_part_of_it(writer: Writer) -> None:
    whole = "".join(piece.text for piece in writer.complete("the cat", letters(max_tokens=20)))
    word = whole[5:7]
    pieces = list(writer.complete("the cat", letters(max_tokens=20, stop=(word,))))
    assert "".join(piece.text for piece in pieces) == whole[: whole.index(word)]
    assert pieces[-1].finish == STOP


def test_a_prompt_longer_than_the_context_is_refused_with_both_numbers(writer: Writer) -> None:
    with pytest.raises(DataError, match=r"the prompt has .* tokens, and the context holds 256"):
        writer.complete("a b " * 300)
    assert list(writer.complete("a", letters(max_tokens=1)))[-1].finish == LENGTH


def test_progress_of_a_prompt_is_told_when_it_is_asked_for(writer: Writer) -> None:
    pieces = list(writer.complete("the cat sat", letters(max_tokens=1, progress=True)))
    told = [piece.progress for piece in pieces if piece.progress is not None]
    assert told
    assert told[-1][0] == told[-1][1] > 0
    assert all(piece.progress is None for piece in writer.complete("the cat", letters(max_tokens=1)))


@pytest.mark.parametrize("how", ["close", "cancel"])
def test_whoever_stops_listening_frees_the_slot(writer: Writer, how: str) -> None:
    for _ in range(5):  # more than there are slots
        stream = writer.complete("the cat", letters())
        next(stream)
        if how == "close":
            stream.close()
        else:
            threading.Timer(0.01, stream.cancel).start()
            assert all(piece.finish is None for piece in stream)
    assert list(writer.complete("the cat", letters(max_tokens=2)))[-1].finish == LENGTH
    assert writer.alive()


def test_a_deadline_ends_an_answer_as_it_is(null: Writer) -> None:
    begun = time.monotonic()
    pieces = list(null.complete("the cat", Options(deadline_s=0.1)))
    assert pieces[-1].finish == DEADLINE
    assert 0 < len(pieces) < 150
    assert time.monotonic() - begun < 60


def test_as_many_answers_at_once_as_there_are_slots_and_the_others_wait(writer: Writer) -> None:
    streams = [writer.complete("the cat", letters()) for _ in range(2)]
    with pytest.raises(EngineError, match="all 2 slots were taken"):
        writer.complete("the hen", letters(deadline_s=0.05))
    waiting: list[str | None] = []
    thread = threading.Thread(
        target=lambda: waiting.append(list(writer.complete("the hen", letters(max_tokens=1)))[-1].finish)
    )
    thread.start()
    for stream in streams:
        stream.close()
    thread.join(60)
    assert waiting == [LENGTH]


@pytest.mark.parametrize("kind", ["embedding", "null"])
def test_vectors_have_length_one_and_keep_their_order(request: pytest.FixtureRequest, kind: str) -> None:
    writer: Writer = request.getfixturevalue(kind)
    one, two = writer.embed(["the cat", "a hen in the road"])
    assert sum(value * value for value in one) == pytest.approx(1, abs=1e-4)
    assert writer.embed(["a hen in the road"])[0] == pytest.approx(two, abs=1e-4)
    assert one != two


def test_a_model_that_embeds_writes_too(embedding: Writer) -> None:
    assert list(embedding.complete("the cat", letters(max_tokens=2)))[-1].finish == LENGTH


def test_without_embedding_there_are_no_vectors(real: Writer) -> None:
    with pytest.raises(EngineError, match="embeddings"):
        real.embed(["x"])


@pytest.mark.parametrize(
    "messages", [[], [{"role": "user"}], [{"content": "x"}], [{"role": "user", "content": [{"type": "image_url"}]}]]
)
def test_odd_conversations_are_refused(writer: Writer, messages: list[dict[str, object]]) -> None:
    with pytest.raises(DataError):
        writer.chat(messages)


@pytest.mark.parametrize(
    "options",
    [
        Options(max_tokens=0),
        Options(temperature=-1),
        Options(top_p=2),
        Options(seed=-1),
        Options(stop=("",)),
        Options(stop=("x",) * 17),
        Options(grammar="x", json=True),
        Options(temperature=float("nan")),
    ],
)
def test_odd_options_are_refused(writer: Writer, options: Options) -> None:
    with pytest.raises(UsageError):
        writer.complete("x", options)


def test_a_closed_writer_says_so(model: Path) -> None:
    writer = Writer(model, context=64)
    writer.close()
    writer.close()
    with pytest.raises(EngineError, match="closed"):
        writer.complete("x")


def test_a_reader_that_hangs_up_is_seen_by_the_engine(tmp_path: Path) -> None:
    plan = write_plan(tmp_path / "null.json", NullPlan(words=("x",) * 20_000, token_s=0.002))
    with null_writer(plan) as writer:
        for _ in range(3):
            next(stream := writer.complete("go"))
            stream.close()
        told = 0
        for _ in range(1000):
            told = int("".join(piece.text for piece in writer.complete(CANCELLED)))
            if told >= 3:  # who asks may itself be gone before the engine's last word
                break
            time.sleep(0.01)
    assert told >= 3


# --- what only a real model shows --------------------------------------------------------------------------------


def test_json_obeys_its_schema(real: Writer) -> None:
    schema = {
        "type": "object",
        "properties": {"yes": {"type": "boolean"}},
        "required": ["yes"],
        "additionalProperties": False,
    }
    for seed in range(5):
        pieces = real.chat(HELLO, Options(schema=schema, seed=seed, max_tokens=100, top_k=0, min_p=0))
        text = "".join(piece.text for piece in pieces)
        assert isinstance(json.loads(text)["yes"], bool)


def test_a_seed_makes_draws_repeatable(real: Writer) -> None:
    def drawn(seed: int) -> str:
        options = letters(temperature=1.5, seed=seed, max_tokens=20, cache=False)
        return "".join(piece.text for piece in real.complete("the cat", options))

    assert drawn(1) == drawn(1)
    assert len({drawn(seed) for seed in range(4)}) > 1


def test_the_template_of_the_file_is_what_a_chat_reads(real: Writer) -> None:
    prompt = real.prompt_of(HELLO)
    assert prompt == "<|im_start|>user\nthe cat and the hen<|im_end|>\n<|im_start|>assistant\n"
    tokens = real.tokenize(prompt, special=True)
    assert tokens.count(1) == 2
    assert list(real.chat(HELLO, letters(max_tokens=1)))[-1].usage.prompt_tokens == len(tokens)  # type: ignore[union-attr]


def test_words_that_name_control_tokens_do_not_become_them(real: Writer) -> None:
    assert 2 not in real.tokenize("<|im_end|>")


def test_a_grammar_that_is_none_is_refused(real: Writer) -> None:
    with pytest.raises(DataError, match="grammar"):
        real.complete("x", Options(grammar="root ::= (("))


def test_keys_and_values_in_eight_bits_write_too(model: Path) -> None:
    with Writer(model, context=256, cache_type="q8_0") as writer:
        assert list(writer.complete("the cat", letters(max_tokens=3)))[-1].finish == LENGTH
    with pytest.raises(UsageError, match="cache type"):
        Writer(model, cache_type="q3_0")


@pytest.mark.parametrize("kind", [*NGRAM_KINDS, "draft"])
def test_speculation_changes_no_answer(real: Writer, model: Path, tmp_path: Path, kind: str) -> None:
    draft = tiny_gguf(tmp_path / "draft.gguf", Tiny(type="Q8_0")) if kind == "draft" else None
    options = letters(max_tokens=60, cache=False)
    prompt = "the cat and the hen and the cat and the hen and the"
    wanted = [(piece.text, piece.finish) for piece in real.complete(prompt, options)]
    with Writer(model, context=256, speculation=kind, draft=draft) as writer:
        found = list(writer.complete(prompt, options))
    assert "".join(piece.text for piece in found) == "".join(text for text, _ in wanted)
    if kind == "draft":
        usage = found[-1].usage
        assert usage is not None
        assert usage.drafted_tokens > 0


def test_odd_settings_are_refused(model: Path, tmp_path: Path) -> None:
    for odd in (
        {"context": 0},
        {"slots": 0},
        {"threads": 0},
        {"speculation": "draft"},
        {"speculation": "luck"},
        {"embedding": True, "slots": 2},
    ):
        with pytest.raises(UsageError):
            Writer(model, **odd)  # type: ignore[arg-type]
    cut = tmp_path / "cut.gguf"
    cut.write_bytes(model.read_bytes()[:3000])
    with pytest.raises(ModelError, match=r"llama\.cpp refuses the model: .*read"):
        Writer(cut)
