"""Tokenizers of Hugging Face in GGUF: llama.cpp cuts texts as the library `tokenizers` does."""

from __future__ import annotations

import json
from pathlib import Path
from pydoc_data import topics
from typing import Any

import pytest

import hf_decoders
import hf_folders
from hf_llamacpp import judge
from shoestring.base.errors import ModelError
from shoestring.importers.gguf.header import read_header
from shoestring.importers.huggingface import language_child, pre_tokenizer, tokenizer
from shoestring.importers.huggingface.tokenizer import vocabulary_pairs

tokenizers = pytest.importorskip("tokenizers", reason="tokenizers is not installed")

PROSE = [part for _, text in sorted(topics.topics.items()) for part in text.split("\n\n")]
NASTY = [
    "", " ", "  ", "\n", " \n \n", "\t\tx\r\ny", "a  b   c    d", " leading", "trailing ",
    "don't WE'LL I'm they'VE 're",
    "1234567890 12 3,456.78 ½ ٣٤ Ⅷ", "x=1;y=2//z#!? ...---===", "naïve café Ünï", "日本語のテキスト",
    "한국어 привет שלום",
    "👩‍👩‍👧 🏳️‍🌈 ☕️", "a\u0301 e\u0301\u0323", "\u200b\u200dzero", "\x00\x01\x7f",
    "the the  the\n\nthe", "<s>in</s> <unk>",
    "\u3000wide\u00a0hard", "ﬁ ligature ǅ", "x" * 300, " " * 70 + "y", "\n" * 9 + "z", "_under__score CamelCase",
    "'s'S'", "ſ'ſ 'ſ", "0x1F 1e-9 v2.0.1", "\u2028line\u2029para", "▁▁ ▁a", "<0x41> <0x0A>",
]  # fmt: skip
NOT_NFC = ["a\u0301 e\u0301\u0323"]  # llama.cpp brings no text to Unicode's form NFC, and the import says so


def trained(pre: str) -> dict[str, Any]:
    """A byte-level tokenizer of that way of cutting, trained on Python's manual."""
    made = tokenizers.Tokenizer.from_str(json.dumps(hf_decoders.byte_level(pre, [])))
    letters = hf_decoders.letters()
    trainer = tokenizers.trainers.BpeTrainer(
        vocab_size=900, special_tokens=hf_decoders.SPECIAL, initial_alphabet=letters, show_progress=False
    )
    made.train_from_iterator([*PROSE[:400], *NASTY], trainer)
    found = json.loads(made.to_str())
    found["model"]["ignore_merges"] = hf_decoders.PRE[pre].get("ignore_merges", False)
    return dict(found)


def sentence_pieces(*, prepend: bool) -> dict[str, Any]:
    """As Hugging Face makes them of sentencepiece's models: every split of a word into words, in the order of words."""
    model = tokenizers.Tokenizer(tokenizers.models.BPE())
    trainer = tokenizers.trainers.BpeTrainer(vocab_size=700, show_progress=False)
    model.pre_tokenizer = tokenizers.pre_tokenizers.Metaspace(prepend_scheme="always" if prepend else "never")
    model.train_from_iterator(PROSE[:400], trainer)
    words = sorted(model.get_vocab(), key=model.get_vocab().get)
    known = set(words)
    merges = [
        (word[:at], word[at:])
        for word in words
        for at in range(1, len(word))
        if word[:at] in known and word[at:] in known
    ]
    return hf_decoders.sentence_pieces(merges, prepend=prepend, more=["\n\n", "▁▁▁", "<h1>"])


def converted(folder: Path, made: dict[str, Any], **files: Any) -> Path:
    """A small network with this tokenizer, as GGUF."""
    rows = 8 + max(*made["model"]["vocab"].values(), *(one["id"] for one in made["added_tokens"]))
    config = {**hf_decoders.DECODERS["llama"], "vocab_size": rows, "max_position_embeddings": 2048}
    hf_folders.save(folder, config, hf_decoders.decoder_tensors(config), made, **files)
    request = {"source": str(folder), "target": str(folder / "made.gguf"), "name": "small"}
    language_child.translate(request)
    return folder / "made.gguf"


