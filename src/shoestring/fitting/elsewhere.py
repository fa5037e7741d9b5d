"""Costs on a chip that is not at hand: predicted, and marked so in every cost (ADR 12).

The cost model knows a model by its features, so candidates of one precision on one runtime have one forecast. What
tells them apart, a few layers left in float, is measured here: the forecast is multiplied by how much longer the
candidate takes on this machine than the plain one, and its interval widened by half of that factor, since another chip
weighs the layers otherwise.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from shoestring.analysis import features_of
from shoestring.base.errors import UsageError
from shoestring.chips.loading import chip_named
from shoestring.chips.own_rows import networks_beside
from shoestring.chips.published import published_networks, published_rows
from shoestring.chips.rows import read_rows
from shoestring.compress.candidates import REFERENCE
from shoestring.costmodel.memory import predict_memory
from shoestring.domain.cost import Cost, Predicted, Timing
from shoestring.domain.estimate import Estimate, NoClaim
from shoestring.domain.ladder import HOME_RUNTIME
from shoestring.domain.manifest import STUDENT_MARK, student_name
from shoestring.fitting.workbench import Aim

if TYPE_CHECKING:
    from pathlib import Path

    from shoestring.domain.budget import Budget
    from shoestring.domain.chip import Chip
    from shoestring.domain.features import Features
    from shoestring.domain.measured import Row
    from shoestring.fitting.candidates import Artefact
    from shoestring.fitting.workbench import Workbench

TRUST = 0.5
"""Part of the logarithm of a ratio measured here that widens it for another chip, each way: a judgement."""

ARM_SIGN, X86_SIGNS = "asimd", ("sse4_1", "avx2")


@dataclass(frozen=True)
class Elsewhere:
    """The chip that a fit is for, and what is known of it.

    Args:
        chip: from the catalogue or the user's file.
        rows: published measurements and the user's own.
        networks: counts of the networks that rows name.
    """

    chip: Chip
    rows: tuple[Row, ...]
    networks: Mapping[tuple[str, str], Features]

    @property
    def aim(self) -> Aim:
        """What the workbench must know of the chip."""
        arm = ARM_SIGN in self.chip.isa
        arch = "aarch64" if arm else "x86_64" if set(X86_SIGNS) & set(self.chip.isa) else ""
        runtimes = tuple(one.runtime for one in self.chip.runtimes if one.engine == "cpu")
        return Aim(self.chip.name, self.chip.isa, arch, self.chip.cores, runtimes)


def find(name: str, chip_file: Path | None, rows_file: Path | None) -> Elsewhere:
    """The chip that a fit is for.

    Raises:
        UsageError: no such chip, or one without processor cores that could run a candidate.
        DataError: the user's rows cannot be used.
    """
    chip = chip_named(name, chip_file)
    if chip.kind == "microcontroller" or chip.cores == 0:
        raise UsageError(
            f"{chip.name} has no processor that runs ONNX Runtime or our programs on Linux",
            hint="shoestring predict says what a model would take there; shoestring compile makes C for firmware",
        )
    if rows_file is None:
        return Elsewhere(chip, published_rows(), published_networks())
    networks = {**networks_beside(rows_file), **published_networks()}
    return Elsewhere(chip, (*published_rows(), *read_rows(rows_file)), networks)


def thread_counts(elsewhere: Elsewhere, budget: Budget) -> tuple[int, ...]:
    """One thread, all cores of the chip, half of them, and the budget's."""
    cores = elsewhere.chip.cores
    return tuple(sorted({1, (cores + 1) // 2, cores, budget.threads or 1}))


def predict_all(
    elsewhere: Elsewhere, bench: Workbench, made: Mapping[str, Artefact], here: Mapping[str, Cost], budget: Budget
) -> tuple[dict[str, Cost], tuple[str, ...]]:
    """Costs on the chip of every candidate for which something supports a figure.

    Args:
        elsewhere: the chip.
        bench: of the fit.
        made: artefacts by name.
        here: what each takes on this machine.
        budget: decides a thread count.

    Returns:
        Estimates by name; and for each candidate without one, in words, why nothing is claimed.

    Raises:
        UsageError: nothing supports a figure for the reference, that all others are compared with.
    """
    found: dict[str, Cost] = {}
    refused: dict[str, list[str]] = {}
    features: dict[str, Features] = {}
    counts = thread_counts(elsewhere, budget)
    for name, one in made.items():
        own = bench.of(name).model
        if own.sha256 not in features:
            features[own.sha256] = features_of(own)
        runtime = one.runtime if _known(elsewhere, one) else HOME_RUNTIME
        plain = _plain(name, made, runtime)
        cost = predict_one(elsewhere, features[own.sha256], one, (here[name], here[plain], plain), counts)
        if isinstance(cost, NoClaim):
            refused.setdefault(cost.why, []).append(name)
        else:
            found[name] = cost
    if REFERENCE not in found:
        why = next(words for words, names in refused.items() if REFERENCE in names)
        raise UsageError(
            f"nothing is claimed for {REFERENCE} on {elsewhere.chip.name}: {why}",
            hint="give rows that were measured there with --rows FILE, or run fit on the board itself",
        )
    against = found[REFERENCE]
    costs = {name: _compared(cost, against) for name, cost in found.items()}
    return costs, tuple(
        f"no claim for {', '.join(names)} on {elsewhere.chip.name}, not ranked: {why}" for why, names in refused.items()
    )


def predict_one(
    elsewhere: Elsewhere,
    features: Features,
    artefact: Artefact,
    measured: tuple[Cost, Cost, str],
    threads: tuple[int, ...],
) -> Cost | NoClaim:
    """The cost of one candidate on the chip.

    Args:
        elsewhere: the chip.
        features: of its network.
        artefact: the candidate.
        measured: what it and the plain candidate of its kind take on this machine, and that one's name.
        threads: counts to predict at.
    """
    own, plain, plain_name = measured
    ratio = own.at(1).median_ms / plain.at(1).median_ms
    precision = arithmetic(artefact)
    latencies: dict[int, Estimate] = {}
    for count in threads:
        latency = predict_latency(elsewhere, features, artefact.runtime, precision, count)
        if isinstance(latency, NoClaim):
            return latency
        latencies[count] = _scaled(latency, ratio, plain_name)
    kind = "fp16" if artefact.recipe.precision == "fp16-weights" else precision
    memory = predict_memory(
        features, elsewhere.chip, runtime=artefact.runtime, precision=kind, size_bytes=artefact.shipped.size_bytes
    )
    if isinstance(memory, NoClaim):
        return memory
    first = latencies[threads[0]]
    return Cost(
        timings=tuple(
            Timing(count, one.value, one.low, one.high, 0, 1.0, 1.0, 1.0) for count, one in latencies.items()
        ),
        peak_rss_bytes=round(memory.value),
        size_bytes=artefact.shipped.size_bytes,
        predicted=Predicted(
            chip=elsewhere.chip.name,
            ground=first.ground,
            rests_on=(*first.rests_on, *memory.rests_on),
            widened=(*first.widened, *memory.widened),
            confidence=first.confidence,
            memory_low_bytes=math.floor(memory.low),
            memory_high_bytes=math.ceil(memory.high),
        ),
    )


def predict_latency(
    elsewhere: Elsewhere, features: Features, runtime: str, precision: str, threads: int
) -> Estimate | NoClaim:
    """Of one example on the processor of the chip, ms.

    Where no row speaks of this runtime, ncnn's figure stands for it, with the spread between runtimes: the user gets an
    interval that says how little is known, not a refusal.
    """
    from shoestring.costmodel.latency import predict_latency as ask

    return ask(
        features,
        elsewhere.chip,
        runtime=runtime,
        precision=precision,
        threads=threads,
        rows=elsewhere.rows,
        networks={(features.name, features.input): features, **elsewhere.networks},
    )


def warnings(elsewhere: Elsewhere, bench: Workbench) -> tuple[str, ...]:
    """What the user must know of a fit for a chip that was not at hand."""
    sets = ", ".join(bench.machine.isa) or "no special instruction sets"
    return (
        f"costs are estimates for {elsewhere.chip.name}; nothing was measured there in this fit",
        f"scores and certificates were checked on this machine ({sets}), which each certificate names; the device "
        "replays the golden set before it trusts the bundle",
        "no cascade was looked for: its thresholds would rest on estimates",
    )


def describe(elsewhere_name: str, here: str) -> str:
    """How costs came about, for the evidence."""
    return (
        f"Latency and memory are estimates for {elsewhere_name}, not measurements: predicted from the model's features "
        f"as each cost says, low and high being the ends of its interval. Between candidates of one precision and "
        f"runtime the ratio measured on this machine was carried over. On this machine: {here}"
    )


def _known(elsewhere: Elsewhere, artefact: Artefact) -> bool:
    """Whether any row speaks of the artefact's runtime on the chip."""
    return any(
        row.runtime == artefact.runtime and row.chip in (elsewhere.chip.name, *elsewhere.chip.rows)
        for row in elsewhere.rows
    )


def arithmetic(artefact: Artefact) -> str:
    """Of the arithmetic: fp16 weights are computed with as fp32."""
    return "int8" if artefact.recipe.precision.startswith("int") else "fp32"


def _plain(name: str, made: Mapping[str, Artefact], runtime: str) -> str:
    """The candidate of the same network and kind, on `runtime`, with nothing left in float; itself where there is none.

    Where nothing is known of a runtime on the chip, that is the one on the home runtime: how much faster a program is
    than ONNX Runtime is then taken from this machine.
    """
    one = made[name]
    plain = "int8" if one.recipe.precision.startswith("int") else REFERENCE
    for other, artefact in made.items():
        same = (student_name(other), artefact.runtime) == (student_name(name), runtime)
        if same and artefact.recipe.name.rpartition(STUDENT_MARK)[2] == plain:
            return other
    return name


def _scaled(estimate: Estimate, ratio: float, plain: str) -> Estimate:
    if ratio == 1:
        return estimate
    doubt = math.exp(TRUST * abs(math.log(ratio)))
    words = f"x {ratio:.2f} against {plain}, measured on this machine"
    return replace(
        estimate,
        value=estimate.value * ratio,
        low=estimate.low * ratio / doubt,
        high=estimate.high * ratio * doubt,
        rests_on=(*estimate.rests_on, words),
        widened=(*estimate.widened, f"{words}: another chip may weigh its layers otherwise"),
    )


def _compared(cost: Cost, reference: Cost) -> Cost:
    """With ratios to the reference; their intervals take both for independent, so they are wide."""
    timings = []
    for timing in cost.timings:
        other = reference.at(timing.threads)
        ratio = timing.median_ms / other.median_ms
        low, high = timing.low_ms / other.high_ms, timing.high_ms / other.low_ms
        same = cost is reference
        timings.append(
            replace(
                timing,
                ratio_to_original=ratio,
                ratio_low=1.0 if same else low,
                ratio_high=1.0 if same else high,
            )
        )
    return replace(cost, timings=tuple(timings))
