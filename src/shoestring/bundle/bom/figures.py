"""The figures of a rung as the bill of materials tells them: one list, written by the maker, held by the reader."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from shoestring.domain.evidence import Evidence

if TYPE_CHECKING:
    from shoestring.domain.cascade import Cascade
    from shoestring.domain.cost import Cost
    from shoestring.domain.divergence import Divergence, KlCertificate
    from shoestring.domain.ladder import Candidate, Rung
    from shoestring.domain.score import Certificate, Score


@dataclass(frozen=True)
class Figure:
    """One performance metric.

    Args:
        kind: what it is, with its unit.
        value: the figure.
        slice: of which data or setting, in words.
        low, high: ends of its interval; None where it has none.
    """

    kind: str
    value: float
    slice: str
    low: float | None = None
    high: float | None = None


def rung_figures(rung: Rung) -> tuple[Figure, ...]:
    """Scores, certificate and cost of one rung."""
    candidate = rung.candidate
    found = [figure for score in candidate.scores for figure in _scored(score)]
    if candidate.divergence is not None:
        found += _diverged(candidate.divergence)
    if rung.certificate is not None:
        found += _certified(rung.certificate)
    if rung.kl_certificate is not None:
        found += _certified_kl(rung.kl_certificate)
    return (*found, *_cost(candidate))


def cascade_figures(cascade: Cascade) -> tuple[Figure, ...]:
    """Of the whole of a cascade."""
    mean = Figure("latency, mean, ms", cascade.expected_ms, "selection split, stages one after the other")
    worst = Figure("latency, worst, ms", cascade.worst_ms, "an image that passes every stage")
    return (*_certified(cascade.certificate), mean, worst)


def number(value: float) -> str:
    """A figure as text: every digit that it has, so that nothing is lost between the manifest and the bill."""
    return repr(value)


def _scored(score: Score) -> list[Figure]:
    where = f"{score.split} split, {score.paired.n} images"
    sure = f"{where}, against the original, interval at confidence {number(score.confidence)}"
    return [
        Figure(score.metric, score.value, where),
        Figure(f"{score.metric} of the original", score.original, where),
        Figure(f"{score.metric} drop", score.paired.drop, sure, score.drop_low, score.drop_high),
    ]


def _certified(given: Certificate) -> list[Figure]:
    where = f"certification split, {given.paired.n} images, confidence {number(given.confidence)}; {given.method}"
    return [
        Figure(f"{given.metric} drop, certified at most", given.max_drop, where),
        Figure(f"{given.metric} drop, observed", given.paired.drop, f"certification split, {given.paired.n} images"),
    ]


def _diverged(found: Divergence) -> list[Figure]:
    where = f"{found.split} split, {found.blocks} blocks, {found.tokens} tokens"
    sure = f"{where}, interval at confidence {number(found.confidence)}"
    ratio = found.perplexity / found.original_perplexity
    return [
        Figure("KL to the original, nats a token", found.kl, sure, found.kl_low, found.kl_high),
        Figure(
            "agreement on the likeliest next token",
            found.agreement,
            sure,
            found.agreement_low,
            found.agreement_high,
        ),
        Figure("perplexity", found.perplexity, where),
        Figure("perplexity of the original", found.original_perplexity, where),
        # Ends that leave out the ratio itself by a rounding step would be no interval.
        Figure("perplexity ratio", ratio, sure, min(ratio, found.ratio_low), max(ratio, found.ratio_high)),
    ]


def _certified_kl(given: KlCertificate) -> list[Figure]:
    split = f"certification split, {given.blocks} blocks"
    where = f"{split} each counted up to {number(given.cap)}, confidence {number(given.confidence)}; {given.method}"
    return [
        Figure("KL to the original, certified at most, nats", given.max_kl, where),
        Figure("KL to the original, mean of capped blocks, nats", given.mean, split),
    ]


def _tokens(cost: Cost) -> list[Figure]:
    """How fast text is read and written, and memory by context."""
    found = []
    for rate in cost.tokens.rates if cost.tokens is not None else ():
        where = f"{rate.threads} thread(s), after {rate.prompt_tokens} tokens; {_ground(cost)}"
        found.append(Figure("prompt read, tokens/s", rate.prefill_per_s, where, rate.prefill_low, rate.prefill_high))
        found.append(Figure("text written, tokens/s", rate.decode_per_s, where, rate.decode_low, rate.decode_high))
    for context, size in cost.tokens.memory if cost.tokens is not None else ():
        found.append(Figure(f"peak memory at {context} tokens, bytes", size, _ground(cost)))
    return found


def _cost(candidate: Candidate) -> list[Figure]:
    cost, found = candidate.cost, []
    for timing in cost.timings:
        where = f"{timing.threads} thread(s), one example; {_ground(cost)}"
        if cost.predicted is None:
            found.append(Figure("latency, median, ms", timing.median_ms, f"{where}, {timing.runs} runs"))
            found.append(Figure("latency, 10th percentile, ms", timing.low_ms, where))
            found.append(Figure("latency, 90th percentile, ms", timing.high_ms, where))
        else:
            found.append(Figure("latency, median, ms", timing.median_ms, where, timing.low_ms, timing.high_ms))
    low = high = None
    if cost.predicted is not None:
        low, high = cost.predicted.memory_low_bytes, cost.predicted.memory_high_bytes
    found.append(Figure("peak memory, bytes", cost.peak_rss_bytes, _ground(cost), low, high))
    return [*found, *_tokens(cost), Figure("size, bytes", cost.size_bytes, "the model's file")]


def _ground(cost: Cost) -> str:
    if cost.predicted is None:
        return "measured"
    return f"estimated for {cost.predicted.chip}, interval at confidence {number(cost.predicted.confidence)}"


def machine_words(evidence: Evidence) -> str:
    """Where costs were measured, in words: the processor and what it can, nothing that names a person or a place."""
    machine = evidence.measured_on or evidence.machine
    return f"{machine.name}, {machine.arch}, {' '.join(machine.isa)}, {machine.cores} cores, {machine.system}"


__all__ = ["Figure", "cascade_figures", "machine_words", "number", "rung_figures"]
