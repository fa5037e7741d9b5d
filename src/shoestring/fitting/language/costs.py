"""What each candidate costs: measured here, side by side, or predicted for another chip."""

from __future__ import annotations

import contextlib
import statistics
from collections.abc import Sequence
from typing import TYPE_CHECKING

from shoestring.base.canonical import digest
from shoestring.base.resident import available_bytes
from shoestring.domain.cost import Cost, Timing, TokenCost, TokenRate
from shoestring.runtimes.llamacpp.measure import READ_BATCH, measure_memory
from shoestring.runtimes.llamacpp.scorer import Scorer

if TYPE_CHECKING:
    from pathlib import Path

    from shoestring.domain.budget import Budget
    from shoestring.fitting.language.bench import Bench, Written

PROMPT_TOKENS, WRITTEN_TOKENS = 64, 24
"""Of one timed answer: as long as a question and a sentence; a longer one changes the rates by a few per cent."""
ROUNDS = 5  # all candidates take turns in each, so that whatever else the machine does falls on all alike
SHORT_CONTEXT = 512
"""Tokens that memory is measured at beside the whole context: between the two it grows evenly."""
MANY = 0.5  # of the memory that is free: what all candidates together may take while they take turns


def thread_counts(cores: int, budget: Budget) -> tuple[int, ...]:
    """Counts that costs are taken at: the budget's, or one and all."""
    return (budget.threads,) if budget.threads is not None else tuple(sorted({1, cores}))


def contexts_to(context: int) -> tuple[int, ...]:
    """Lengths that memory is measured at, the longest last."""
    return (SHORT_CONTEXT, context) if context > SHORT_CONTEXT else (context,)


def measure_all(bench: Bench, written: Sequence[Written], budget: Budget) -> dict[str, Cost]:
    """Costs on this machine, by candidate name; kept. The first candidate is what ratios are taken to.

    Raises:
        EngineFaultError: a candidate cannot be run.
    """
    threads = thread_counts(bench.machine.cores, budget)
    question = {
        "files": [one.sha256 for one in written],
        "machine": bench.machine,
        "engine": bench.engine,
        "threads": threads,
        "context": bench.context,
        "prompt": digest(prompt_of(bench)),
        "written": WRITTEN_TOKENS,
        "rounds": ROUNDS,
    }
    return bench.cache.noun("writer-costs", question, dict[str, Cost], lambda: _measure(bench, written, threads))


def describe(count: int, threads: Sequence[int]) -> str:
    """How costs were measured, for the evidence."""
    return (
        f"{count} files took turns in {ROUNDS} rounds after one that did not count, at {', '.join(map(str, threads))} "
        f"thread(s): a prompt of {PROMPT_TOKENS} tokens read, {WRITTEN_TOKENS} tokens written, nothing sampled; memory "
        "is the peak of a fresh process that serves it with a context of that length"
    )


def prompt_of(bench: Bench) -> tuple[int, ...]:
    """Tokens that are read when rates are measured: the selection split's first ones."""
    tokens = [token for run in bench.split("selection").runs for token in run]
    return tuple(tokens[:PROMPT_TOKENS])


def _measure(bench: Bench, written: Sequence[Written], threads: Sequence[int]) -> dict[str, Cost]:
    times: dict[tuple[str, int], list[tuple[float, list[float]]]] = {}
    free = available_bytes()
    total = sum(one.size_bytes for one in written)
    together = free is None or total < MANY * free
    with contextlib.ExitStack() as stack:
        open_ = {one.name: stack.enter_context(_scorer(one.path)) for one in written} if together else {}
        for turn in range(ROUNDS + 1):
            for number, one in enumerate(written):
                bench.progress(f"measuring, round {turn} of {ROUNDS}", number, len(written))
                with contextlib.nullcontext(open_[one.name]) if together else _scorer(one.path) as scorer:
                    for count in threads:
                        found = scorer.rate(prompt_of(bench), WRITTEN_TOKENS, threads=count, prefill_threads=count)
                        if turn:
                            times.setdefault((one.name, count), []).append(found)
    memory = {one.name: _memory(bench, one, max(threads)) for one in written}
    first = written[0].name
    return {
        one.name: _cost(
            one, [(count, times[one.name, count], times[first, count]) for count in threads], memory[one.name]
        )
        for one in written
    }


def _scorer(path: Path) -> Scorer:
    return Scorer(path, context=2 * (PROMPT_TOKENS + WRITTEN_TOKENS), batch=PROMPT_TOKENS)


def _memory(bench: Bench, one: Written, threads: int) -> tuple[tuple[int, int], ...]:
    bench.progress(f"measuring the memory of {one.name}", 0, 0)
    return measure_memory(one.path, contexts_to(bench.context), threads=threads, prompt_tokens=READ_BATCH + 1)


def _cost(
    one: Written,
    timed: Sequence[tuple[int, list[tuple[float, list[float]]], list[tuple[float, list[float]]]]],
    memory: tuple[tuple[int, int], ...],
) -> Cost:
    timings, rates = [], []
    for threads, own, first in timed:
        per_token = [1000 * statistics.fmean(steps) for _, steps in own]
        ratios = [
            statistics.fmean(steps) / statistics.fmean(others)
            for (_, steps), (_, others) in zip(own, first, strict=True)
        ]
        reads = [PROMPT_TOKENS / seconds for seconds, _ in own]
        writes = [1000 / milliseconds for milliseconds in per_token]
        timings.append(Timing(threads, *_middle_first(per_token), len(own), *_middle_first(ratios)))
        rates.append(TokenRate(threads, PROMPT_TOKENS, *_middle_first(reads), *_middle_first(writes), len(own)))
    return Cost(tuple(timings), memory[-1][1], one.size_bytes, tokens=TokenCost(tuple(rates), memory))


def _middle_first(values: Sequence[float]) -> tuple[float, float, float]:
    """Median, 10th and 90th percentile."""
    ordered = sorted(values)
    last = len(ordered) - 1

    def at(share: float) -> float:
        place = share * last
        low = int(place)
        high = min(last, low + 1)
        return ordered[low] + (place - low) * (ordered[high] - ordered[low])

    return at(0.5), at(0.1), at(0.9)
