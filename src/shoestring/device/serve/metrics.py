"""Figures for Prometheus, in its text format (exposition formats, version 0.0.4)."""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from shoestring._version import __version__

if TYPE_CHECKING:
    from collections.abc import Iterable

    from shoestring.device.serve.desk import Desk
    from shoestring.device.serve.guard import Guard
    from shoestring.device.serve.live import LiveState
    from shoestring.device.serve.nouns import Service

MEDIA = "text/plain; version=0.0.4; charset=utf-8"
EDGES_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
Labels = tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Sample:
    """One line.

    Args:
        labels: name and value of each.
        value: a finite number.
        suffix: of the metric's name: `_bucket`, `_sum`, `_count`, or nothing.
    """

    labels: Labels
    value: float
    suffix: str = ""


@dataclass(frozen=True)
class Metric:
    """Lines of one name."""

    name: str
    kind: str
    words: str
    samples: tuple[Sample, ...]


class Requests:
    """Counts requests and their times, by route."""

    def __init__(self) -> None:
        self._codes: dict[tuple[str, int], int] = {}
        self._times: dict[str, list[int]] = {}
        self._sums: dict[str, float] = {}

    def note(self, route: str, status: int, seconds: float) -> None:
        """Take in one request that was answered.

        Args:
            route: as the routes name it, not the path that was asked for: a scanner must not fill our memory.
            status: of HTTP.
            seconds: from its head to the end of the answer.
        """
        key = (route, status)
        self._codes[key] = self._codes.get(key, 0) + 1
        if route not in self._times:
            self._times[route], self._sums[route] = [0] * (len(EDGES_S) + 1), 0.0
        self._times[route][bisect_left(EDGES_S, seconds)] += 1
        self._sums[route] += seconds

    def metrics(self) -> list[Metric]:
        """What was counted."""
        codes = tuple(
            Sample((("route", route), ("code", str(code))), count)
            for (route, code), count in sorted(self._codes.items())
        )
        times = tuple(sample for route in sorted(self._times) for sample in self._histogram(route))
        return [
            Metric("shoestring_requests_total", "counter", "Requests that were answered.", codes),
            Metric("shoestring_request_seconds", "histogram", "From a request's head to the end of its answer.", times),
        ]

    def _histogram(self, route: str) -> Iterable[Sample]:
        total = 0
        for edge, count in zip((*map(str, EDGES_S), "+Inf"), self._times[route], strict=True):
            total += count
            yield Sample((("route", route), ("le", edge)), total, "_bucket")
        yield Sample((("route", route),), self._sums[route], "_sum")
        yield Sample((("route", route),), total, "_count")


def collect(service: Service, desk: Desk, guard: Guard, requests: Requests, *, ready: bool, queue: int) -> list[Metric]:
    """Everything that is known now of a model for pictures; what is not known has no line."""
    own = desk.counts
    return [
        *begins(service.name, requests, ready=ready),
        *queued(desk.waiting, queue),
        many(
            "requests_dropped_total", "counter", "Requests given up before the engine had them.", "reason",
            {"oldest": own.dropped, "late": own.late, "gone": own.gone},
        ),
        many("requests_refused_total", "counter", "Requests not let in.", "reason", guard.refused),
        many("engine_failures_total", "counter", "Failures of the engine.", "kind", own.failures),
        many("answers_total", "counter", "Answers, by who gave them.", "by", service.live.by()),
        one("frames_dropped_total", "counter", "Frames that were let go.", service.live.counts()["dropped"]),
        *governed(service.live),
    ]  # fmt: skip


def begins(name: str, requests: Requests, *, ready: bool) -> list[Metric]:
    """What every server tells first."""
    return [
        one("build_info", "gauge", "Version of the server.", 1, version=__version__, model=name),
        one("ready", "gauge", "Whether requests are taken.", int(ready)),
        *requests.metrics(),
    ]


def queued(waiting: int, capacity: int) -> list[Metric]:
    """The queue before the engine."""
    return [
        one("queue_length", "gauge", "Requests that wait for the engine.", waiting),
        one("queue_capacity", "gauge", "Requests that may wait.", capacity),
    ]


def governed(live: LiveState) -> list[Metric]:
    """Rung, rate, board and our own memory."""
    readings, decision = live.readings, live.decision
    found = [one("moves_total", "counter", "Changes of rung or rate.", live.counts()["moves"])]
    if live.rung is not None:
        found.append(one("rung", "gauge", "The rung that runs.", 1, rung=live.rung))
    if decision is not None:
        found.append(one("wanted_rate", "gauge", "Examples a second that the governor allows.", decision.rate))
    if readings is not None:
        found += _board(readings.celsius, readings.watts, readings.clock, readings.memory_free_bytes)
        found.append(one("sensor_faults", "gauge", "Sensors that are not believed now.", len(readings.faults)))
    resident = resident_bytes()
    if resident is not None:
        found.append(Metric("process_resident_memory_bytes", "gauge", "Resident memory.", (Sample((), resident),)))
    return found


def render(metrics: Iterable[Metric]) -> bytes:
    """The text."""
    lines = []
    for metric in metrics:
        lines += [f"# HELP {metric.name} {_escape(metric.words)}", f"# TYPE {metric.name} {metric.kind}"]
        for sample in metric.samples:
            inside = ",".join(f'{key}="{_quote(value)}"' for key, value in sample.labels)
            lines.append(f"{metric.name}{sample.suffix}{'{' + inside + '}' if inside else ''} {_number(sample.value)}")
    return ("\n".join(lines) + "\n").encode()


def resident_bytes() -> int | None:
    """Resident memory of this process; None without /proc."""
    try:
        text = Path("/proc/self/status").read_text()
    except OSError:
        return None
    for line in text.splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024
    return None


def _board(celsius: float | None, watts: float | None, clock: float | None, free: int | None) -> list[Metric]:
    rows = (
        ("temperature_celsius", "Of the hottest sensor of the processor.", celsius),
        ("watts", "Of the board, or of its processor where only that is known.", watts),
        ("clock_share", "Of the full clock that is allowed now.", clock),
        ("memory_free_bytes", "That the system has left.", free),
    )
    return [one(name, "gauge", words, value) for name, words, value in rows if value is not None]


def one(name: str, kind: str, words: str, value: float, **labels: str) -> Metric:
    """A metric of one sample."""
    return Metric(f"shoestring_{name}", kind, words, (Sample(tuple(labels.items()), value),))


def many(name: str, kind: str, words: str, label: str, values: dict[str, int]) -> Metric:
    """A metric of a sample for each value of one label."""
    samples = tuple(Sample(((label, key),), value) for key, value in sorted(values.items()))
    return Metric(f"shoestring_{name}", kind, words, samples)


def _number(value: float) -> str:
    return str(value) if isinstance(value, int) else repr(float(value))


def _escape(text: str) -> str:
    return text.replace("\\", "\\\\").replace("\n", "\\n")


def _quote(text: str) -> str:
    return _escape(text).replace('"', '\\"')
