"""What our process around llama.cpp costs, what speculation gains, and how much memory a context takes.

    python benchmarks/llm_runtimes.py                 # the tables of docs/llm-runtimes.md
    python benchmarks/llm_runtimes.py --only overhead --threads 1 2

Contestants take turns in every round; figures are medians with the 10th and 90th percentile.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from pathlib import Path

import numpy as np

from language_material import news, smollm2
from shoestring.runtimes.llamacpp.asking import Options
from shoestring.runtimes.llamacpp.measure import best_threads, measure_memory, measure_rates
from shoestring.runtimes.llamacpp.scorer import Scorer
from shoestring.runtimes.llamacpp.speculation import chosen, faster_with
from shoestring.runtimes.llamacpp.writer import Writer

PARTS = ("overhead", "threads", "memory", "speculation")
QUESTIONS = (
    "Write the numbers from 1 to 40, each on a line of its own.",
    "Write the days of the week as a JSON list of objects with name and number.",
    "Repeat this sentence five times: the quick brown fox jumps over the lazy dog.",
    "Write a Python function that returns the factorial of a number, and three calls of it.",
    "Write a table of the planets with a line for each.",
    "List ten animals, and for each the sentence: this animal lives on the earth.",
)


def spread(values: list[float], form: str = ".1f") -> str:
    """Median and percentiles in one cell."""
    low, high = np.percentile(values, [10, 90])
    return f"{statistics.median(values):{form}} ({low:{form}} to {high:{form}})"


def overhead(model: Path, threads: int, rounds: int, prompt_tokens: int, written: int) -> None:
    """Our writer beside the bare engine, on the same tokens."""
    bare: list[float] = []
    ours: list[float] = []
    ratios: list[float] = []
    first_ms: list[float] = []
    with (
        Scorer(model, context=2048, batch=512, threads=threads) as scorer,
        Writer(model, context=2048, threads=threads) as writer,
    ):
        text = next(path for path in sorted(news().rglob("*.txt"))).read_text(errors="replace")
        tokens = (scorer.tokenize([text * 8])[0])[:prompt_tokens]
        options = Options(temperature=0, max_tokens=written, cache=False)
        for number in range(rounds + 1):
            order = (0, 1) if number % 2 else (1, 0)
            for turn in order:
                if turn == 0:
                    one = (written - 1) / sum(scorer.rate(tokens, written - 1)[1])
                else:
                    two, between = streamed(writer, tokens, options)
            if number:
                bare.append(one)
                ours.append(two)
                ratios.append(two / one)
                first_ms.append(1000 * between)
    print(f"| {threads} | {spread(bare)} | {spread(ours)} | {spread(ratios, '.3f')} | {spread(first_ms)} |")


def streamed(writer: Writer, tokens: list[int], options: Options) -> tuple[float, float]:
    """Tokens a second as the reader sees them; and seconds between the engine's own time for the prompt and ours."""
    start = time.perf_counter()
    times: list[float] = []
    usage = None
    for piece in writer.complete(tokens, options):
        if piece.text:
            times.append(time.perf_counter())
        usage = piece.usage or usage
    if usage is None or usage.read_s is None or usage.written_tokens < options.max_tokens:  # type: ignore[operator]
        sys.exit("the model ended its answer early; take another prompt")
    # Several tokens may make one piece, so tokens are counted by the engine and time by the reader.
    return (usage.written_tokens - 1) / (times[-1] - times[0]), times[0] - start - usage.read_s


def main() -> None:
    """Print the tables that were asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path)
    parser.add_argument("--only", choices=PARTS, action="append")
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--prompt-tokens", type=int, default=128)
    parser.add_argument("--written", type=int, default=64)
    parser.add_argument("--contexts", type=int, nargs="+", default=[512, 1024, 2048, 4096, 8192])
    parser.add_argument("--cache-types", nargs="+", default=["f16", "q8_0"])
    told = parser.parse_args()
    model = told.model or smollm2()
    wanted = told.only or PARTS
    if "overhead" in wanted:
        print(
            "| threads | bare engine, tokens/s | through our process | ratio | first token, ms over the engine's own |"
        )
        print("|---|---|---|---|---|")
        for threads in told.threads:
            overhead(model, threads, told.rounds, told.prompt_tokens, told.written)
    if "threads" in wanted:
        print("\n| threads | reads, tokens/s | writes, tokens/s |\n|---|---|---|")
        (rates,) = measure_rates([model], threads=told.threads, rounds=told.rounds, prompt_tokens=told.prompt_tokens)
        for rate in rates:
            reads = f"{rate.prefill_per_s:.0f} ({rate.prefill_low:.0f} to {rate.prefill_high:.0f})"
            writes = f"{rate.decode_per_s:.1f} ({rate.decode_low:.1f} to {rate.decode_high:.1f})"
            print(f"| {rate.threads} | {reads} | {writes} |")
        print("\nbest: {} to write, {} to read".format(*best_threads(rates)))
    if "memory" in wanted:
        print(f"\n| context | {' | '.join(told.cache_types)} |\n|---|{'---|' * len(told.cache_types)}")
        columns = [
            dict(measure_memory(model, told.contexts, threads=max(told.threads), cache_type=kind))
            for kind in told.cache_types
        ]
        for context in sorted(told.contexts):
            print(f"| {context:,} | {' | '.join(f'{column[context] / 1e6:.1f} MB' for column in columns)} |")
    if "speculation" in wanted:
        print("\n| speculation | times as fast | interval | tokens proposed | taken | answers unchanged |")
        print("|---|---|---|---|---|---|")
        gains = faster_with(model, QUESTIONS, chat=True, threads=min(told.threads))
        for gain in gains:
            interval = f"{gain.low:.2f} to {gain.high:.2f}"
            same = f"{gain.unchanged} of {gain.prompts}"
            print(f"| {gain.kind} | {gain.ratio:.2f} | {interval} | {gain.drafted} | {gain.accepted} | {same} |")
        best = chosen(gains)
        print(f"\nchosen: {'none' if best is None else best.kind}")


if __name__ == "__main__":
    main()
