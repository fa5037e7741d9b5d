"""Per-layer sensitivity, as the page draws it."""

from __future__ import annotations

import math
from dataclasses import dataclass

from shoestring.domain.evidence import Evidence, Sensitivity
from shoestring.domain.ladder import Candidate

SHOWN = 25
_OPTION = "float_layers"


@dataclass(frozen=True)
class LayerBar:
    """One layer of the figure.

    Args:
        probe: the noun.
        fraction: length of its bar, in [0, 1].
        stays_float: the chosen rung leaves it in float.
    """

    probe: Sensitivity
    fraction: float
    stays_float: bool


@dataclass(frozen=True)
class LayerChart:
    """The worst layers, on a logarithmic scale.

    Args:
        bars: worst first, at most SHOWN.
        more: layers probed but not shown.
        more_float: of those, left in float by the chosen rung.
        low_exponent: the scale begins at ten to this power.
        high_exponent: and ends at ten to this one.
    """

    bars: tuple[LayerBar, ...]
    more: int
    more_float: int
    low_exponent: int
    high_exponent: int

    @property
    def decades(self) -> int:
        return self.high_exponent - self.low_exponent


def float_layers(candidate: Candidate) -> tuple[str, ...]:
    """Layers that a recipe's steps leave in float: their option `float_layers`, each name once."""
    found: dict[str, None] = {}
    for step in candidate.recipe.steps:
        names = step.options.get(_OPTION)
        if isinstance(names, tuple):
            found.update(dict.fromkeys(names))
    return tuple(found)


def layer_chart(evidence: Evidence, chosen: Candidate) -> LayerChart | None:
    """The sensitivity figure, or None when no layer was probed."""
    if not evidence.sensitivity:
        return None
    ordered = sorted(evidence.sensitivity, key=lambda probe: (-probe.kl, probe.layer))
    stays = frozenset(float_layers(chosen))
    shown, hidden = ordered[:SHOWN], ordered[SHOWN:]
    low, high = _decades([probe.kl for probe in shown])
    bars = tuple(LayerBar(probe, _fraction(probe.kl, low, high), probe.layer in stays) for probe in shown)
    return LayerChart(bars, len(hidden), sum(probe.layer in stays for probe in hidden), low, high)


def _decades(values: list[float]) -> tuple[int, int]:
    """Whole decades around the positive values; always at least one."""
    positive = [value for value in values if value > 0 and math.isfinite(value)]
    if not positive:
        return -1, 0
    low, high = math.floor(math.log10(min(positive))), math.ceil(math.log10(max(positive)))
    return low, max(high, low + 1)


def _fraction(value: float, low: int, high: int) -> float:
    if not value > 0:
        return 0.0
    if not math.isfinite(value):
        return 1.0
    # A value at the foot of the scale keeps a sliver, so that it can be told from zero.
    return max(0.01, (math.log10(value) - low) / (high - low))
