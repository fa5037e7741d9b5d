"""Tokens a second while a prompt is read: arithmetic, where writing is memory.

The multiply-accumulates of the blocks over the floating-point peak of the cores; what llama.cpp makes of that peak is a
scale with partially pooled parts: the class of arithmetic, halves or quantized weights, the system on a chip. On the
published rows that scale is 0.25 to 0.76 for quantized weights without 8-bit matrix instructions, from a Raspberry Pi 4
to a laptop, so a chip without rows is judged by the others, with an interval to match.
"""

from __future__ import annotations

import csv
import functools
import math
from dataclasses import dataclass
from importlib import resources
from typing import TYPE_CHECKING

import numpy as np

from shoestring.base.errors import UsageError
from shoestring.costmodel.accelerators.conformal import conformal_quantile
from shoestring.costmodel.accelerators.pooling import Effects, Pool, left_out_scores, lend
from shoestring.domain.estimate import Estimate, NoClaim

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from numpy.typing import NDArray

    from shoestring.domain.chip import Chip, Cluster
    from shoestring.domain.transformer import Transformer

EFFECTS = Effects(levels=(0.3, 0.8, 0.35, 0.15), model=0.1, noise=0.25)
"""Levels: arithmetic; halves or quantized weights; system on a chip; the last two together. Noise: kernels of two years
apart."""

HALVES = ("f16", "bf16", "f32")
"""Weights that no 8-bit product can read."""

ARITHMETIC = (("i8mm", "i8mm"), ("dotprod", "asimddp"), ("neon", "asimd"), ("avx2", "avx2"))
"""Classes by the first instruction set, of those that a chip names, that decides how 8-bit products are made."""

PROTOCOL = "one prompt, tokens a second until the first new token, weights in memory, all large cores"
FEWEST = 0.6
"""Share of linear scaling that fewer threads than the rows' may lose or win."""


@dataclass(frozen=True)
class PromptRow:
    """A published rate.

    Args:
        soc: system on a chip.
        arithmetic: its class.
        gops: floating-point peak of the cores that worked, Gop/s, two operations a multiply-accumulate.
        model: network.
        body_m: millions of parameters in its blocks.
        precision: format of its weights.
        tokens_s: of the prompt.
        source: of the row.
    """

    soc: str
    arithmetic: str
    gops: float
    model: str
    body_m: float
    precision: str
    tokens_s: float
    source: str

    @property
    def share(self) -> float:
        """Of the peak that was reached."""
        return 2e6 * self.body_m * self.tokens_s / (1e9 * self.gops)


@functools.cache
def published_prompts() -> tuple[PromptRow, ...]:
    """Every row, in the order of the file."""
    text = (resources.files("shoestring.chips.published") / "prefill.csv").read_text(encoding="utf-8")
    return tuple(
        PromptRow(
            line["soc"],
            line["arithmetic"],
            float(line["gops"]),
            line["model"],
            float(line["body_m"]),
            line["precision"],
            float(line["tokens_s"]),
            line["source"],
        )
        for line in csv.DictReader(text.splitlines())
    )


def arithmetic_of(isa: Collection[str]) -> str | None:
    """The class of a processor, or None for one that no row resembles."""
    return next((name for name, flag in ARITHMETIC if flag in isa), None)


@functools.cache
def _ops_a_cycle() -> dict[str, float]:
    text = (resources.files("shoestring.chips.published") / "cores.csv").read_text(encoding="utf-8")
    return {line["core"]: float(line["fp32_ops_cycle"]) for line in csv.DictReader(text.splitlines())}


def _large(chip: Chip) -> tuple[tuple[Cluster, float], ...]:
    """Clusters whose cores are more than half as wide as the widest, with their operations a cycle."""
    widths = [(cluster, _ops_a_cycle().get(cluster.core.removesuffix("AE"))) for cluster in chip.clusters]
    known = [(cluster, width) for cluster, width in widths if width is not None]
    if not known or len(known) < len(widths):
        return ()
    widest = max(width for _, width in known)
    return tuple((cluster, width) for cluster, width in known if 2 * width > widest)


def float_gops(chip: Chip) -> float | None:
    """Floating-point peak of the large cores, Gop/s; None where the width of a core is unknown."""
    return sum(cluster.count * cluster.clock.value * width for cluster, width in _large(chip)) or None


def large_cores(chip: Chip) -> int:
    """How many cores count as large; all, where the width of one is unknown."""
    return sum(cluster.count for cluster, _ in _large(chip)) or chip.cores


