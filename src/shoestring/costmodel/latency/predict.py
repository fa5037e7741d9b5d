"""The latency of a network on a chip's processor, from the firmest ground that there is."""

from __future__ import annotations

import functools
import math
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from shoestring.chips.published import published_networks, published_rows
from shoestring.chips.published.table_chips import Cores, published_cores, table_chips
from shoestring.costmodel.latency.cases import published_weights
from shoestring.costmodel.latency.elsewhere import ORDER, expected_error, related
from shoestring.costmodel.latency.intervals import Group, half_width, share
from shoestring.costmodel.latency.levels import OWN, shared_only
from shoestring.costmodel.latency.local import blended
from shoestring.costmodel.latency.novelty import novelty
from shoestring.costmodel.latency.observations import FLOATS, Observation, Setting, network_of, observations, setting_on
from shoestring.costmodel.latency.pooled import fit, predict_log
from shoestring.costmodel.latency.terms import terms
from shoestring.domain.estimate import Estimate, NoClaim

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from shoestring.domain.chip import Chip
    from shoestring.domain.features import Features
    from shoestring.domain.measured import Row

PROTOCOL = (
    "one example, processor only, model loaded, after warm-up; the smallest of the runs as ncnn's benchmark prints it"
)
STAND_INS = (
    (("asimd", "asimddp"), "Cortex-A76"),
    (("asimd",), "Cortex-A72"),
    (("avx2",), "Gracemont"),
    (("sse4_1",), "Tremont"),
)
"""Instruction sets -> the core that stands in for one we do not know, the best equipped first."""
STRANGE = 1.2
"""Factor up and down for a core that stands in for another: a judgement."""
SAME = 0.02
"""Counts of one network differ by no more than this: what exporters fold, a classifier with or without its softmax."""
ENOUGH = 5
"""Networks measured on a chip with a runtime and kind from which on it counts as calibrated."""
OWN_RUN = 0.18
"""Half width, in logarithms, of what a person measured there: people's runs on one chip differ by 2 to 18 % in the
median. The upper end is taken; no row of the table repeats a run on another day, which would calibrate it."""
UNCOVERED = 0.25
"""What a share of output elements by operators without a term adds to the half width (a share of one: this much)."""


def predict_latency(
    features: Features, chip: Chip, *, runtime: str = "ncnn", precision: str = "fp32", threads: int | None = None,
    device: str = "cpu", rows: Sequence[Row] | None = None, networks: Mapping[tuple[str, str], Features] | None = None,
) -> Estimate | NoClaim:  # fmt: skip
    """Predicts the latency of one example in ms.

    Args:
        features: counts of the network; one named as in the table, with its input, may have been measured.
        chip: from the catalogue or a file of one's own.
        runtime: our name.
        precision: `fp32`, `fp16` or `int8`.
        threads: 1 or more; None: as many as the fastest cluster has cores.
        device: only `cpu` here.
        rows: measurements; the published ones, with one's own beside them.
        networks: counts by (model, input) of these rows' networks.

    Returns:
        An estimate with a 90 % interval, or what would have to be measured.
    """
    if device != "cpu":
        return NoClaim(f"this model speaks of processors, not of {device}: see the accelerators' models")
    kind = "fp" if precision in FLOATS else precision
    name, clusters = clusters_of(chip)
    every = published_rows() if rows is None else rows
    strange = not clusters and any(row.chip == name for row in own_rows(every))
    if strange:
        clusters = stand_in(chip)
    setting = setting_on(name, clusters, kind, precision == "fp16", threads, runtime=runtime) if clusters else None
    if setting is None:
        return NoClaim(f"the speed of {chip.name}'s cores is not known: measure networks there with {runtime}")
    half = setting.isa == "armv8.2"
    if runtime == "ncnn" and kind == "fp" and half != (precision == "fp16"):
        does = "fp16" if half else "fp32"
        return NoClaim(f"ncnn runs floats in {does} on {setting.core}; nobody measured {precision}: ask for {does}")
    if kind not in ("fp", "int8"):
        return NoClaim(f"no row of the table has precision {precision} on a processor: measure networks with it")
    counts = dict(published_networks()) | dict(networks or {})
    found = _answer(features, setting, every, counts, chip, clusters)
    return _doubted(found, chip, setting) if strange else found


