"""How prices are shared: each level of the house of chips adds its own deviation, held by a prior.

The price of term k in a setting is exp(sum over the setting's levels of a weight). A level with many chips below it is
learnt from all of them; a chip's own level is learnt from its rows and is nothing where it has none.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from shoestring.costmodel.latency.terms import NAMES

if TYPE_CHECKING:
    from collections.abc import Mapping

    from shoestring.costmodel.latency.observations import Setting


@dataclass(frozen=True)
class Spread:
    """Prior standard deviations of the deviations, as natural logarithms.

    Args:
        term: of a term's price.
        scale: of the price of all terms together.
    """

    term: float
    scale: float


SPREADS = {
    "all": Spread(0.8, 3.0),
    "kind": Spread(0.3, 0.5),
    "isa": Spread(0.3, 0.3),
    "core": Spread(0.25, 0.25),
    "chip": Spread(0.2, 0.15),
    "chipkind": Spread(0.15, 0.1),
    "threads": Spread(0.15, 0.3),
    "isathreads": Spread(0.1, 0.1),
    "setting": Spread(0.0, 0.1),
    "runtime": Spread(0.4, 0.7),
    "run": Spread(0.0, 0.07),
    "peak": Spread(0.0, 0.5),
    "order": Spread(0.0, 0.3),
    "mixed": Spread(0.0, 0.3),
}
OWN = ("chip", "chipkind", "setting", "run", "runtime")
"""Levels that belong to one chip alone."""


def levels(setting: Setting) -> list[tuple[str, str, float]]:
    """The levels that a setting lies on: name of the spread, key of the level, weight."""
    kind, chip = setting.kind, f"{setting.chip}{'/little' if setting.little else ''}"
    lt = math.log(setting.threads)
    here = f"{chip}|{kind}|{setting.threads}"
    found = [
        ("all", "all", 1.0),
        ("kind", f"kind {kind}", 1.0),
        ("isa", f"isa {setting.isa} {kind}", 1.0),
        ("core", f"core {setting.core} {kind}", 1.0),
        ("chip", f"chip {chip}", 1.0),
        ("chipkind", f"chip {chip}|{kind}", 1.0),
        ("threads", "threads", lt),
        ("isathreads", f"threads {setting.isa} {kind}", lt),
        ("setting", f"setting {here}", 1.0),
        ("peak", f"peak {kind}", -math.log(setting.peak / 8)),
        ("order", "order", 1.0 if setting.out_of_order else 0.0),
        ("mixed", "mixed", 1.0 if setting.mixed else 0.0),
    ]
    if setting.runtime != "ncnn":
        found.append(("runtime", f"chip {chip}|{setting.runtime}|{kind}", 1.0))
    if setting.run:
        found.append(("run", f"run {here}|{setting.run}", 1.0))
    return [level for level in found if level[2]]


def weights_of(spread: str, key: str) -> list[tuple[str, float]]:
    """Names of a level's weights, one a term and one for the scale, with their prior standard deviations."""
    prior = SPREADS[spread]
    named = [(f"{key}#{name}", prior.term) for name in NAMES] if prior.term else []
    return [*named, (f"{key}#scale", prior.scale)]


def given(setting: Setting) -> float:
    """What a latency is known to follow: the clock exactly, the threads to the power 0.75 before anything is learnt."""
    return -math.log(setting.ghz) - 0.75 * math.log(setting.threads) - 2.5


def owner(name: str) -> str | None:
    """The chip that a weight belongs to; None for a shared one."""
    level, _, rest = name.partition(" ")
    if level not in ("chip", "setting", "run"):
        return None
    return rest.split("#")[0].split("|")[0]


def shared_only(weights: Mapping[str, float]) -> dict[str, float]:
    """The weights that belong to no chip."""
    return {name: value for name, value in weights.items() if owner(name) is None}
