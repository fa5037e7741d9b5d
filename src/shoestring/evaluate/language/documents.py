"""Texts to score models that write on: as many independent documents as there are.

A folder, a CSV or lines of JSON hold documents. One text file holds none: it is cut at blank lines into pieces, and
since these are not independent, that is said.
"""

from __future__ import annotations

from pathlib import Path

from shoestring.base.canonical import sha256_hex
from shoestring.base.errors import DataError
from shoestring.base.limits import MAX_TEXT_BYTES
from shoestring.evaluate.texts import SUFFIXES, Texts, open_texts

PIECE_CHARACTERS = 1_500  # about 350 tokens of English: room for a block with a start drawn


def open_documents(path: Path) -> Texts:
    """The distinct documents of what the user named; labels do not count.

    Args:
        path: as `evaluate.texts.open_texts`, or one .txt.

    Raises:
        DataError: as `open_texts`; or a text file that is too long or no UTF-8.
    """
    if path.suffix.lower() not in SUFFIXES or not path.is_file():
        found = open_texts(path)
        return Texts(found.path, found.hashes, None, (), found.notes, found.texts)
    pieces = {sha256_hex(piece.encode()): piece for piece in cut(_read(path))}
    hashes = tuple(sorted(pieces))
    if not hashes:
        raise DataError(f"{path} holds no text", hint="give a folder of texts")
    note = (
        f"{path.name} is one text: its {len(hashes)} pieces count as documents, so that what is certified holds for "
        "more of this text and for no other"
    )
    return Texts(path, hashes, None, (), (note,), tuple(pieces[one] for one in hashes))


def cut(text: str) -> list[str]:
    """Pieces of about PIECE_CHARACTERS, cut at blank lines only."""
    pieces, held, size = [], list[str](), 0
    for paragraph in text.split("\n\n"):
        if not paragraph.strip():
            continue
        held.append(paragraph.strip())
        size += len(held[-1])
        if size >= PIECE_CHARACTERS:
            pieces.append("\n\n".join(held))
            held, size = [], 0
    return [*pieces, "\n\n".join(held)] if held else pieces


def _read(path: Path) -> str:
    try:
        with path.open("rb") as stream:
            data = stream.read(MAX_TEXT_BYTES + 1)
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror or error}", hint="check the path") from error
    if len(data) > MAX_TEXT_BYTES:
        raise DataError(
            f"{path} is longer than the limit of {MAX_TEXT_BYTES} bytes", hint="give a folder of shorter texts"
        )
    try:
        return data.decode("utf-8-sig").replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        raise DataError(f"{path} is not UTF-8: {error.reason} at byte {error.start}", hint="convert it") from error
