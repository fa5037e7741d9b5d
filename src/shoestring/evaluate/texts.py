"""Texts with or without labels: a folder of class folders, a folder, a CSV of `text,label`, or lines of JSON."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path

from shoestring.base.canonical import sha256_hex
from shoestring.base.errors import DataError
from shoestring.base.limits import MAX_TEXT_BYTES, MAX_TEXTS, MIB
from shoestring.base.opens import open_within
from shoestring.evaluate.dataset_found import count_note
from shoestring.evaluate.dataset_labels import resolve
from shoestring.evaluate.texts_rows import read_csv_rows, read_json_rows

SUFFIXES = frozenset((".txt", ".text", ".md"))
MAX_ALL_BYTES = 1024 * MIB
"""Of all texts together, which are held in memory: 400,000 news articles."""
FORMS = 'give a folder of class folders of .txt, a folder of .txt, a CSV of text,label or a .jsonl of {"text": "..."}'


@dataclass(frozen=True)
class Texts:
    """Distinct texts in the order of their hashes.

    Args:
        path: what the user named.
        hashes: SHA-256 of each text's UTF-8 bytes; ascending.
        labels: class index of each text, or None when the data has none.
        names: class names in the model's order; () when unknown.
        notes: what was left out, in words.
        texts: themselves.
    """

    path: Path
    hashes: tuple[str, ...]
    labels: tuple[int, ...] | None
    names: tuple[str, ...]
    notes: tuple[str, ...]
    texts: tuple[str, ...] = field(repr=False, compare=False)

    def __len__(self) -> int:
        return len(self.hashes)


@dataclass
class Rows:
    """Texts as they were found.

    Args:
        texts: each with its place, for people.
        labels: as written; None where the data has none.
        notes: what was left out.
    """

    texts: list[tuple[str, str]]
    labels: list[str] | None
    notes: list[str] = field(default_factory=list)


def open_texts(path: Path, *, label_names: tuple[str, ...] = (), limit: int | None = None) -> Texts:
    """Find texts and labels.

    Texts that differ in white space alone are the same text and count once: two of them in two splits would undo a
    certificate.

    Args:
        path: see FORMS.
        label_names: class names in the model's order, as for images.
        limit: take at most this many, chosen by the hash of their place, so without regard to class; None for all.

    Raises:
        DataError: nothing there, a text that is no UTF-8, too many or too large ones, or the same text under two
            labels; the message names the place.
    """
    if limit is not None and limit < 1:
        raise DataError(f"a limit of {limit} texts leaves nothing", hint="use at least 1")
    rows = _find(path)
    if not rows.texts:
        raise DataError(f"{path} holds no texts" + "".join(f"; {note}" for note in rows.notes), hint=FORMS)
    labels, names = None, label_names
    if rows.labels is not None:
        index_of, names = resolve(rows.labels, label_names, "label")
        labels = [index_of[label] for label in rows.labels]
    places = list(range(len(rows.texts)))
    if limit is not None and limit < len(places):
        places.sort(key=lambda place: sha256_hex(rows.texts[place][0].encode()))
        rows.notes.append(f"{limit} of {len(places)} texts taken, chosen by the hash of their place")
        places = sorted(places[:limit])
    kept = _distinct(rows, places, labels)
    hashes = sorted(kept)
    return Texts(
        path=path,
        hashes=tuple(hashes),
        labels=None if labels is None else tuple(labels[kept[one]] for one in hashes),
        names=names,
        notes=tuple(rows.notes),
        texts=tuple(rows.texts[kept[one]][1] for one in hashes),
    )


def _distinct(rows: Rows, places: list[int], labels: list[int] | None) -> dict[str, int]:
    """Place of each distinct text by its hash."""
    first: dict[str, int] = {}
    again, empty = [], []
    for place in places:
        where, text = rows.texts[place]
        plain = " ".join(text.split())
        if not plain:
            empty.append(where)
            continue
        before = first.setdefault(plain, place)
        if before == place:
            continue
        if labels is not None and labels[before] != labels[place]:
            raise DataError(
                f"{rows.texts[before][0]} and {where} are the same text, with labels {labels[before]} and "
                f"{labels[place]}",
                hint="keep the one with the right label",
            )
        again.append(where)
    rows.notes += [*count_note(again, "repeated texts left out"), *count_note(empty, "empty texts left out")]
    return {sha256_hex(rows.texts[place][1].encode()): place for place in first.values()}


def _find(path: Path) -> Rows:
    if path.is_dir():
        return _folder(path)
    if not path.is_file():
        raise DataError(f"{path} is not there, or is no regular file", hint=FORMS)
    readers = {".csv": read_csv_rows, ".jsonl": read_json_rows}
    reader = readers.get(path.suffix.lower())
    if reader is None:
        raise DataError(f"{path} is neither a folder nor a .csv nor a .jsonl", hint=FORMS)
    texts, labels, notes = reader(path, MAX_ALL_BYTES)
    return Rows(texts, labels, notes)


def _folder(path: Path) -> Rows:
    """Texts directly in `path` (no labels), or in its folders (one class each). Links are not followed."""
    rows = Rows([], None)
    others: list[str] = []
    top, folders = _listed(path, "", others)
    labelled: list[tuple[str, str]] = []
    for folder in folders:
        labelled += [(name, folder) for name in _listed(path, folder, others)[0]]
    if top and labelled:
        raise DataError(
            f"{path} holds {len(top)} texts itself and {len(labelled)} in folders (first {labelled[0][0]!r})",
            hint="put all texts into class folders, or all into one folder without labels",
        )
    names = top or [name for name, _ in labelled]
    if len(names) > MAX_TEXTS:
        raise DataError(f"{path} holds {len(names)} texts, the limit is {MAX_TEXTS}", hint="take a sample of them")
    left = MAX_ALL_BYTES
    for name in names:
        text = _read(path, name, left)
        left -= len(text)
        rows.texts.append((name, text))
    rows.labels = None if top else [folder for _, folder in labelled]
    rows.notes += count_note(others, "files that are not .txt left out")
    return rows


def _listed(root: Path, folder: str, others: list[str]) -> tuple[list[str], list[str]]:
    """Names of texts and of folders in one folder, sorted; the rest is added to `others`."""
    texts, folders = [], []
    try:
        with os.scandir(root / folder) as entries:
            found = sorted(entries, key=lambda entry: entry.name)
    except OSError as error:
        raise DataError(f"cannot list {root / folder}: {error.strerror or error}") from error
    for entry in found:
        name = f"{folder}/{entry.name}" if folder else entry.name
        if entry.name.startswith("."):
            continue
        if entry.is_dir(follow_symlinks=False):
            folders.append(name)
        elif entry.is_file(follow_symlinks=False) and Path(entry.name).suffix.lower() in SUFFIXES:
            texts.append(name)
        else:
            others.append(name)
    return texts, folders


def _read(root: Path, name: str, left: int) -> str:
    with open_within(root, name) as stream:
        data = stream.read(MAX_TEXT_BYTES + 1)
    if len(data) > left:
        raise DataError(f"{root} holds more than the limit of {MAX_ALL_BYTES} bytes", hint="take a sample of them")
    return _decoded(data, root / name)


def read_text(path: Path) -> str:
    """One text file that the user named. Raises DataError when it cannot be read, is too long or is not UTF-8."""
    try:
        with path.open("rb") as stream:
            data = stream.read(MAX_TEXT_BYTES + 1)
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror or error}") from error
    return _decoded(data, path)


def _decoded(data: bytes, path: Path) -> str:
    if len(data) > MAX_TEXT_BYTES:
        raise DataError(f"{path} is longer than the limit of {MAX_TEXT_BYTES} bytes", hint="split it")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(
            f"{path} is not UTF-8: {error.reason} at byte {error.start}", hint="convert it, as with iconv"
        ) from error