def differing(file: Path, made: dict[str, Any], texts: list[str]) -> list[str]:
    """Texts that llama.cpp cuts otherwise."""
    theirs = tokenizers.Tokenizer.from_str(json.dumps(made))
    with judge(file) as model:
        return [text for text in texts if model.tokens(text, around=True) != theirs.encode(text).ids]


@pytest.mark.parametrize("pre", hf_decoders.PRE)
def test_bytes_are_merged_as_tokenizers_merges_them(pre: str, tmp_path: Path) -> None:
    made = trained(pre)
    left = differing(converted(tmp_path, made), made, [*NASTY, *PROSE[400:600]])
    assert left == (NOT_NFC if pre == "qwen2" else [])


@pytest.mark.parametrize("prepend", [True, False])
def test_pieces_of_sentences_are_those_of_tokenizers(prepend: bool, tmp_path: Path) -> None:
    made = sentence_pieces(prepend=prepend)
    assert differing(converted(tmp_path, made), made, [*NASTY, *PROSE[400:600]]) == []


def test_a_wrong_way_of_cutting_is_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = trained("gpt-2")
    wrong = next(way for way in pre_tokenizer.known() if way.name == "smollm")
    monkeypatch.setattr(tokenizer, "recognise", lambda _: wrong)
    assert len(differing(converted(tmp_path, made), made, NASTY)) > 0


def test_wrong_scores_are_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = sentence_pieces(prepend=False)
    monkeypatch.setattr(tokenizer, "scores_of", lambda tokens, kinds, merges: [0.0] * len(tokens))
    assert len(differing(converted(tmp_path, made), made, PROSE[400:450])) > 0


def test_what_stands_beside_the_words_is_read(tmp_path: Path) -> None:
    made = sentence_pieces(prepend=False)
    folder = tmp_path / "model"
    header = read_header(
        converted(
            folder,
            made,
            tokenizer_config={
                "bos_token": {"content": "<s>"},
                "eos_token": "</s>",
                "unk_token": "<unk>",
                "pad_token": None,
            },
        )
    )
    pairs = {key.removeprefix("tokenizer.ggml."): value for key, value in header.metadata.items()}
    assert (pairs["bos_token_id"], pairs["eos_token_id"], pairs["unknown_token_id"]) == (1, 2, 0)
    assert (pairs["add_bos_token"], pairs["add_eos_token"], pairs["add_space_prefix"]) == (True, False, False)
    assert "padding_token_id" not in pairs and pairs["model"] == "llama"
    (folder / "chat_template.jinja").write_text("{{ 'hello' }}")
    assert read_header(converted(folder, made)).metadata["tokenizer.chat_template"] == "{{ 'hello' }}"


def changed(**model: Any) -> dict[str, Any]:
    made = hf_decoders.byte_level()
    return {**made, "model": {**made["model"], **model}}


