"""Tokens a second that a language model writes: its weights cross the memory bus once for every token."""

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
from shoestring.costmodel.accelerators.language_models import LanguageModel, known_language_models
from shoestring.costmodel.accelerators.pooling import Effects, Pool, left_out_scores, lend
from shoestring.costmodel.accelerators.quantized import bits_of
from shoestring.domain.estimate import Estimate, NoClaim

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from numpy.typing import NDArray

    from shoestring.domain.chip import Chip
    from shoestring.domain.measured import Row

HEAD_WEIGHT = 1.5
"""A byte of the output layer costs as much as this many of the blocks."""

LAYER_MS = 0.4
"""Fixed cost of a layer on a chip whose memcpy reaches LAYER_GB_S; slower chips take longer in proportion."""

LIGHT_LAYER_MS = {"llama.cpp on cpu": 0.05}
"""Runtimes that start a layer without asking an engine for it: with 0.05 their 29 rows, each model left out, are met
with a median error of 6.3 % against 10.1 % with LAYER_MS."""

LAYER_GB_S = 10.0

EFFECTS = Effects(levels=(1.0, 0.2, 0.25, 0.15), model=0.12, noise=0.08)
"""Levels: runtime; runtime and format; system on a chip and runtime; all three."""

CONTEXT_TOKENS = 160
"""As the rows: a prompt of 128 tokens and half of 64 new ones."""

PROTOCOL = "one sequence, tokens a second while it writes (prompt not counted), weights in memory"
RUNTIMES = {"llama.cpp": "llama.cpp", "llamacpp": "llama.cpp", "llamafile": "llama.cpp", "ollama": "llama.cpp"}


@dataclass(frozen=True)
class Bus:
    """What a chip brings.

    Args:
        soc: system on a chip: boards with the same one share what is learnt.
        gb_s: memcpy of large blocks, GB/s of bytes copied.
    """

    soc: str
    gb_s: float


@dataclass(frozen=True)
class DecodePoint:
    """A row with its counts.

    Args:
        model: what was run.
        label: runtime family, format and so on, as EFFECTS has them.
        base_s: seconds a token by arithmetic alone.
        tokens_s: measured.
        source: of the row.
    """

    model: LanguageModel
    label: tuple[str, ...]
    base_s: float
    tokens_s: float
    source: str


@functools.cache
def known_buses() -> dict[str, Bus]:
    """Chips of the table of measurements that ran language models."""
    text = (resources.files("shoestring.chips.published") / "decode_chips.csv").read_text(encoding="utf-8")
    return {line["chip"]: Bus(line["soc"], float(line["gb_s"])) for line in csv.DictReader(text.splitlines())}


def runtime_family(runtime: str, device: str) -> str:
    """Runtimes with the same kernels are one: llamafile and ollama run llama.cpp."""
    text = runtime.lower()
    for start, family in RUNTIMES.items():
        if text.startswith(start):
            return f"{family} on {device}"
    return f"{text.split(' (')[0]} on {device}"


def seconds_a_token(
    model: LanguageModel, precision: str, gb_s: float, context_tokens: int, family: str
) -> float | None:
    """Arithmetic alone: bytes over the bus, read only, plus a cost for each layer. None for an unknown format."""
    bits = bits_of(precision)
    if bits is None:
        return None
    body = model.body_params * bits.body / 8 + 2.0 * model.kv_elems * context_tokens
    head = HEAD_WEIGHT * model.head_params * bits.head / 8
    return (body + head) / (2e9 * gb_s) + layer_seconds(family, gb_s) * model.layers


def layer_seconds(family: str, gb_s: float) -> float:
    """What a layer costs beside its bytes, for a runtime family as `runtime_family` names it."""
    return LIGHT_LAYER_MS.get(family, LAYER_MS) * 1e-3 * LAYER_GB_S / gb_s


def decode_points(rows: Iterable[Row], buses: Mapping[str, Bus] | None = None) -> tuple[DecodePoint, ...]:
    """Rows of language models whose counts, chip and format are known.

    Args:
        rows: any; those without tokens a second are passed over.
        buses: by the rows' chip names; None for those of the table.
    """
    buses = known_buses() if buses is None else buses
    found = []
    for row in rows:
        model, bus = known_language_models().get(row.model), buses.get(row.chip)
        if not row.tokens_s or model is None or bus is None:
            continue
        family = runtime_family(row.runtime, row.device)
        base = seconds_a_token(model, row.precision, bus.gb_s, CONTEXT_TOKENS, family)
        if base is not None:
            label = labels(family, row.precision, bus.soc)
            found.append(DecodePoint(model, label, base, row.tokens_s, row.source))
    return tuple(found)


def labels(family: str, precision: str, soc: str) -> tuple[str, ...]:
    """In the order of EFFECTS."""
    kind = precision.strip().lower()
    return family, f"{family}|{kind}", f"{soc}|{family}", f"{soc}|{family}|{kind}"


def pool_of(points: Sequence[DecodePoint]) -> Pool:
    """Logarithms of measured over computed seconds."""
    logs = np.array([-math.log(point.tokens_s * point.base_s) for point in points])
    return Pool(tuple(point.label for point in points), tuple(point.model.name for point in points), logs)


