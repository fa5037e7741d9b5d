"""Texts to token ids: padding to buckets, cuts, order, and what is refused."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tiny_encoder
from shoestring.base.errors import DataError
from shoestring.base.limits import MAX_TEXT_BYTES, MAX_TOKENIZER_BYTES
from shoestring.inputs.text import TextReader, choose_buckets, load_tokenizer, run_texts


@pytest.fixture(scope="module")
def reader() -> TextReader:
    return TextReader(tiny_encoder.tokenizer_bytes(), tiny_encoder.spec_of())


def test_a_batch_holds_ids_mask_and_types_padded_to_its_bucket(reader: TextReader) -> None:
    feeds, cut = reader.one("the kettle")
    words = tiny_encoder.vocabulary()
    wanted = [words["[CLS]"], words["the"], words["kettle"], words["[SEP]"]]
    assert not cut
    assert feeds["input_ids"].tolist() == [wanted + [0] * 4]
    assert feeds["attention_mask"].tolist() == [[1] * 4 + [0] * 4]
    assert feeds["token_type_ids"].tolist() == [[0] * 8]


def test_a_long_text_is_cut_as_the_librarys_own_truncation_cuts_it(reader: TextReader) -> None:
    long = "kettle " * 100
    own = load_tokenizer(tiny_encoder.tokenizer_bytes(max_length=32))
    found = reader.tokens([long])[0]
    assert found.cut
    assert list(found.ids) == own.encode(long).ids
    assert found.ids[-1] == tiny_encoder.vocabulary()["[SEP]"]


def test_a_tokenizers_own_padding_and_truncation_do_not_count() -> None:
    reader = TextReader(tiny_encoder.tokenizer_bytes(max_length=4), tiny_encoder.spec_of())
    assert len(reader.tokens(["the old kettle and the oven"])[0].ids) == 8


@given(st.lists(st.integers(0, 40), min_size=1, max_size=300), st.sampled_from((1, 64, 2_048)))
def test_answers_come_in_the_order_of_the_texts_whatever_the_batches(lengths: list[int], together: int) -> None:
    reader = TextReader(tiny_encoder.tokenizer_bytes(), tiny_encoder.spec_of())
    texts = ["grass " * length for length in lengths]
    rows = run_texts(
        reader, lambda feeds: feeds["attention_mask"].sum(axis=1, keepdims=True), texts, batch_tokens=together
    )
    assert rows.ravel().tolist() == [min(32, length + 2) for length in lengths]


def test_texts_of_like_length_share_a_batch_and_little_is_padding(reader: TextReader) -> None:
    texts = [text for _, text in tiny_encoder.texts(200)]
    batches = list(reader.batches(texts, 256))
    assert sorted(place for batch in batches for place in batch.places) == list(range(200))
    assert all(batch.feeds["input_ids"].size <= 256 for batch in batches)
    padded = sum(batch.feeds["input_ids"].size for batch in batches)
    used = sum(int(batch.feeds["attention_mask"].sum()) for batch in batches)
    assert used / padded > 0.7


def test_inputs_have_the_type_that_the_model_takes() -> None:
    reader = TextReader(tiny_encoder.tokenizer_bytes(), tiny_encoder.spec_of(types=False, dtype="int32"))
    feeds, _ = reader.one("grass")
    assert sorted(feeds) == ["attention_mask", "input_ids"]
    assert all(value.dtype == np.int32 for value in feeds.values())


@given(st.lists(st.integers(1, 64), min_size=1, max_size=40))
def test_no_other_buckets_pad_less(lengths: list[int]) -> None:
    found = choose_buckets(lengths, 64, most=3)
    assert found[-1] == 64 and len(found) <= 3 and list(found) == sorted(set(found))

    def cost(buckets: tuple[int, ...]) -> int:
        return sum(next(bucket for bucket in buckets if bucket >= length) for length in lengths)

    best = min(cost((*others, 64)) for count in range(3) for others in combinations(range(8, 64, 8), count))
    rounded = sum(-(-length // 8) * 8 for length in lengths)
    assert cost(found) <= best + 2 * 0.02 * rounded + 1e-9


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b'{"a": 1}', "cannot be read"),
        (b"[" * 100_000, "cannot be read"),
        (b"\xff\xfe", "cannot be read"),
        (b"", "cannot be read"),
    ],
)
def test_what_is_no_tokenizer_is_refused(data: bytes, words: str) -> None:
    with pytest.raises(DataError, match=words):
        load_tokenizer(data)


def test_a_tokenizer_beyond_the_limit_is_not_parsed() -> None:
    with pytest.raises(DataError, match="the limit is"):
        load_tokenizer(b" " * (MAX_TOKENIZER_BYTES + 1))


@pytest.mark.parametrize(
    ("text", "words"),
    [("\ud800", "no Unicode text"), ("a" * (MAX_TEXT_BYTES + 1), "the limit is"), (7, "is a int"), (b"a", "is a bytes")],
)
def test_what_is_no_text_is_refused_by_its_place(reader: TextReader, text: object, words: str) -> None:
    with pytest.raises(DataError, match=rf"text 2 .*{words}"):
        reader.tokens(["grass", text])  # type: ignore[list-item]


def test_an_empty_text_has_the_tokens_that_stand_around_it(reader: TextReader) -> None:
    assert int(reader.one("")[0]["attention_mask"].sum()) == 2