def block_macs(model: Transformer, tokens: int) -> float:
    """Multiply-accumulates of the blocks for one token of a prompt of so many, on average; the head reads one."""
    query, out = model.heads * model.key_width, model.heads * model.value_width
    keys, values = model.kv_heads * model.key_width, model.kv_heads * model.value_width
    layer = model.width * (query + keys + values + out) + 3 * model.width * model.feed_forward
    seen = tokens / 2 if model.window is None else min(tokens / 2, model.window)
    return model.layers * (layer + seen * (query + out))


def _labels(arithmetic: str, precision: str, soc: str) -> tuple[str, ...]:
    kind = "halves" if precision in HALVES else "quantized"
    return arithmetic, kind, soc, f"{soc}|{kind}"


def pool_of(rows: Sequence[PromptRow]) -> Pool:
    """Logarithms of the share of the peak that each row reached."""
    logs = np.array([math.log(row.share) for row in rows])
    labels = tuple(_labels(row.arithmetic, row.precision, row.soc) for row in rows)
    return Pool(labels, tuple(row.model for row in rows), logs)


@functools.lru_cache(maxsize=64)
def _calibrated(rows: tuple[PromptRow, ...]) -> tuple[Pool, NDArray[np.float64]]:
    pool = pool_of(rows)
    return pool, left_out_scores(pool, EFFECTS)


def predict_prompt(
    model: Transformer,
    chip: Chip,
    *,
    name: str,
    precision: str,
    tokens: int,
    threads: int | None = None,
    rows: Sequence[PromptRow] | None = None,
) -> Estimate | NoClaim:
    """Tokens a second while a prompt is read by llama.cpp.

    Args:
        model: its dimensions.
        chip: where.
        name: of the network: rows of the same one bring what it has to itself.
        precision: of most weights, as rows name it (q4_0, q8_0).
        tokens: of the prompt, at least 1.
        threads: None for all large cores.
        rows: to rest on; None for the published ones.

    Raises:
        UsageError: a prompt without tokens.
    """
    if tokens < 1:
        raise UsageError(f"a prompt of {tokens} tokens is below 1", hint="give the tokens of a usual prompt")
    rows = published_prompts() if rows is None else tuple(rows)
    peak, arithmetic = float_gops(chip), arithmetic_of(chip.isa)
    if peak is None or arithmetic is None:
        lacking = "the width of its cores is unknown" if peak is None else "no row is of a processor like it"
        return NoClaim(f"{chip.name}: {lacking}; measure a prompt there")
    pool, scores = _calibrated(tuple(rows))
    factor = conformal_quantile(scores)
    if factor is None:
        return NoClaim(f"{len(scores)} measurements of prompts cannot give a 90 % interval; 9 are needed")
    mean, deviation = lend(pool, [_labels(arithmetic, precision, chip.soc)], [name], EFFECTS)
    value = math.exp(mean[0]) * 1e9 * peak / (2 * block_macs(model, tokens))
    spread = math.exp(factor * deviation[0])
    low, high, few = _threaded(chip, threads)
    here = [row for row in rows if row.soc == chip.soc]
    ground, rests = _ground(here, rows, name, precision, peak)
    widened = ["rows are of all large cores; fewer threads are between linear and not slower at all"] * few
    return Estimate(
        value * math.sqrt(low * high),
        value * low / spread,
        value * high * spread,
        "tokens/s",
        ground,
        rests,
        PROTOCOL,
        widened=tuple(widened),
    )


def _threaded(chip: Chip, threads: int | None) -> tuple[float, float, bool]:
    """Least and most of the full rate that so many threads give; arithmetic scales nearly linearly."""
    most = large_cores(chip)
    if threads is None or threads >= most:
        return 1.0, 1.0, False
    share = threads / most
    return share, min(1.0, share / FEWEST), True


def _ground(
    here: Sequence[PromptRow], rows: Sequence[PromptRow], name: str, precision: str, peak: float
) -> tuple[str, tuple[str, ...]]:
    sources = tuple(dict.fromkeys(row.source for row in here))[:3]
    if any(row.model == name and row.precision == precision for row in here):
        return "measured", (f"this model with this format there, and {len(here)} rows of that chip", *sources)
    if here:
        return "anchored", (f"{len(here)} prompts read there", *sources)
    return "specifications", (f"{peak:,.0f} Gop/s of its cores, and {len(rows)} prompts read on other chips",)


__all__ = [
    "PromptRow",
    "arithmetic_of",
    "block_macs",
    "float_gops",
    "large_cores",
    "pool_of",
    "predict_prompt",
    "published_prompts",
]