@functools.lru_cache(maxsize=64)
def _calibrated(points: tuple[DecodePoint, ...]) -> tuple[Pool, NDArray[np.float64]]:
    pool = pool_of(points)
    return pool, left_out_scores(pool, EFFECTS)


def predict_decode(
    model: LanguageModel,
    chip: Chip,
    *,
    runtime: str,
    precision: str,
    rows: Iterable[Row],
    device: str = "cpu",
    context_tokens: int = CONTEXT_TOKENS,
) -> Estimate | NoClaim:
    """Tokens a second while the model writes.

    Args:
        model: counts from its header.
        chip: where it would run; its memcpy bandwidth must be known.
        runtime: `llama.cpp`, `RKLLM` ...
        precision: weight format, as `quantized.WEIGHT_BITS` names them.
        rows: measurements to rest on.
        device: as `Row.device`.
        context_tokens: length of the sequence so far, 0 or more.

    Returns:
        The estimate in tokens/s, or why there is none.

    Raises:
        UsageError: the context is negative.
    """
    if context_tokens < 0:
        raise UsageError(f"context {context_tokens} tokens is below 0", hint="count prompt and answer so far")
    if bits_of(precision) is None:
        return NoClaim(f"bits a weight of {precision} are unknown")

    def base(gb_s: float) -> float:
        seconds = seconds_a_token(model, precision, gb_s, context_tokens, runtime_family(runtime, device))
        assert seconds is not None  # its bits are known
        return seconds

    return claim(model.name, base, chip, runtime=runtime, precision=precision, rows=rows, device=device)


def claim(
    name: str,
    base: Callable[[float], float],
    chip: Chip,
    *,
    runtime: str,
    precision: str,
    rows: Iterable[Row],
    device: str = "cpu",
    own: Sequence[DecodePoint] = (),
) -> Estimate | NoClaim:
    """Tokens a second from what arithmetic alone gives, in the light of everything measured.

    Args:
        name: of the network.
        base: seconds a token by arithmetic alone, at a memcpy bandwidth in GB/s.
        chip: where it would run.
        runtime: `llama.cpp`, `RKLLM` ...
        precision: weight format, as rows name it; one that no row has is less sure.
        rows: measurements to rest on.
        device: as `Row.device`.
        own: measurements elsewhere, of this network or others, that rows do not have.
    """
    if device == "cpu" and not chip.clusters:
        return NoClaim(f"{chip.name} has no processor of its own to run {runtime} on")
    bus = bus_of(chip)
    if bus is None:
        return NoClaim(f"{chip.name}: its memory bandwidth is unknown; measure memcpy of large blocks there")
    points = (*decode_points(rows, {**known_buses(), **dict.fromkeys(chip.rows, bus)}), *own)
    family = runtime_family(runtime, device)
    label = labels(family, precision, bus.soc)
    if device == "cpu" and chip.bandwidth is not None and all(point.label[2] != label[2] for point in points):
        bus = Bus(bus.soc, chip.bandwidth.value)  # the table's is what another engine of the chip reaches
    missing = _missing(points, label, chip)
    if missing:
        return NoClaim(missing)
    pool, scores = _calibrated(points)
    factor = conformal_quantile(scores)
    if factor is None:
        return NoClaim(f"{len(scores)} measurements of language models cannot give a 90 % interval; 9 are needed")
    mean, deviation = lend(pool, [label], [name], EFFECTS)
    value = 1 / (base(bus.gb_s) * math.exp(mean[0]))
    spread = math.exp(factor * deviation[0])
    ground, rests = _ground(points, label, name)
    widened = () if ground != "specifications" else (f"no language model was measured on {bus.soc} with {family}",)
    return Estimate(value, value / spread, value * spread, "tokens/s", ground, rests, PROTOCOL, widened=widened)


def bus_of(chip: Chip) -> Bus | None:
    """The memory that the processor of a chip reads weights from; None where its bandwidth is unknown."""
    for name in chip.rows:
        if name in known_buses():
            return known_buses()[name]
    return None if chip.bandwidth is None else Bus(chip.soc, chip.bandwidth.value)


def _missing(points: Sequence[DecodePoint], label: tuple[str, ...], chip: Chip) -> str:
    if not any(point.label[0] == label[0] for point in points):
        return f"no language model was measured with {label[0]}; measure one on {chip.name}"
    if not label[0].endswith(" on cpu") and not any(point.label[2] == label[2] for point in points):
        return f"{label[0]} was measured on other chips only, and engines differ; measure a model on {chip.name}"
    return ""


def _ground(points: Sequence[DecodePoint], label: tuple[str, ...], name: str) -> tuple[str, tuple[str, ...]]:
    cell = [point for point in points if point.label[2] == label[2]]
    sources = tuple(dict.fromkeys(point.source for point in cell))[:3]
    if any(point.model.name == name and point.label == label for point in cell):
        return "measured", (f"this model with this format there, and {len(cell)} rows of {label[2]}", *sources)
    if len({point.model.name for point in cell}) >= 3:
        return "calibrated", (f"{len(cell)} measurements of {label[2]}", *sources)
    if cell:
        return "anchored", (f"{len(cell)} measurements of {label[2]}", *sources)
    others = [point for point in points if point.label[0] == label[0]]
    return "specifications", (f"memcpy bandwidth, and {len(others)} measurements of {label[0]} on other chips",)
