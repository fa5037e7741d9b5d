"""Peak memory of a model on a chip: weights, live activations and the runtime's own, from measured constants.

The constants in `memory.csv` are fits to the peak resident memory of fresh processes (`rss`); `base_bytes` is what a
runtime takes with no model at all, `per_weight` how often it holds each weight while it loads, `per_activation` how
often it holds the peak of live activations. benchmarks/predict_memory.py prints both sides and the fits.
"""

from __future__ import annotations

import csv
import functools
import math
from dataclasses import dataclass
from importlib import resources
from typing import TYPE_CHECKING

import msgspec

from shoestring.base.units import format_bytes
from shoestring.domain.estimate import Estimate, NoClaim

if TYPE_CHECKING:
    from shoestring.domain.chip import Chip
    from shoestring.domain.features import Features

WEIGHT_BITS = {"fp32": 32, "fp16": 16, "bf16": 16, "int8": 8, "int4": 4}
ELSEWHERE = 0.1
"""Relative spread that another machine adds to constants measured on x86-64: allocators, pages, libraries differ."""

UNCOVERED = 0.25
"""Relative spread that operators without a term add upwards: nobody knows their scratch space."""


@dataclass(frozen=True)
class RuntimeMemory:
    """What a runtime takes.

    Args:
        runtime: name; `*` for any.
        process: `python`: the model runs in a Python process; `alone`: a program of its own; `mcu`: firmware, whose
            weights stay in flash.
        precision: of weights.
        base_bytes: without a model.
        per_weight: bytes for each byte of weights.
        per_activation: bytes for each byte at the peak of live activations.
        spread: half the 90 % interval, relative.
        version: measured.
        source, date, status, note: as in `chip.Figure`.
    """

    runtime: str
    process: str
    precision: str
    base_bytes: float
    per_weight: float
    per_activation: float
    spread: float
    version: str
    source: str
    date: str
    status: str
    note: str


@functools.cache
def constants() -> tuple[RuntimeMemory, ...]:
    """Every line of `memory.csv`."""
    text = resources.files(__package__).joinpath("memory.csv").read_text(encoding="utf-8")
    return tuple(msgspec.convert(line, RuntimeMemory, strict=False) for line in csv.DictReader(text.splitlines()))


def predict_memory(
    features: Features, chip: Chip, *, runtime: str, precision: str, size_bytes: int | None = None
) -> Estimate | NoClaim:
    """Peak memory of a Python process that loads a model and runs it, or of firmware on a microcontroller.

    Args:
        features: of the model.
        chip: of a microcontroller only its RAM is claimed here (see `predict_flash`).
        runtime: that runs it.
        precision: of weights and activations: a key of WEIGHT_BITS.
        size_bytes: see `process_memory`.

    Returns:
        Bytes.
    """
    process = "mcu" if chip.kind == "microcontroller" else "python"
    return process_memory(features, runtime=runtime, precision=precision, process=process, size_bytes=size_bytes)


def process_memory(
    features: Features, *, runtime: str, precision: str, process: str, size_bytes: int | None = None
) -> Estimate | NoClaim:
    """Peak memory of one kind of process, on any machine.

    Args:
        features: of the model.
        runtime: that runs it.
        precision: of weights and activations: a key of WEIGHT_BITS.
        process: see RuntimeMemory.
        size_bytes: of the stored weights, where they are known better than parameters times bits tells (a model with
            some layers left in float); None otherwise.

    Returns:
        Bytes.
    """
    known = [one for one in constants() if one.process == process and one.runtime in (_engine(runtime), "*")]
    found = next((one for one in known if one.precision == precision), None)
    if found is None or precision not in WEIGHT_BITS:
        had = ", ".join(sorted({one.precision for one in known})) or "nothing"
        return NoClaim(
            f"memory of {runtime} in {precision} was measured nowhere (known of it: {had}); "
            "measure the peak resident memory of a process that runs one model"
        )
    if features.peak_activation_elems is None:
        return NoClaim(f"the peak of live activations of {features.name} is unknown; give the model itself")
    bits = WEIGHT_BITS[precision]
    weights = features.params * bits / 8 if size_bytes is None else float(size_bytes)
    activations = features.peak_activation_elems * max(bits, 8) / 8
    value = found.base_bytes + found.per_weight * weights + found.per_activation * activations
    spread = math.hypot(found.spread, ELSEWHERE)
    open_ends = tuple(f"{one.operator} ({one.count}): its working memory is in no term" for one in features.uncovered)
    floor = 0.0 if process == "mcu" else weights
    return Estimate(
        value=value,
        low=max(floor, value * (1 - spread)),
        high=value * (1 + spread + (UNCOVERED if open_ends else 0)),
        unit="bytes",
        ground="formula",
        rests_on=(
            f"{format_bytes(int(found.base_bytes))} of the runtime, {format_bytes(int(weights))} of weights x "
            f"{found.per_weight:g}, {format_bytes(int(activations))} of activations x {found.per_activation:g}",
            f"constants {found.status} {found.date}: {found.source}",
        ),
        protocol=PROTOCOLS[process],
        widened=open_ends,
    )


def _engine(runtime: str) -> str:
    """The name in `memory.csv`: tables call LiteRT by its old name, with its delegate."""
    return "litert" if runtime.startswith(("TFLite", "LiteRT")) else runtime.lower()


PROTOCOLS = {
    "python": "peak resident memory (VmHWM) of a fresh Python process that loads the model and runs it five times",
    "alone": "peak resident memory (VmHWM) of the program itself, without Python",
    "mcu": "RAM for activations and runtime; weights and code stay in flash",
}
CODE_BYTES = (65_000, 76_000, 120_000)
"""Low, middle and high of runtime and kernels in flash: 68 to 81 KiB of MobileNets with STM32Cube.AI 10.0.0 on an
STM32H7 (source as in the line `mcu` of `memory.csv`); other runtimes carry more kernels than a model needs."""


def predict_flash(features: Features, precision: str) -> Estimate:
    """Flash that weights and code take on a microcontroller, bytes. `precision` is a key of WEIGHT_BITS."""
    weights = features.params * WEIGHT_BITS[precision] / 8
    low, middle, high = CODE_BYTES
    mcu = next(one for one in constants() if one.process == "mcu")
    return Estimate(
        value=weights + middle,
        low=weights + low,
        high=1.1 * weights + high,
        unit="bytes",
        ground="formula",
        rests_on=(f"{format_bytes(int(weights))} of weights and {format_bytes(middle)} of code", mcu.source),
        protocol="weights and code of the firmware's network, the rest of the firmware left out",
    )


def fits(estimate: Estimate | NoClaim, chip: Chip) -> str:
    """Whether the chip leaves that much memory to a model.

    Returns:
        One of `domain.forecast.FITS`; `unsure` where the interval straddles the limit or either side is unknown.
    """
    if isinstance(estimate, NoClaim) or chip.usable is None:
        return "unsure"
    if estimate.high <= chip.usable.value:
        return "yes"
    return "no" if estimate.low > chip.usable.value else "unsure"


__all__ = ["RuntimeMemory", "constants", "fits", "predict_flash", "predict_memory", "process_memory"]
