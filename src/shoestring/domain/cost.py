"""What running a candidate takes: measured, or predicted for a chip that is not at hand."""

from __future__ import annotations

from dataclasses import dataclass, field

from shoestring.base.canonical import WHEN_SET


@dataclass(frozen=True)
class Timing:
    """Latency of one example (batch 1) at a thread count.

    Of an estimate (see `Cost.predicted`) the median is the predicted one, the two others are the ends of its interval,
    likewise the ratios, and there are no runs.

    Args:
        threads: of the runtime.
        median_ms: over all timed runs.
        low_ms: 10th percentile.
        high_ms: 90th percentile.
        runs: timed runs, warm-up left out; 0 of an estimate.
        ratio_to_original: median over interleaved rounds of (this / the original); its own spread is in the two next.
        ratio_low: 10th percentile of that ratio over rounds.
        ratio_high: 90th percentile.
    """

    threads: int
    median_ms: float
    low_ms: float
    high_ms: float
    runs: int
    ratio_to_original: float
    ratio_low: float
    ratio_high: float


@dataclass(frozen=True)
class Predicted:
    """What an estimated cost rests on.

    Args:
        chip: it is an estimate for, as the catalogue or a chip file names it.
        ground: of the latency, one of `domain.estimate.GROUNDS`; `measured` where somebody measured this model there.
        rests_on: in words, the weightiest first.
        widened: why the intervals are wider than the ground's own; empty when they are not.
        confidence: of the intervals.
        memory_low_bytes: lower end of the interval of peak memory.
        memory_high_bytes: upper end.
    """

    chip: str
    ground: str
    rests_on: tuple[str, ...]
    widened: tuple[str, ...]
    confidence: float
    memory_low_bytes: int
    memory_high_bytes: int


@dataclass(frozen=True)
class TokenRate:
    """How fast a model reads and writes text at a thread count; of an estimate there are no runs.

    Args:
        threads: of the runtime.
        prompt_tokens: of the prompt that was read.
        prefill_per_s: tokens of the prompt a second, median.
        prefill_low: 10th percentile, or the lower end of an estimate's interval.
        prefill_high: 90th percentile, or the upper end.
        decode_per_s: tokens written a second after that prompt, median.
        decode_low: as prefill_low.
        decode_high: as prefill_high.
        runs: timed.
    """

    threads: int
    prompt_tokens: int
    prefill_per_s: float
    prefill_low: float
    prefill_high: float
    decode_per_s: float
    decode_low: float
    decode_high: float
    runs: int


@dataclass(frozen=True)
class TokenCost:
    """What a model that writes text costs beyond `Cost`, whose latency is that of one token written.

    Args:
        rates: one for each thread count of the timings, in their order.
        memory: (tokens of context, peak resident bytes), by rising context.
    """

    rates: tuple[TokenRate, ...]
    memory: tuple[tuple[int, int], ...]


@dataclass(frozen=True)
class Cost:
    """Measured on one machine, or predicted for a chip.

    Args:
        timings: one for each thread count.
        peak_rss_bytes: of a fresh process that loads the model and runs it; includes Python and the runtime.
        size_bytes: of the stored model file.
        predicted: what the timings and the memory rest on when they are estimates; None: they were measured.
        tokens: of a model that writes text; None of any other.
    """

    timings: tuple[Timing, ...]
    peak_rss_bytes: int
    size_bytes: int
    predicted: Predicted | None = field(default=None, metadata=WHEN_SET)
    tokens: TokenCost | None = field(default=None, metadata=WHEN_SET)

    def at(self, threads: int | None) -> Timing:
        """The timing at `threads`, or the fastest one when None. Raises KeyError for a count not measured."""
        if threads is None:
            return min(self.timings, key=lambda timing: timing.median_ms)
        for timing in self.timings:
            if timing.threads == threads:
                return timing
        raise KeyError(threads)


@dataclass(frozen=True)
class Machine:
    """Where something was measured.

    Args:
        name: of the processor.
        isa: instruction sets that decide speed and integer results, sorted: `avx2`, `avx512_vnni`, `asimddp`.
        cores: usable by this process.
        memory_bytes: installed.
        system: operating system and C library.
    """

    name: str
    arch: str
    isa: tuple[str, ...]
    cores: int
    memory_bytes: int
    system: str
