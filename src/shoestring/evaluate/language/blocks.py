"""Blocks of tokens: at most one of each document, so that they are as independent as the documents."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from shoestring.base.errors import DataError
from shoestring.evaluate.splits import split

if TYPE_CHECKING:
    from shoestring.evaluate.texts import Texts

LEAST_TOKENS = 16  # a shorter document has too little context to say anything
SPLITS = ("calibration", "selection", "certification")


@dataclass(frozen=True)
class Wanted:
    """How much text is looked at; the usual amount is what a ladder of five rungs of a small model reads in minutes.

    Args:
        tokens: of a block at most, the one that starts it included.
        calibration: blocks of that split at most; likewise `selection` and `certification`.
    """

    tokens: int = 64
    calibration: int = 32
    selection: int = 32
    certification: int = 112

    def count(self, name: str) -> int:
        """Blocks of the split `name`."""
        return int(getattr(self, name))


@dataclass(frozen=True)
class Blocks:
    """The blocks of one split.

    Args:
        split: its name.
        documents: SHA-256 of each block's document, ascending.
        runs: tokens of each block.
    """

    split: str
    documents: tuple[str, ...]
    runs: tuple[tuple[int, ...], ...]


def make_blocks(
    texts: Texts,
    tokenize: Callable[[Sequence[str]], Sequence[Sequence[int]]],
    start: Sequence[int],
    wanted: Wanted,
    seed: int,
) -> tuple[tuple[Blocks, ...], tuple[str, ...]]:
    """Divide the documents by content, and take a block of each until there are enough.

    A document belongs to one split whatever is wanted. Where in it the block starts is drawn by its hash and the seed.

    Args:
        texts: distinct documents, in the order of their hashes.
        tokenize: of the model, without the token that starts a text.
        start: tokens that start every text of this model; often none or one.
        wanted: how much.
        seed: of splits and starts.

    Returns:
        Blocks of calibration, selection and certification; and what is to be said of what was left out.

    Raises:
        DataError: too few documents, or a split without a document that is long enough.
    """
    divided = split(texts, seed=seed, what="texts")
    found, short = [], 0
    for name in SPLITS:
        documents, runs = [], list[tuple[int, ...]]()
        indices = sorted(getattr(divided, name))
        for place in range(0, len(indices), wanted.count(name)):
            some = indices[place : place + wanted.count(name)]
            for index, tokens in zip(some, tokenize([texts.texts[one] for one in some]), strict=True):
                if len(tokens) < LEAST_TOKENS:
                    short += 1
                elif len(runs) < wanted.count(name):
                    documents.append(texts.hashes[index])
                    runs.append(_cut(tokens, start, wanted.tokens, texts.hashes[index], seed))
            if len(runs) == wanted.count(name):
                break
        if not runs:
            raise DataError(
                f"no text of the {name} split has {LEAST_TOKENS} tokens", hint="give longer texts, or more of them"
            )
        found.append(Blocks(name, tuple(documents), tuple(runs)))
    notes = (f"{short} texts shorter than {LEAST_TOKENS} tokens left out",) if short else ()
    return tuple(found), notes


def _cut(tokens: Sequence[int], start: Sequence[int], length: int, sha256: str, seed: int) -> tuple[int, ...]:
    room = max(LEAST_TOKENS, length - len(start))
    spare = len(tokens) - room
    if spare <= 0:
        return (*start, *tokens)
    draw = int.from_bytes(hashlib.sha256(f"{seed}:start:{sha256}".encode()).digest()[:8], "big")
    at = draw % (spare + 1)
    return (*start, *tokens[at : at + room])


def describe(blocks: Sequence[Blocks]) -> str:
    """Sizes, for people: `112 certification blocks (7,168 tokens)`."""
    return ", ".join(
        f"{len(one.runs):,} {one.split} blocks ({sum(len(run) for run in one.runs):,} tokens)" for one in blocks
    )
