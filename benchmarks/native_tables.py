"""The benchmark's figures as rows and as text: ratios with their spread, shares of the peak, and the goals."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from native_contestants import NATIVE
from native_rounds import Timing, median, quantile

if TYPE_CHECKING:
    from collections.abc import Sequence

    from native_peak import Peak

# model: at least this many times faster than the best int8 peer
RATIO_GOALS = {
    "mobilenet_v2": 1.9,
    "efficientnet_lite0": 1.8,
    "cifar10_main": 1.5,
    "mobilenet_v1": 1.5,
    "resnet18": 1.2,
    "resnet50": 1.2,
    "yolov3_tiny": 1.2,
}
FP32_GOAL = {"mobilenet_v2": 1 / 1.1}
SHARE_GOAL = {"mobilenet_v2": 0.8}


@dataclass(frozen=True)
class Spread:
    """Of ratios between what ran in the same round: the median, and where 10 and 90 % of them lie."""

    median: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.median:.2f} ({self.low:.2f}-{self.high:.2f})"


@dataclass(frozen=True)
class Bout:
    """All contestants of one model and kind at one number of threads.

    Args:
        macs: multiply-accumulates of one inference.
        timings: by name.
        left_out: reasons, by name.
        notes: how each file was made, by name.
    """

    model: str
    kind: str
    threads: int
    macs: int
    timings: dict[str, Timing]
    left_out: dict[str, str]
    notes: dict[str, str] = field(default_factory=dict)

    def ms(self, name: str) -> float:
        timing = self.timings[name]
        return median(timing.rounds) if timing.rounds else timing.warm_ms

    @property
    def best_peer(self) -> str | None:
        """The peer with the smallest median."""
        peers = [name for name, timing in self.timings.items() if name != NATIVE and timing.rounds]
        return min(peers, key=self.ms, default=None)

    @property
    def ratio(self) -> Spread | None:
        """Best peer's time over native's, round by round; None where either is missing."""
        best, native = self.best_peer, self.timings.get(NATIVE)
        if best is None or native is None or not native.rounds:
            return None
        ratios = [peer / own for peer, own in zip(self.timings[best].rounds, native.rounds, strict=True)]
        return Spread(median(ratios), quantile(ratios, 0.1), quantile(ratios, 0.9))

    @property
    def goal(self) -> float | None:
        return {"int8": RATIO_GOALS, "fp32": FP32_GOAL}.get(self.kind, {}).get(self.model)


def lines_of(bout: Bout, peak: Peak | None, floor_kb: int) -> list[str]:
    """One bout as text.

    Args:
        floor_kb: memory of Python and numpy alone, KiB.
    """
    plural = "" if bout.threads == 1 else "s"
    arithmetic = "fp32" if bout.kind == "fp32" else "int8"
    lines = [f"{bout.model} {bout.kind}, {bout.threads} thread{plural}, {bout.macs / 1e6:.0f} million MACs"]
    for name in sorted(bout.timings, key=bout.ms):
        timing, ms = bout.timings[name], bout.ms(name)
        spread = (
            f"{quantile(timing.rounds, 0.1):.3f}-{quantile(timing.rounds, 0.9):.3f}" if timing.rounds else "warm-up"
        )
        share = f"{100 * peak.share(arithmetic, bout.macs, ms, bout.threads):5.1f} %" if peak else "      -"
        memory = f"{max(0, timing.peak_kb - floor_kb) / 1024:6.1f} MB"
        lines.append(f"  {name:<12} {ms:9.3f} ms ({spread:>15}) {share} of peak, {memory}, {timing.version}")
    lines += [f"  {name:<12} left out: {reason}" for name, reason in bout.left_out.items()]
    return lines


def goal_lines(bouts: Sequence[Bout], peak: Peak | None) -> list[str]:
    """What the project set out to reach beside what was measured."""
    lines = []
    for bout in bouts:
        goal, ratio = bout.goal, bout.ratio
        if goal is None or ratio is None:
            continue
        what = f"{bout.model} {bout.kind}, {bout.threads} thread(s): {ratio} times {bout.best_peer}"
        lines.append(_verdict(what, ratio.median >= goal, f"at least {goal:.2f}"))
        share_goal = SHARE_GOAL.get(bout.model) if bout.kind == "int8" and bout.threads == 1 else None
        if share_goal is not None and peak is not None:
            share = peak.share("int8", bout.macs, bout.ms(NATIVE), 1)
            what = f"{bout.model} int8: {100 * share:.1f} % of the VNNI peak"
            lines.append(_verdict(what, share >= share_goal, f"at least {100 * share_goal:.0f} %"))
    return lines


def ladder_lines(bouts: Sequence[Bout]) -> list[str]:
    """How much two threads bring each contestant over one."""
    single = {(bout.model, bout.kind): bout for bout in bouts if bout.threads == 1}
    lines = []
    for bout in bouts:
        one = single.get((bout.model, bout.kind))
        if bout.threads == 1 or one is None:
            continue
        gains = [
            f"{name} {one.ms(name) / bout.ms(name):.2f}"
            for name in bout.timings
            if name in one.timings and bout.timings[name].rounds and one.timings[name].rounds
        ]
        lines.append(f"  {bout.model} {bout.kind}, {bout.threads} threads over one: {', '.join(gains)}")
    return lines


def _verdict(what: str, met: bool, goal: str) -> str:
    return f"  {'reached' if met else 'MISSED ':<8} {what}; goal {goal}"
