"""How fast a language model reads and writes on this machine, and how much memory it takes, by context."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from shoestring.base.errors import EngineError, UsageError
from shoestring.domain.cost import TokenRate
from shoestring.runtimes.llamacpp.asking import Options
from shoestring.runtimes.llamacpp.scorer import Scorer
from shoestring.runtimes.llamacpp.writer import LIMITS, Writer

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from shoestring.runtimes.guarded import Limits

PROMPT_TOKENS, WRITTEN_TOKENS, ROUNDS = 256, 32, 7
READ_BATCH = 512
"""As writers read prompts, unlike scorers, which need the logits of every token."""
LOW, HIGH = 10, 90
"""Percentiles that are told beside the median."""
ALIKE = 1.02
"""Two medians closer than this are taken for the same, and fewer threads are chosen: they leave a core for others."""


@dataclass
class _Times:
    """Of one model at one thread count.

    Args:
        read: tokens a second of each prompt.
        written: tokens a second of each answer.
    """

    read: list[float] = field(default_factory=list)
    written: list[float] = field(default_factory=list)


def measure_rates(
    models: Sequence[Path],
    *,
    threads: Sequence[int],
    prompt_tokens: int = PROMPT_TOKENS,
    written_tokens: int = WRITTEN_TOKENS,
    rounds: int = ROUNDS,
    limits: Limits = LIMITS,
    tell: Callable[[int], None] | None = None,
) -> list[tuple[TokenRate, ...]]:
    """Time models against each other: in every round each takes its turn at each thread count, in an order that turns.

    What is timed is the bare engine: nothing is sampled and nothing travels. One round ahead of the others warms up and
    is left out.

    Args:
        models: GGUF files.
        threads: counts, each for reading and for writing.
        prompt_tokens: of the prompt.
        written_tokens: after it.
        rounds: that count, at least 1.
        limits: of each process.
        tell: called with the number of rounds done.

    Returns:
        For each model the rates at each thread count, in the orders given.

    Raises:
        UsageError: a number that makes no sense.
        ModelError, EngineError: as of `Scorer`.
    """
    if min(prompt_tokens, written_tokens, rounds, *threads) < 1 or not threads:
        raise UsageError("prompt, answer, rounds and threads must be at least 1")
    places = [(place, count) for place in range(len(models)) for count in threads]
    times = {place: _Times() for place in places}
    context = prompt_tokens + written_tokens
    with ExitStack() as stack:
        scorers = [
            stack.enter_context(Scorer(model, context=context, batch=min(READ_BATCH, context), limits=limits))
            for model in models
        ]
        for number in range(rounds + 1):
            turn = number % len(places)
            for place in [*places[turn:], *places[:turn]]:
                read_s, written_s = scorers[place[0]].rate(
                    spread_tokens(prompt_tokens, scorers[place[0]].about.vocabulary),
                    written_tokens,
                    threads=place[1],
                    prefill_threads=place[1],
                )
                if number:
                    times[place].read.append(prompt_tokens / read_s)
                    times[place].written.append(written_tokens / sum(written_s))
            if tell is not None:
                tell(number)
    return [
        tuple(_rate(count, prompt_tokens, times[place, count]) for count in threads) for place in range(len(models))
    ]


def best_threads(rates: Sequence[TokenRate]) -> tuple[int, int]:
    """Threads that write fastest, and threads that read fastest; the fewest among those that are as fast.

    Args:
        rates: of one model, at least one.
    """
    if not rates:
        raise UsageError("there are no rates to choose from")

    def fewest(speed: Callable[[TokenRate], float]) -> int:
        best = max(map(speed, rates))
        return min(rate.threads for rate in rates if speed(rate) * ALIKE >= best)

    return fewest(lambda rate: rate.decode_per_s), fewest(lambda rate: rate.prefill_per_s)


def measure_memory(
    model: Path,
    contexts: Sequence[int],
    *,
    threads: int = 1,
    prefill_threads: int | None = None,
    slots: int = 1,
    cache_type: str = "f16",
    prompt_tokens: int | None = None,
    limits: Limits = LIMITS,
) -> tuple[tuple[int, int], ...]:
    """Peak resident memory of a fresh process that serves the model, after a prompt has filled its context.

    llama.cpp takes and clears the cache of the whole context when it loads, and buffers for as many tokens as it reads
    in one step, so a prompt of READ_BATCH tokens and one finds nearly all of it in a fraction of the time.

    Args:
        model: a GGUF file.
        contexts: tokens, each at least 2.
        threads, prefill_threads, slots, cache_type, limits: as of `Writer`; one slot is filled.
        prompt_tokens: at most so many are read; None: the whole context.

    Returns:
        (tokens of context, bytes) by rising context; Python and the runtime are in them.

    Raises:
        EngineError: the system does not tell.
    """
    found = []
    for context in sorted(set(contexts)):
        if context < 2:
            raise UsageError(f"a context of {context} tokens holds no prompt and answer", hint="take at least 2")
        with Writer(
            model,
            context=context,
            threads=threads,
            prefill_threads=prefill_threads,
            slots=slots,
            cache_type=cache_type,
            limits=limits,
        ) as writer:
            if writer.context < context:
                raise UsageError(
                    f"a context of {context} tokens was asked for, and {model.name} has at most {writer.context}",
                    hint="measure what it was trained for at most",
                )
            prompt = writer.tokenize("a b c d e f g h ")
            length = context - 1 if prompt_tokens is None else min(prompt_tokens, context - 1)
            filled = (prompt * (length // len(prompt) + 1))[:length]
            for _ in writer.complete(filled, Options(temperature=0, max_tokens=1)):
                pass
            peak = writer.peak_rss_bytes()
        if peak is None:
            raise EngineError("the system does not tell how much memory a process takes", hint="measure on Linux")
        found.append((context, peak))
    return tuple(found)


def spread_tokens(count: int, vocabulary: int) -> list[int]:
    """Tokens from all over a vocabulary, the same each time; what they mean changes no rate.

    Args:
        count: how many.
        vocabulary: tokens.
    """
    return [int(token) for token in np.random.default_rng(0).integers(0, vocabulary, count)]


def _rate(threads: int, prompt_tokens: int, times: _Times) -> TokenRate:
    read, written = np.array(times.read), np.array(times.written)
    return TokenRate(
        threads=threads,
        prompt_tokens=prompt_tokens,
        prefill_per_s=float(np.median(read)),
        prefill_low=float(np.percentile(read, LOW)),
        prefill_high=float(np.percentile(read, HIGH)),
        decode_per_s=float(np.median(written)),
        decode_low=float(np.percentile(written, LOW)),
        decode_high=float(np.percentile(written, HIGH)),
        runs=len(times.read),
    )


__all__ = [
    "PROMPT_TOKENS",
    "ROUNDS",
    "WRITTEN_TOKENS",
    "best_threads",
    "measure_memory",
    "measure_rates",
    "spread_tokens",
]
