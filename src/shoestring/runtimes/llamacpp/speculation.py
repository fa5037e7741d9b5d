"""Speculation: something cheap writes ahead, and the model checks several tokens at once. On where it measures faster.

Leviathan, Kalman and Matias, "Fast Inference from Transformers via Speculative Decoding" (ICML 2023): an answer is
distributed as without it. At temperature 0 it is the same text, but for rounding: several tokens are computed by other
kernels than one, and a tie may break the other way. A kind that changed a text is not chosen.
"""

from __future__ import annotations

import math
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from shoestring.base.errors import DataError
from shoestring.runtimes.llamacpp.asking import Options
from shoestring.runtimes.llamacpp.writer import LIMITS, Writer
from shoestring.runtimes.llamacpp.writer_child import DRAFT, NGRAM_KINDS

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from shoestring.runtimes.guarded import Limits

WRITTEN_TOKENS, ROUNDS = 96, 3
CONFIDENCE = 0.95
"""That none of the kinds that are tried is called faster by chance: their intervals are wider by Bonferroni's rule."""
RESAMPLES = 4000
MIN_PROMPTS = 5
"""With fewer pairs a bootstrap's interval means little."""


@dataclass(frozen=True)
class Gain:
    """How much faster a kind of speculation writes.

    Args:
        kind: of speculation.
        ratio: geometric mean over prompts of (time without / time with) a token; above 1 is faster.
        low: lower end of its interval, a paired bootstrap over prompts.
        high: upper end.
        confidence: of the interval.
        prompts: that were answered both ways.
        unchanged: of them, whose answer at temperature 0 was the same text.
        drafted: tokens proposed.
        accepted: of them, taken.
    """

    kind: str
    ratio: float
    low: float
    high: float
    confidence: float
    prompts: int
    unchanged: int
    drafted: int
    accepted: int

    @property
    def pays(self) -> bool:
        """Whether it is surely faster, by guesses that came true, and changes nothing."""
        return self.low > 1 and self.accepted > 0 and self.unchanged == self.prompts


@dataclass
class _Answer:
    """One answer, by one kind.

    Args:
        text: all of it.
        token_s: seconds for each token, the smallest over rounds.
        drafted: see `Gain`.
        accepted: see `Gain`.
    """

    text: str
    token_s: float
    drafted: int
    accepted: int


def faster_with(
    model: Path,
    prompts: Sequence[str],
    kinds: Sequence[str] = NGRAM_KINDS,
    *,
    draft: Path | None = None,
    chat: bool = False,
    context: int = 2048,
    threads: int = 1,
    prefill_threads: int | None = None,
    ahead: int = 4,
    match: int = 3,
    written_tokens: int = WRITTEN_TOKENS,
    rounds: int = ROUNDS,
    seed: int = 0,
    limits: Limits = LIMITS,
    tell: Callable[[int], None] | None = None,
) -> tuple[Gain, ...]:
    """Measure kinds of speculation against writing without, on the user's own prompts.

    All are loaded at the same time and answer each prompt in turn.

    Args:
        model: a GGUF file.
        prompts: texts as they will be asked.
        kinds: to try; `draft` is added where `draft` is given.
        draft: a small GGUF file of the same vocabulary.
        chat: whether a prompt is a message of a user; else a text to go on with.
        context, threads, prefill_threads, ahead, match, limits: as of `Writer`.
        written_tokens: of each answer at most.
        rounds: over all prompts; the fastest of a prompt's rounds counts, since what disturbs only slows.
        seed: of the bootstrap.
        tell: called with the number of answers written.

    Raises:
        DataError: fewer than MIN_PROMPTS prompts, or too few answers of two tokens and more.
    """
    if len(prompts) < MIN_PROMPTS:
        raise DataError(
            f"{len(prompts)} prompts are too few to tell what is faster", hint=f"give {MIN_PROMPTS} or more"
        )
    tried = [None, *kinds, *([DRAFT] if draft is not None else [])]
    options = Options(temperature=0, max_tokens=written_tokens, cache=False)
    answers: dict[tuple[str | None, int], _Answer] = {}
    written = 0
    with ExitStack() as stack:
        writers = [
            stack.enter_context(
                Writer(
                    model,
                    context=context,
                    threads=threads,
                    prefill_threads=prefill_threads,
                    speculation=kind,
                    ahead=ahead,
                    match=match,
                    draft=draft if kind == DRAFT else None,
                    limits=limits,
                )
            )
            for kind in tried
        ]
        for number in range(rounds):
            for place, prompt in enumerate(prompts):
                for turn in range(len(tried)):
                    which = (turn + place + number) % len(tried)
                    answer = _answered(writers[which], prompt, chat, options)
                    _keep(answers, (tried[which], place), answer)
                    written += 1
                    if tell is not None:
                        tell(written)
    confidence = 1 - (1 - CONFIDENCE) / (len(tried) - 1)
    return tuple(_gain(kind, answers, len(prompts), confidence, seed) for kind in tried if kind is not None)


