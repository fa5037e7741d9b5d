"""Rows of the table as the latency model sees them: which cores ran, at which clock, in which group."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from shoestring.chips.published.table_chips import Cores, published_cores, table_chips

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from shoestring.domain.features import Features
    from shoestring.domain.measured import Row

FLOATS = ("fp32", "fp16")
_CPU_UNDER_GPU = "Vulkan"
_LITTLE = re.compile(r"powersave=1|little cores only")


@dataclass(frozen=True)
class Setting:
    """Everything but the network.

    Args:
        chip: name in the table.
        core: name of the cores that ran.
        isa: their class of instruction sets.
        kind: `fp` or `int8`.
        threads: 1 or more.
        ghz: clock of these cores.
        little: ran on the small cluster of a chip with two.
        mixed: more threads than the big cluster has cores.
        peak: operations a cycle and core in the arithmetic used.
        out_of_order: of the core.
        run: what else sets runs apart: version, day, source; empty for a prediction.
        runtime: by our names.
    """

    chip: str
    core: str
    isa: str
    kind: str
    threads: int
    ghz: float
    little: bool
    mixed: bool
    peak: float
    out_of_order: bool
    run: str = ""
    runtime: str = "ncnn"


@dataclass(frozen=True)
class Observation:
    """A measurement with counts. Args: setting; network: base name; features; log_ms: natural logarithm of its latency;
    noisy: flagged so."""

    setting: Setting
    network: str
    features: Features
    log_ms: float
    noisy: bool


def network_of(model: str) -> str:
    """Name that a network and its 8-bit form share."""
    return model.removesuffix("_int8")


def setting_on(
    chip: str,
    clusters: tuple[Cores, ...],
    kind: str,
    half: bool,
    threads: int | None,
    *,
    little: bool = False,
    ghz: float | None = None,
    run: str = "",
    runtime: str = "ncnn",
) -> Setting | None:
    """The setting of a run on these clusters; None where a core is unknown.

    Args:
        chip: name.
        clusters: the fastest first.
        kind: `fp` or `int8`.
        half: floats run in fp16 where the core can.
        threads: None: as many as the cluster has cores.
        little: on the second cluster, where there is one.
        ghz: clock as the source gives it, of the big cluster.
        run: see Setting.
        runtime: see Setting.
    """
    small = little and len(clusters) > 1
    cluster = clusters[1 if small else 0]
    core = published_cores().get(cluster.core)
    if core is None:
        return None
    count = threads or cluster.count
    peak = core.int8 if kind == "int8" else (core.fp16 or core.fp32) if half else core.fp32
    return Setting(
        chip=chip, core=core.name, isa=core.isa, kind=kind, threads=count,
        ghz=cluster.ghz if small or ghz is None else ghz, little=small,
        mixed=len(clusters) > 1 and not small and count > cluster.count, peak=peak, out_of_order=core.out_of_order,
        run=run,
        runtime=runtime,
    )  # fmt: skip


def observations(
    rows: Iterable[Row],
    networks: Mapping[tuple[str, str], Features],
    *,
    runtime: str = "ncnn",
    clusters: Mapping[str, tuple[Cores, ...]] | None = None,
) -> list[Observation]:
    """Rows of one runtime on processors whose networks have counts.

    Left out: rows listed under a GPU run that ran on the processor (they repeat the processor's own rows), and chips
    whose cores are unknown.
    """
    found = []
    known = table_chips() | dict(clusters or {})
    for row in rows:
        features = networks.get((row.model, row.input))
        cores = known.get(row.chip)
        if row.device != "cpu" or row.runtime != runtime or not row.latency_ms or features is None or cores is None:
            continue
        if _CPU_UNDER_GPU in row.flags:
            continue
        little = bool(_LITTLE.search(row.conditions) or _LITTLE.search(row.flags))
        kind = "fp" if row.precision in FLOATS else row.precision
        run = f"{row.version}|{row.source}|{row.ghz}"
        setting = setting_on(
            row.chip,
            cores,
            kind,
            row.precision == "fp16",
            row.threads,
            little=little,
            ghz=row.ghz,
            run=run,
            runtime=runtime,
        )
        if setting is not None:
            noisy = "noisy" in row.flags
            found.append(Observation(setting, network_of(row.model), features, math.log(row.latency_ms), noisy))
    return found
