"""From texts to the inputs of an encoder: token ids, padded to few lengths, so that little time goes to padding."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from shoestring.base.errors import DataError, MissingExtraError
from shoestring.base.limits import MAX_TEXT_BYTES, MAX_TOKENIZER_BYTES, MIB
from shoestring.domain.text import CLASSIFICATION

if TYPE_CHECKING:
    from shoestring.domain.text import TextInput

Array = npt.NDArray[Any]
BATCH_TOKENS = 2_048
"""Padded tokens of one batch: 8 texts of 256. More gains nothing on two cores, and attention grows with it."""
GAIN = 0.02
"""Part of all tokens that one more bucket must save."""
CHUNK = 256  # texts that are tokenized before any is run, so that equal lengths meet


@dataclass(frozen=True)
class Tokens:
    """One text as token ids.

    Args:
        ids: with what the tokenizer puts around a text.
        cut: the text had more than `max_tokens`, and its end is not in them.
    """

    ids: tuple[int, ...]
    cut: bool


@dataclass(frozen=True)
class Batch:
    """Inputs of one run.

    Args:
        places: of its texts among those that were given.
        feeds: each input's array, whole numbers (n, bucket).
    """

    places: tuple[int, ...]
    feeds: dict[str, Array]


class TextReader:
    """A tokenizer and what an encoder is fed.

    Args:
        data: the `tokenizer.json`.
        spec: inputs of the encoder.

    Raises:
        MissingExtraError: `tokenizers` is not installed.
        DataError: it is too large, or no tokenizer.
    """

    def __init__(self, data: bytes, spec: TextInput) -> None:
        self.spec = spec
        self._tokenizer = load_tokenizer(data)
        self._tokenizer.no_padding()
        self._tokenizer.no_truncation()
        self._end = self._tokenizer.encode("").ids  # what stands around every text

    def with_spec(self, spec: TextInput) -> TextReader:
        """The same tokenizer with another description of the inputs."""
        other = copy.copy(self)
        other.spec = spec
        return other

    def tokens(self, texts: Sequence[str]) -> list[Tokens]:
        """Ids of each text, cut to `max_tokens` where it is longer.

        A cut keeps the last token where the tokenizer ends every text with one ([SEP]), as its own truncation does.

        Raises:
            DataError: a text is longer than MAX_TEXT_BYTES, or is no Unicode text.
        """
        for place, text in enumerate(texts):
            check_text(text, f"text {place + 1}")
        encoded = self._tokenizer.encode_batch_fast(list(texts))
        most = self.spec.max_tokens
        return [Tokens(tuple(self._cut(one.ids, most)), len(one.ids) > most) for one in encoded]

    def batches(self, texts: Sequence[str], batch_tokens: int = BATCH_TOKENS) -> Iterator[Batch]:
        """Inputs for all texts: those of like length together, each batch padded to its bucket.

        Whoever runs them puts the answers back by `places`.

        Args:
            texts: at least one token each after tokenizing; an empty text has those that stand around it.
            batch_tokens: padded tokens of a batch at most, unless one text has more.

        Raises:
            DataError: as `tokens`, or a text without any token.
        """
        for start in range(0, len(texts), CHUNK):
            chunk = self.tokens(texts[start : start + CHUNK])
            order = sorted(range(len(chunk)), key=lambda place: len(chunk[place].ids))
            by_bucket: dict[int, list[int]] = {}
            for place in order:
                by_bucket.setdefault(bucket_of(len(chunk[place].ids), self.spec.buckets), []).append(place)
            for bucket, places in by_bucket.items():
                size = max(1, batch_tokens // bucket)
                for first in range(0, len(places), size):
                    part = places[first : first + size]
                    rows = [chunk[place].ids for place in part]
                    yield Batch(tuple(start + place for place in part), feeds_of(rows, bucket, self.spec))

    def one(self, text: str) -> tuple[dict[str, Array], bool]:
        """Inputs of one text, and whether it was cut. Raises DataError."""
        found = self.tokens([text])[0]
        return feeds_of([found.ids], bucket_of(len(found.ids), self.spec.buckets), self.spec), found.cut

    def _cut(self, ids: list[int], most: int) -> list[int]:
        if len(ids) <= most:
            return ids
        last = self._end[-1:] if len(self._end) > 1 and ids[-1] == self._end[-1] else []
        return ids[: most - len(last)] + last


def text_words(spec: TextInput, values: int | None) -> str:
    """What an encoder does and how texts reach it, for people."""
    length = "" if values is None else f"{values:,} "
    unit = " of length one" if spec.normalized else ""
    task = f"{length}classes of a text" if spec.kind == CLASSIFICATION else f"embeddings of {length}values{unit}"
    return f"{task}; at most {spec.max_tokens:,} tokens, padded to {', '.join(map(str, spec.buckets))}"


def load_tokenizer(data: bytes) -> Any:
    """The library's tokenizer. Raises MissingExtraError, or DataError when it is too large or none."""
    if len(data) > MAX_TOKENIZER_BYTES:
        raise DataError(
            f"the tokenizer has {len(data)} bytes, the limit is {MAX_TOKENIZER_BYTES}", hint="it is no tokenizer.json"
        )
    try:
        from tokenizers import Tokenizer
    except ImportError as error:
        raise MissingExtraError("tokenizers", "text") from error
    try:
        return Tokenizer.from_buffer(data)
    except ValueError as error:
        raise DataError(f"the tokenizer cannot be read: {error}", hint="give a tokenizer.json") from None