def chosen(gains: Sequence[Gain]) -> Gain | None:
    """The one that is faster by most, of those that pay; None where none does."""
    return max((gain for gain in gains if gain.pays), key=lambda gain: gain.ratio, default=None)


def _answered(writer: Writer, prompt: str, chat: bool, options: Options) -> _Answer | None:
    stream = writer.chat([{"role": "user", "content": prompt}], options) if chat else writer.complete(prompt, options)
    pieces = list(stream)
    usage = pieces[-1].usage
    # The first token comes out of reading the prompt: what is timed are those after it.
    if usage is None or usage.written_s is None or usage.written_tokens < 2:
        return None
    text = "".join(piece.text for piece in pieces)
    token_s = usage.written_s / (usage.written_tokens - 1)
    return _Answer(text, token_s, usage.drafted_tokens, usage.accepted_tokens)


def _keep(answers: dict[tuple[str | None, int], _Answer], key: tuple[str | None, int], answer: _Answer | None) -> None:
    if answer is None:
        return
    before = answers.get(key)
    if before is not None:
        answer.token_s = min(answer.token_s, before.token_s)
    answers[key] = answer


def _gain(
    kind: str, answers: dict[tuple[str | None, int], _Answer], prompts: int, confidence: float, seed: int
) -> Gain:
    both = [place for place in range(prompts) if (kind, place) in answers and (None, place) in answers]
    if len(both) < MIN_PROMPTS:
        raise DataError(
            f"only {len(both)} of {prompts} prompts were answered with two tokens or more",
            hint="give prompts that the model has more to say to",
        )
    pairs = [(answers[None, place], answers[kind, place]) for place in both]
    logs = np.array([math.log(without.token_s / within.token_s) for without, within in pairs])
    low, high = bootstrap(logs, confidence, seed)
    return Gain(
        kind,
        math.exp(float(logs.mean())),
        math.exp(low),
        math.exp(high),
        confidence,
        len(both),
        sum(without.text == within.text for without, within in pairs),
        sum(within.drafted for _, within in pairs),
        sum(within.accepted for _, within in pairs),
    )


def bootstrap(values: np.ndarray, confidence: float, seed: int) -> tuple[float, float]:
    """Percentile interval of the mean (Efron and Tibshirani 1993, chapter 13).

    Args:
        values: (n,), n at least 1.
        confidence: 0 to 1.
        seed: of the draws.
    """
    drawn = np.random.default_rng(seed).integers(0, len(values), (RESAMPLES, len(values)))
    means = values[drawn].mean(axis=1)
    low, high = np.quantile(means, [(1 - confidence) / 2, (1 + confidence) / 2])
    return float(low), float(high)


__all__ = ["Gain", "bootstrap", "chosen", "faster_with"]