STRANGE = {"type": "Split", "pattern": {"Regex": r"\d"}, "behavior": "Isolated", "invert": False}
TEMPLATE = {"type": "TemplateProcessing", "single": [{"Sequence": {"id": "A"}}, {"Sequence": {"id": "A"}}]}
REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "another model": (changed(type="Unigram"), "model of the type 'Unigram'"),
    "no model": ({**hf_decoders.byte_level(), "model": None}, "model of the type None"),
    "another way of cutting": ({**hf_decoders.byte_level(), "pre_tokenizer": STRANGE}, "not known.*split:"),
    "no way of cutting": ({**hf_decoders.byte_level(), "pre_tokenizer": None}, r"steps \[\]"),
    "whole words": (changed(ignore_merges=True), "ignore_merges True"),
    "a normalizer": ({**hf_decoders.byte_level(), "normalizer": {"type": "Lowercase"}}, "normalizer Lowercase"),
    "a step without type": ({**hf_decoders.byte_level(), "pre_tokenizer": {"a": 1}}, "which has no type"),
    "a suffix": (changed(end_of_word_suffix="</w>"), "end_of_word_suffix"),
    "dropout": (changed(dropout=0.1), "dropout = 0.1"),
    "no words": (changed(vocab={}), "no vocabulary"),
    "words twice": (changed(vocab={"a": 3, "b": 3}, merges=[]), "the same id 3"),
    "half a letter": (changed(vocab={"a\ud83d": 3}, merges=[]), "which is no text"),
    "negative id": (changed(vocab={"a": -1}), "the id -1"),
    "id as text": (changed(vocab={"a": "1"}), "the id '1'"),
    "no merges": (changed(merges=None), "holds no merges"),
    "merges of three": (changed(merges=["a b c"]), "no pairs of texts"),
    "merges of nothing known": (changed(merges=["he he"]), "not all are words"),
    "bytes missing": (changed(byte_fallback=True), "no word <0x00>"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_tokenizers_that_llama_cpp_lacks_are_refused_by_name(case: str) -> None:
    made, words = REFUSED[case]
    with pytest.raises(ModelError, match=words):
        vocabulary_pairs(made, 400)


PIECES: dict[str, tuple[dict[str, Any], str]] = {
    "lower case": ({"normalizer": {"type": "Lowercase"}}, "Lowercase"),
    "blanks left": ({"normalizer": None}, "does not write blanks"),
    "cut at blanks": ({"pre_tokenizer": {"type": "Metaspace", "replacement": "▁", "split": True}}, "Metaspace"),
    "another end": ({"post_processor": {"type": "BertProcessing"}}, "ends with a step 'BertProcessing'"),
    "twice the text": ({"post_processor": TEMPLATE}, "around a text"),
}


@pytest.mark.parametrize("case", PIECES)
def test_steps_that_sentencepiece_lacks_are_refused_by_name(case: str, tmp_path: Path) -> None:
    changes, words = PIECES[case]
    with pytest.raises(ModelError, match=words):
        converted(tmp_path, {**hf_decoders.sentence_pieces([("a", "b")], prepend=True), **changes})


def test_merges_that_scores_cannot_say_are_refused() -> None:
    made = hf_decoders.sentence_pieces([("a", "b"), ("b", "c"), ("ab", "c"), ("c", "d"), ("a", "bc")], prepend=True)
    with pytest.raises(ModelError, match="merges to 'abc' at several places"):
        vocabulary_pairs(made, 400)


@pytest.mark.parametrize("lie", ["no such word", "id beyond", "end beyond", "flag without word"])
def test_special_words_that_do_not_fit_are_refused(lie: str, tmp_path: Path) -> None:
    files: dict[str, dict[str, Any]] = {
        "no such word": {"tokenizer_config": {"eos_token": "<end>"}},
        "id beyond": {"tokenizer_config": {}},
        "end beyond": {"generation_config": {"eos_token_id": [2, 10**6]}},
        "flag without word": {"tokenizer_config": {"add_bos_token": True}},
    }
    words = {
        "no such word": "no such word", "id beyond": "id = 1000000", "end beyond": "eos_token_id",
        "flag without word": "names none",
    }  # fmt: skip
    ids = {"id beyond": {"bos_token_id": 10**6}, "flag without word": {"bos_token_id": None}}
    config = {**hf_decoders.DECODERS["llama"], **ids.get(lie, {})}
    tensors = hf_decoders.decoder_tensors(config)
    folder = hf_folders.save(tmp_path, config, tensors, hf_decoders.byte_level(), **files[lie])
    with pytest.raises(ModelError, match=words[lie]):
        language_child.translate({"source": str(folder), "target": str(folder / "made.gguf"), "name": "small"})
