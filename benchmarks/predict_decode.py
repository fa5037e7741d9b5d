"""How far predictions of language models are off on models that were left out everywhere.

    python benchmarks/predict_decode.py

Prints for each group the absolute error (median and 90th percentile, per cent), how many measurements the 90 % interval
held, its median width as a factor up and down, and how many rows got no claim. `GROUPS` has (name, target, cases), for
benchmarks/predict.py.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np

from shoestring.chips.loading import catalogue
from shoestring.chips.published import published_rows
from shoestring.costmodel.accelerators import predict_decode
from shoestring.costmodel.accelerators.decode import known_buses, runtime_family
from shoestring.costmodel.accelerators.language_models import known_language_models
from shoestring.costmodel.language.prefill import published_prompts, share_of_peak
from shoestring.domain.estimate import Estimate, NoClaim

Case = tuple[float, Estimate | NoClaim]
Cases = Callable[[], Iterator[tuple[float, Estimate]]]


def decode_cases(whole_chip: bool = False, family: str | None = None) -> Iterator[Case]:
    """Every row of a language model, the model left out on all chips; or its system on a chip left out.

    Args:
        whole_chip: leave out the chip instead of the model.
        family: only rows of this runtime.
    """
    models, buses = known_language_models(), known_buses()
    rows = [row for row in published_rows() if row.tokens_s and row.model in models and row.chip in buses]
    board = catalogue()["raspberry-pi-5-8gb"]
    for row in rows:
        if family not in (None, runtime_family(row.runtime, row.device)):
            continue
        model, soc = models[row.model], buses[row.chip].soc
        rest = [
            one for one in rows if (buses[one.chip].soc != soc if whole_chip else models[one.model].name != model.name)
        ]
        chip = replace(board, name=row.chip, soc=soc, rows=(row.chip,), bandwidth=None)
        wanted = {"runtime": row.runtime, "precision": row.precision, "device": row.device}
        yield row.tokens_s or 0.0, predict_decode(model, chip, **wanted, rows=rest)


def prompt_cases(whole_chip: bool = False) -> Iterator[Case]:
    """Every published rate of a prompt, the model left out on all chips; or its system on a chip left out."""
    rows = published_prompts()
    for row in rows:
        rest = [one for one in rows if (one.soc != row.soc if whole_chip else one.model != row.model)]
        found = share_of_peak(row.arithmetic, row.precision, row.soc, row.model, rest)
        if found is None:
            yield row.tokens_s, NoClaim("too few rows")
            continue
        value = row.tokens_s * found[0] / row.share
        yield (
            row.tokens_s,
            Estimate(value, value / found[1], value * found[1], "tokens/s", "specifications", (), ""),
        )


def claimed(cases: Callable[[], Iterator[Case]]) -> Cases:
    """Of the cases, those with a claim."""
    return lambda: ((actual, found) for actual, found in cases() if isinstance(found, Estimate))


ALL: tuple[tuple[str, tuple[float, float] | None, Callable[[], Iterator[Case]]], ...] = (
    ("LLM decode", (9.0, 35.0), decode_cases),
    ("LLM decode, chip left out", None, lambda: decode_cases(whole_chip=True)),
    ("LLM decode, llama.cpp", None, lambda: decode_cases(family="llama.cpp on cpu")),
    ("LLM prompt", None, prompt_cases),
    ("LLM prompt, chip left out", None, lambda: prompt_cases(whole_chip=True)),
)
GROUPS = tuple((name, target, claimed(cases)) for name, target, cases in ALL)


def main() -> None:
    """Print the table."""
    print(f"{'group':<28}{'rows':>5}{'none':>6}{'median %':>10}{'p90 %':>8}{'target':>9}{'held %':>8}{'width':>8}")
    for name, target, cases in ALL:
        found = list(cases())
        pairs = [(actual, one) for actual, one in found if isinstance(one, Estimate)]
        if not pairs:
            print(f"{name:<28}{0:>5}{len(found):>6}")
            continue
        off = np.array([100 * abs(one.value / actual - 1) for actual, one in pairs])
        held = 100 * np.mean([one.low <= actual <= one.high for actual, one in pairs])
        width = np.median([one.high / one.value for _, one in pairs])
        goal = f"{target[0]:.0f}/{target[1]:.0f}" if target else "-"
        print(
            f"{name:<28}{len(pairs):>5}{len(found) - len(pairs):>6}{np.median(off):>10.1f}{np.quantile(off, 0.9):>8.1f}"
            f"{goal:>9}{held:>8.1f}{f'x{width:.2f}':>8}"
        )


if __name__ == "__main__":
    main()
