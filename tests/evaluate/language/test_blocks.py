"""Blocks of text: one a document, divided by content, drawn by hash."""

from itertools import pairwise

import pytest

from shoestring.base.errors import DataError
from shoestring.evaluate.language.blocks import LEAST_TOKENS, Wanted, describe, make_blocks
from shoestring.evaluate.language.documents import PIECE_CHARACTERS, cut, open_documents

WANTED = Wanted(tokens=32, calibration=10, selection=20, certification=50)


def tokenize(texts):
    """A token a word: its first character and its number."""
    return [[hash_of(word) for word in text.split()] for text in texts]


def hash_of(word):
    return int("".join(character for character in word if character.isdigit()) or 0)


def corpus(tmp_path, count=200, words=60):
    folder = tmp_path / "texts"
    folder.mkdir()
    for number in range(count):
        text = " ".join(f"w{number}0{place:03}" for place in range(words))
        (folder / f"{number}.txt").write_text(text)
    return folder


def test_every_document_gives_at_most_one_block_to_one_split(tmp_path):
    texts = open_documents(corpus(tmp_path))
    blocks, notes = make_blocks(texts, tokenize, (7,), WANTED, 0)
    assert [one.split for one in blocks] == ["calibration", "selection", "certification"]
    assert [len(one.runs) for one in blocks] == [10, 20, 50]
    named = [document for one in blocks for document in one.documents]
    assert len(named) == len(set(named))
    assert all(len(run) == 32 and run[0] == 7 for one in blocks for run in one.runs)
    assert all(list(one.documents) == sorted(one.documents) for one in blocks)
    assert notes == ()
    assert describe(blocks).startswith("10 calibration blocks (320 tokens), 20 selection")


def test_starts_are_drawn_by_content_and_seed(tmp_path):
    texts = open_documents(corpus(tmp_path))
    one, again, other = (make_blocks(texts, tokenize, (), WANTED, seed)[0] for seed in (0, 0, 1))
    assert one == again
    assert one != other
    starts = {run[0] % 1000 for blocks in one for run in blocks.runs}
    assert len(starts) > 15
    assert all(later == former + 1 for run in one[0].runs for former, later in pairwise(run))


def test_more_blocks_change_no_documents_split(tmp_path):
    texts = open_documents(corpus(tmp_path))
    few, _ = make_blocks(texts, tokenize, (), WANTED, 0)
    many, _ = make_blocks(texts, tokenize, (), Wanted(32, 15, 30, 60), 0)
    for less, more in zip(few, many, strict=True):
        assert more.documents[: len(less.documents)] == less.documents


def test_short_documents_are_left_out_and_told(tmp_path):
    folder = corpus(tmp_path, count=100)
    for number in range(100, 150):
        (folder / f"{number}.txt").write_text(f"only{number} three words")
    blocks, notes = make_blocks(open_documents(folder), tokenize, (), Wanted(32, 200, 200, 200), 0)
    assert sum(len(one.runs) for one in blocks) == 100
    assert notes == (f"50 texts shorter than {LEAST_TOKENS} tokens left out",)


def test_a_split_without_long_texts_is_refused(tmp_path):
    folder = corpus(tmp_path, count=60, words=5)
    with pytest.raises(DataError, match="16 tokens"):
        make_blocks(open_documents(folder), tokenize, (), WANTED, 0)


def test_too_few_documents_are_refused(tmp_path):
    with pytest.raises(DataError, match="20 different texts are too few"):
        make_blocks(open_documents(corpus(tmp_path, count=20)), tokenize, (), WANTED, 0)


def test_one_text_is_cut_at_blank_lines_and_that_is_said(tmp_path):
    path = tmp_path / "book.txt"
    path.write_text("\n\n".join(f"Paragraph {number}. " + "word " * 100 for number in range(200)))
    texts = open_documents(path)
    assert len(texts) > 48
    assert "one text" in texts.notes[0]
    assert all(len(text) >= PIECE_CHARACTERS for text in sorted(texts.texts, key=len)[1:])
    assert cut("\n\n \n\n") == []


@pytest.mark.parametrize(("data", "words"), [(b"", "no text"), (b"\xff\xfe\xfd", "not UTF-8")])
def test_a_broken_text_file_is_named(tmp_path, data, words):
    path = tmp_path / "book.txt"
    path.write_bytes(data)
    with pytest.raises(DataError, match=words):
        open_documents(path)
