"""Groups of the latency model: each network's rows, predicted and bounded without that network."""

from __future__ import annotations

import math
from collections.abc import Iterator

from predict_groups import Group
from shoestring.costmodel.latency.intervals import Group as Ground
from shoestring.costmodel.latency.intervals import half_width, published_groups, share
from shoestring.domain.estimate import Estimate


def _cases(*grounds: Ground) -> Iterator[tuple[float, Estimate]]:
    for ground in grounds:
        for case in published_groups().get(ground, ()):
            taken = share(ground, case.network) if ground.ground == "transfer" else 0.0
            middle = case.predicted + taken * case.source
            half = half_width(ground, case.novelty, case.network)
            if half is not None:
                low, high = math.exp(middle - half), math.exp(middle + half)
                yield (
                    math.exp(case.log_ms),
                    Estimate(math.exp(middle), low, high, "ms", ground.ground, ("table",), "ncnn"),
                )


def _of(ground: str, *kinds: str, relations: tuple[str, ...] = ("",)) -> list[Ground]:
    return [Ground(ground, kind, relation) for kind in kinds for relation in relations]


ARM = ("core", "isa", "arm")
GROUPS = (
    Group("CPU fp, calibrated chip", (9, 30), lambda: _cases(*_of("calibrated", "fp"))),
    Group("CPU int8, calibrated chip", (11, 32), lambda: _cases(*_of("calibrated", "int8"))),
    Group("CPU fp, own run known", (9, 30), lambda: _cases(*_of("calibrated", "fp", relations=("run",)))),
    Group("CPU int8, own run known", (11, 32), lambda: _cases(*_of("calibrated", "int8", relations=("run",)))),
    Group("transfer within Arm", (6, 20), lambda: _cases(*_of("transfer", "fp", "int8", relations=ARM))),
    Group("- same core", None, lambda: _cases(*_of("transfer", "fp", "int8", relations=("core",)))),
    Group("transfer between x86 and Arm", (10, 28), lambda: _cases(*_of("transfer", "fp", "int8", relations=("x86",)))),
    Group("network known on other boards", None, lambda: _cases(*_of("transfer", "fp", "int8", relations=("table",)))),
    Group("measured, by somebody else", None, lambda: _cases(*_of("measured", "fp", "int8"))),
    Group("specifications only", (22, 55), lambda: _cases(*_of("specifications", "fp", "int8"))),
    Group("one anchor model", (13, 35), lambda: _cases(*_of("anchored", "fp", "int8"))),
)