def clusters_of(chip: Chip) -> tuple[str, tuple[Cores, ...]]:
    """The name that rows know a chip by, and its cores, the fastest first; empty where no core is known."""
    for row_name in chip.rows:
        if row_name in table_chips():
            return row_name, table_chips()[row_name]
    known = [Cores(c.core, c.count, c.clock.value) for c in chip.clusters if c.core in published_cores()]
    fastest = sorted(known, key=lambda c: -c.ghz * published_cores()[c.core].fp32)
    return (chip.rows[0] if chip.rows else chip.name), tuple(fastest)


def stand_in(chip: Chip) -> tuple[Cores, ...]:
    """Known cores in place of a chip's own, which are not, by its instruction sets; empty where none is like them.

    What is the chip's own is corrected by its own rows.
    """
    kind = next((core for sets, core in STAND_INS if set(sets) <= set(chip.isa)), None)
    return () if kind is None else tuple(Cores(kind, one.count, one.clock.value) for one in chip.clusters)


def _doubted(found: Estimate | NoClaim, chip: Chip, setting: Setting) -> Estimate | NoClaim:
    if isinstance(found, NoClaim) or found.ground == "measured":
        return found
    told = f"cores of {chip.name} are not in our table: taken for {setting.core}, corrected by its own rows"
    return replace(found, low=found.low / STRANGE, high=found.high * STRANGE, widened=(*found.widened, told))


def _answer(
    features: Features, setting: Setting, rows: Sequence[Row], networks: Mapping[tuple[str, str], Features], chip: Chip,
    clusters: tuple[Cores, ...],
) -> Estimate | NoClaim:  # fmt: skip
    fresh = own_rows(rows)
    brought = observations(fresh, networks, runtime=setting.runtime, clusters={setting.chip: clusters})
    seen = [*(_published(setting.runtime) if len(fresh) < len(rows) else ()), *brought]
    here = [row for row in seen if row.setting.chip == setting.chip and row.setting.kind == setting.kind]
    network = network_of(features.name)
    same = [row for row in seen if row.network == network and alike(row.features, features)]
    same = [row for row in same if row.setting.kind == setting.kind and row.setting.threads == setting.threads]
    exact = [row for row in same if row.setting.chip == setting.chip and row.setting.little == setting.little]
    if exact:
        middle = float(np.median([row.log_ms for row in exact]))
        rests = f"{len(exact)} runs of {network} on {setting.chip}"
        mine = [row.log_ms for row in brought if any(row is one for one in exact)]
        if mine:
            return _estimate(float(np.median(mine)), OWN_RUN, "measured", f"own {rests}", features)
        return _from_cases(features, middle, Group("measured", setting.kind), rests)
    weights = published_weights()
    known = len({row.network for row in here})
    if setting.runtime != "ncnn" and not known:
        return NoClaim(
            f"no row of {setting.runtime} with counted networks on {chip.name}: measure a few there, or ask for ncnn"
        )
    if here and any(row.setting.chip == setting.chip for row in brought):
        base = shared_only(weights)
        weights = base | fit([row for row in seen if row.setting.chip == setting.chip], fixed=base, only=OWN)
    guess = float(predict_log(weights, setting, terms([features]))[0])
    ground = "calibrated" if known >= ENOUGH else "anchored" if known else "specifications"
    others = [row for row in same if row.setting.chip != setting.chip]
    table = [one for (model, _), one in published_networks().items() if network_of(model) == network]
    if any(alike(one, features) for one in table):
        if others and ground == "calibrated":
            return _pooled_transfer(features, setting, guess, seen, weights)
    elif others:
        return _transferred(features, setting, guess, others, weights)
    if ground == "calibrated":
        alike_runs = (row for row in here if replace(row.setting, run="", ghz=setting.ghz) == setting)
        guess = blended(guess, features, [row for row in alike_runs if row.network != network])
    rests = f"{known} networks on {setting.chip} with {setting.runtime}" if known else f"cores of kind {setting.core}"
    return _from_cases(features, guess, Group(ground, setting.kind), rests)


