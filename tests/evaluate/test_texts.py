"""Data sets of texts: forms, labels, repeats, and what is refused by its place."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import tiny_encoder
from shoestring.base.canonical import sha256_hex
from shoestring.base.errors import DataError
from shoestring.evaluate.splits import split
from shoestring.evaluate.texts import open_texts


def write(path: Path, text: str | bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


def test_class_folders_give_texts_labels_and_names(tmp_path: Path) -> None:
    write(tmp_path / "b" / "1.txt", "one")
    write(tmp_path / "a" / "2.txt", "two")
    write(tmp_path / "a" / "notes.pdf", "x")
    found = open_texts(tmp_path)
    assert dict(zip(found.texts, found.labels or (), strict=True)) == {"one": 1, "two": 0}
    assert found.names == ("a", "b")
    assert found.hashes == tuple(sorted((sha256_hex(b"one"), sha256_hex(b"two"))))
    assert any("notes.pdf" in note for note in found.notes)


def test_a_flat_folder_has_no_labels(tmp_path: Path) -> None:
    found = open_texts(tiny_encoder.write_texts(tmp_path, 5, labels=False))
    assert len(found) == 5 and found.labels is None


def test_csv_and_json_lines_say_the_same(tmp_path: Path) -> None:
    rows = [("kitchen", 'the "old" kettle, and\nthe oven'), ("field", "grass")]
    table = write(tmp_path / "a.csv", 'text,label\n"the ""old"" kettle, and\nthe oven",kitchen\ngrass,field\n')
    lines = write(tmp_path / "a.jsonl", "\n\n".join(json.dumps({"text": t, "label": k}) for k, t in rows))
    one, other = open_texts(table), open_texts(lines)
    assert (one.texts, one.labels, one.names) == (other.texts, other.labels, other.names)
    assert set(one.texts) == {text for _, text in rows}


def test_texts_that_differ_in_white_space_alone_count_once(tmp_path: Path) -> None:
    write(tmp_path / "a" / "1.txt", "the old kettle")
    write(tmp_path / "a" / "2.txt", "the  old\nkettle\n")
    write(tmp_path / "b" / "3.txt", "grass")
    write(tmp_path / "b" / "4.txt", "  \n")
    found = open_texts(tmp_path)
    assert len(found) == 2
    assert any("1 repeated texts left out: a/2.txt" in note for note in found.notes)
    assert any("1 empty texts left out: b/4.txt" in note for note in found.notes)


def test_the_same_text_under_two_labels_is_refused(tmp_path: Path) -> None:
    write(tmp_path / "a" / "1.txt", "grass")
    write(tmp_path / "b" / "2.txt", "grass ")
    with pytest.raises(DataError, match=r"a/1\.txt and b/2\.txt are the same text"):
        open_texts(tmp_path)


def test_a_limit_takes_some_whatever_their_class(tmp_path: Path) -> None:
    folder = tiny_encoder.write_texts(tmp_path, 30)
    assert len(open_texts(folder, limit=12)) == 12


def test_texts_are_split_like_images_and_no_text_is_in_two_splits(tmp_path: Path) -> None:
    found = open_texts(tiny_encoder.write_texts(tmp_path, 90))
    parts = split(found, what="texts")
    assert sorted((*parts.calibration, *parts.selection, *parts.certification)) == list(range(90))
    with pytest.raises(DataError, match="different texts are too few"):
        split(open_texts(tmp_path, limit=20), what="texts")


@pytest.mark.parametrize(
    ("name", "data", "words"),
    [
        ("t.csv", "body,label\n\xff", None),
        ("t.csv", b"text\n\xff\xfe", "is not CSV in UTF-8"),
        ("t.csv", "word,label\na,b\n", "has no column"),
        ("t.csv", "text,label\na,x\nb,\n", "has no label on 1 of 2"),
        ("t.csv", 'text\n"a', "is not CSV"),
        ("t.jsonl", '{"text": 3}', "line 1 has no text"),
        ("t.jsonl", '{"text": "a"}\n[', "line 2 is not JSON"),
        ("t.jsonl", b'{"text": "\xff"}', "line 1 is not JSON in UTF-8"),
        ("t.jsonl", '{"text": "\\ud800"}', "line 1 is no Unicode"),
        ("t.jsonl", '{"text": "a", "label": 1.5}', "neither a name"),
        ("t.jsonl", "[" * 100_000, "not JSON"),
        ("t.xml", "a", "neither a folder nor"),
        ("d/1.txt", b"ab\xff", "not UTF-8: invalid start byte at byte 2"),
    ],
)
def test_what_cannot_be_read_is_named(tmp_path: Path, name: str, data: str | bytes, words: str | None) -> None:
    path = write(tmp_path / name, data)
    target = path.parent if name.startswith("d/") else path
    if words is None:
        assert len(open_texts(target)) == 1
        return
    with pytest.raises(DataError, match=words):
        open_texts(target)


def test_links_are_not_followed(tmp_path: Path) -> None:
    write(tmp_path / "secret.txt", "secret")
    write(tmp_path / "d" / "1.txt", "grass")
    (tmp_path / "d" / "2.txt").symlink_to(tmp_path / "secret.txt")
    found = open_texts(tmp_path / "d")
    assert found.texts == ("grass",)


def test_texts_beside_folders_of_texts_are_refused(tmp_path: Path) -> None:
    write(tmp_path / "1.txt", "a")
    write(tmp_path / "k" / "2.txt", "b")
    with pytest.raises(DataError, match="1 texts itself and 1 in folders"):
        open_texts(tmp_path)
    with pytest.raises(DataError, match="is not there"):
        open_texts(tmp_path / "gone")
