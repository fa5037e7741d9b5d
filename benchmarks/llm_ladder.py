"""Time to a full ladder of five rungs of SmolLM2-135M on the BBC news, step by step, and the ladder itself.

    python benchmarks/llm_ladder.py [--max-kl 0.1] [--threads N] [--out chat.shoe]

The goal is under ten minutes on two quiet cores, from an empty cache. All of it is the product's own `shoestring fit`.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

from language_material import news, smollm2
from shoestring.base.errors import BudgetError
from shoestring.base.units import format_bytes
from shoestring.domain.budget import Budget
from shoestring.fitting.language.fit import fit_language

GOAL_S = 600.0
STEPS = (
    ("finding", "finding what each tensor's rounding costs"),
    ("rounding", "rounding the mixes"),
    ("measuring", "measuring rates and memory"),
    ("unpacking", "unpacking the original's weights"),
    ("scoring", "scoring against the original"),
    ("golden", "golden answers"),
    ("writing", "writing the bundle"),
)


class Clock:
    """Seconds by step, from what progress tells."""

    def __init__(self) -> None:
        self.spent: dict[str, float] = {}
        self._now, self._at = "reading header and texts", time.monotonic()

    def __call__(self, what: str, done: int, total: int) -> None:
        name = next((words for begins, words in STEPS if what.startswith(begins)), "reading header and texts")
        moment = time.monotonic()
        self.spent[self._now] = self.spent.get(self._now, 0.0) + moment - self._at
        if name != self._now:
            print(f"  {what}", file=sys.stderr, flush=True)
        self._now, self._at = name, moment


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--max-kl", type=float, default=0.1)
    parser.add_argument("--threads", type=int)
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    clock, start = Clock(), time.monotonic()
    with tempfile.TemporaryDirectory() as scratch:
        try:
            fitted = fit_language(
                smollm2(),
                news(),
                out=arguments.out or Path(scratch) / "chat.shoe",
                budget=Budget(max_kl=arguments.max_kl, threads=arguments.threads),
                cache=Path(scratch) / "cache",
                progress=clock,
            )
        except BudgetError as error:
            print(f"{error.message}\n{error.hint}")
            for row in error.rows:
                print(row)
            return error.exit_code
    whole = time.monotonic() - start
    clock("", 0, 0)
    print("| step | seconds |\n|---|---|")
    for name, seconds in clock.spent.items():
        print(f"| {name} | {seconds:.0f} |")
    print(f"| **all** (goal: {GOAL_S:.0f}) | **{whole:.0f}** |\n")
    print("| rung | KL | predicted | same word | perplexity | tokens/s | memory | file | what is proven, or why not |")
    print("|---|---|---|---|---|---|---|---|---|")
    for row in fitted.rows():
        predicted = "" if row["predicted_kl"] is None else f"{row['predicted_kl']:.4f}"
        print(
            f"| {row['candidate']} | {row['kl']:.4f} ({row['kl_low']:.4f} to {row['kl_high']:.4f}) | {predicted} "
            f"| {100 * row['agreement']:.1f} % | {row['perplexity']:.2f} | {row['decode_per_s']:.1f} "
            f"| {format_bytes(row['memory_bytes'])} | {format_bytes(row['size_bytes'])} | {row['reason']} |"
        )
    for note in fitted.notes:
        print(f"\n{note}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