def own_rows(rows: Sequence[Row]) -> list[Row]:
    """Rows that did not come with us."""
    shipped = _shipped()
    return [] if rows is published_rows() else [row for row in rows if id(row) not in shipped]


@functools.cache
def _shipped() -> frozenset[int]:
    return frozenset(id(row) for row in published_rows())


@functools.cache
def _published(runtime: str) -> tuple[Observation, ...]:
    return tuple(observations(published_rows(), published_networks(), runtime=runtime))


def alike(known: Features, asked: Features) -> bool:
    """Whether two networks of one name are one network: input, MACs and parameters agree."""
    near = all(
        abs(getattr(known, count) - getattr(asked, count)) <= SAME * getattr(known, count)
        for count in ("macs", "params")
    )
    return known.input == asked.input and near


def _pooled_transfer(
    features: Features, setting: Setting, guess: float, seen: Sequence[Observation], weights: Mapping[str, float]
) -> Estimate | NoClaim:
    """A network of the table: what it did on all other chips."""
    known = [
        row
        for row in seen
        if row.network == network_of(features.name)
        and row.setting.kind == setting.kind
        and alike(row.features, features)
    ]
    errors = []
    for row in known:
        said = predict_log(weights, replace(row.setting, run=""), terms([row.features]))[0]
        errors.append((row.setting, float(row.log_ms - said)))
    group = Group("transfer", setting.kind, "table")
    middle = guess + share(group) * expected_error(setting, errors)
    chips = len({row.setting.chip for row in known})
    return _from_cases(features, middle, group, f"the same network on {chips} chips, other networks on {setting.chip}")


def _transferred(
    features: Features, setting: Setting, guess: float, others: Sequence[Observation], weights: Mapping[str, float]
) -> Estimate | NoClaim:
    links = [related(setting.core, setting.isa, row.setting.core, row.setting.isa) for row in others]
    best = min(links, key=ORDER.index)
    chosen = [row for row, link in zip(others, links, strict=True) if link == best]
    errors = [row.log_ms - predict_log(weights, row.setting, terms([features]))[0] for row in chosen]
    group = Group("transfer", setting.kind, best)
    middle = guess + share(group) * float(np.mean(errors))
    return _from_cases(features, middle, group, f"the same network on {chosen[0].setting.chip}")


def _from_cases(features: Features, middle: float, group: Group, rests: str) -> Estimate | NoClaim:
    half = half_width(group, novelty(features))
    if half is None:
        return NoClaim(f"too few rows tell how far such a {group.ground} figure errs: measure this network there")
    return _estimate(middle, half, group.ground, rests, features)


def _estimate(middle: float, half: float, ground: str, rests: str, features: Features) -> Estimate:
    lost = sum(operator.elements for operator in features.uncovered)
    widened: tuple[str, ...] = ()
    if features.uncovered and ground != "measured":
        half += UNCOVERED * min(1.0, 4 * lost / max(features.act_elems, 1)) + 0.05
        names = ", ".join(operator.operator for operator in features.uncovered)
        widened = (f"no term stands for {names}, which write {lost:,} numbers",)
    return Estimate(
        value=math.exp(middle), low=math.exp(middle - half), high=math.exp(middle + half), unit="ms", ground=ground,
        rests_on=(rests, "ncnn's published benchmark lists"), protocol=PROTOCOL, widened=widened,
    )  # fmt: skip