def check_text(text: object, what: str) -> None:
    """Raise DataError when a text is none, is too long, or holds half a surrogate pair."""
    if not isinstance(text, str):
        raise DataError(f"{what} is a {type(text).__name__}, not a text")
    if len(text) > MAX_TEXT_BYTES:
        raise DataError(f"{what} has {len(text)} characters, the limit is {MAX_TEXT_BYTES // MIB} MiB", hint="split it")
    try:
        size = len(text.encode())
    except UnicodeEncodeError as error:
        raise DataError(f"{what} is no Unicode text: {error.reason} at character {error.start}") from None
    if size > MAX_TEXT_BYTES:
        raise DataError(f"{what} has {size} bytes, the limit is {MAX_TEXT_BYTES // MIB} MiB", hint="split it")


def bucket_of(tokens: int, buckets: Sequence[int]) -> int:
    """The smallest bucket that holds so many tokens. Raises DataError for a text without tokens."""
    if tokens < 1:
        raise DataError("a text has no token", hint="give a text that is not empty")
    return next(bucket for bucket in buckets if bucket >= tokens)


def feeds_of(rows: Sequence[Sequence[int]], bucket: int, spec: TextInput) -> dict[str, Array]:
    """Each input's array (n, bucket).

    Args:
        rows: ids of each text, at most `bucket`.
        bucket: length that all are padded to.
        spec: of the encoder.
    """
    ids = np.full((len(rows), bucket), spec.padding, spec.ids.dtype)
    mask = np.zeros(ids.shape, np.int64)
    for place, row in enumerate(rows):
        ids[place, : len(row)] = row
        mask[place, : len(row)] = 1
    feeds = {spec.ids.name: ids}
    if spec.mask is not None:
        feeds[spec.mask.name] = mask.astype(spec.mask.dtype)
    if spec.types is not None:
        feeds[spec.types.name] = np.zeros(ids.shape, spec.types.dtype)
    return feeds


def run_texts(
    reader: TextReader,
    run: Callable[[dict[str, Array]], Array],
    texts: Sequence[str],
    said: Callable[[int], None] = lambda done: None,
    batch_tokens: int = BATCH_TOKENS,
) -> Array:
    """What a model answers to texts, in their order: float32 (n, values).

    Args:
        reader: of the encoder.
        run: feeds -> (n, values).
        texts: at least one.
        said: called with the number of texts that are done.
        batch_tokens: padded tokens of one run at most; 1 runs one text at a time.
    """
    rows: list[Array | None] = [None] * len(texts)
    done = 0
    for batch in reader.batches(texts, batch_tokens):
        for place, row in zip(batch.places, run(batch.feeds), strict=True):
            rows[place] = row
        done += len(batch.places)
        said(done)
    return np.stack([row for row in rows if row is not None]).astype(np.float32)


def choose_buckets(lengths: Sequence[int], max_tokens: int, most: int = 4, step: int = 8) -> tuple[int, ...]:
    """Lengths to pad to, such that texts like these are padded with as few tokens as `most` lengths allow.

    Exact, by dynamic programming over the lengths that occur, rounded up to `step`: the cost of a set of buckets is the
    sum of padded lengths. A bucket more is taken only where it saves GAIN of all tokens: a runtime that plans anew for
    each length, or is compiled for each, pays for every one.

    Args:
        lengths: tokens of the calibration texts, each at least 1.
        max_tokens: the last bucket.
        most: buckets at most.
        step: lengths are multiples of it; kernels work in such blocks.
    """
    rounded = sorted(min(max_tokens, -(-length // step) * step) for length in lengths)
    ends = sorted({*rounded, max_tokens})
    counts = np.searchsorted(np.array(rounded), np.array(ends), side="right")
    best: list[tuple[float, tuple[int, ...]]] = [(float(counts[i] * end), (end,)) for i, end in enumerate(ends)]
    chosen = best[-1]
    for _ in range(most - 1):
        best = [
            min(
                [(best[j][0] + float((counts[i] - counts[j]) * end), (*best[j][1], end)) for j in range(i)],
                default=best[i],
            )
            for i, end in enumerate(ends)
        ]
        if best[-1][0] < chosen[0] - GAIN * sum(rounded):
            chosen = best[-1]
    return chosen[1]
