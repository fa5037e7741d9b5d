"""What the live page shows: a bounded memory of what went on, filled by one thread and read by another."""

from __future__ import annotations

import threading
import time
from collections import deque
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from shoestring.device.governor.nouns import Decision
    from shoestring.device.pipelines.nouns import Result
    from shoestring.device.sensors.readings import Readings

HISTORY_S, STEP_S = 600.0, 2.0
"""How long temperature and watts are remembered, and how close their points stand, s."""
RATE_S = 10.0
ANSWERS = 512
DECISIONS = 50
BOXES = 50
STALE_S = 1.5
"""A picture older than this is called stale: with one look a second the page says so within 2 s."""
WATCHED_S, UNWATCHED_S = 3.0, 10.0
"""For so long after a look somebody is taken to be looking; so often a picture is made for nobody."""
EDGES_MS = (1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0, 1000.0, 2000.0, 5000.0)


class LiveState:
    """The last ten minutes of a device. All methods may be called from any thread.

    Args:
        name: of the model.
        source: where pictures come from, for people; None: nothing but requests over HTTP.
        celsius: limit of the temperature, or None.
        watts: likewise.
        stale_s: a picture that is older is called stale; for sources slower than one a second give more than a period.
        words: a decision in words, for people; None shows its reason as it is.
        clock: monotonic, s; that of results, decisions and readings.
        wall: time of day, s since the epoch.
        written: of a model that writes, what `serve.written` tells; None of any other.
    """

    def __init__(
        self,
        name: str,
        *,
        source: str | None = None,
        celsius: float | None = None,
        watts: float | None = None,
        stale_s: float = STALE_S,
        words: Callable[[Decision], str] | None = None,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
        written: Callable[[], dict[str, Any]] | None = None,
    ) -> None:
        self.name, self.source, self.written = name, source, written
        self._limits = {"celsius": celsius, "watts": watts}
        self._stale_s, self._words, self._clock, self._wall = stale_s, words, clock, wall
        self._lock = threading.Lock()
        self._started_s = clock()
        self._answers: deque[tuple[float, float]] = deque(maxlen=ANSWERS)
        self._history: deque[tuple[float, float | None, float | None]] = deque(maxlen=int(HISTORY_S / STEP_S))
        self._decisions: deque[dict[str, Any]] = deque(maxlen=DECISIONS)
        self._result: Result | None = None
        self._rung: str | None = None
        self._decision: Decision | None = None
        self._readings: Readings | None = None
        self._forecast: tuple[float, float] | None = None
        self._picture: tuple[int, float, bytes] | None = None
        self._looked_s = float("-inf")
        self._troubles: dict[str, tuple[float, str]] = {}
        self._counted = {"answered": 0, "dropped": 0, "moves": 0, "pictures": 0}
        self._by: dict[str, int] = {}

    def publish(
        self,
        result: Result | None = None,
        decision: Decision | None = None,
        readings: Readings | None = None,
        picture_jpeg: bytes | None = None,
    ) -> None:
        """Take in what is new; None leaves what was there.

        Args:
            result: of one frame.
            decision: of the governor; its numbers `forecast_celsius` and `forecast_in_s` are shown as the forecast.
            readings: of the sensors.
            picture_jpeg: the frame with its boxes, as JPEG.
        """
        now = self._clock()
        with self._lock:
            if result is not None:
                self._result, self._rung = result, result.rung
                self._count(result.arrived_s, result.answered_s, result.by)
            if decision is not None:
                self._decide(decision, now)
            if readings is not None:
                self._readings = readings
                if not self._history or now - self._history[-1][0] >= STEP_S:
                    self._history.append((now, readings.celsius, readings.watts))
            if picture_jpeg is not None:
                self._counted["pictures"] += 1
                self._picture = (self._counted["pictures"], now, picture_jpeg)

    def keep_below(self, celsius: float | None, watts: float | None) -> None:
        """Show these limits from now on."""
        with self._lock:
            self._limits = {"celsius": celsius, "watts": watts}

    def answered(self, arrived_s: float, answered_s: float, rung: str) -> None:
        """Count an answer that had no frame: a request over HTTP."""
        with self._lock:
            self._rung = rung
            self._count(arrived_s, answered_s, "model")

    def dropped(self, count: int = 1) -> None:
        """Count frames that were let go."""
        with self._lock:
            self._counted["dropped"] += count

    def trouble(self, what: str, words: str | None) -> None:
        """Say that something is wrong, or with None that it is well again.

        Args:
            what: `engine`, `source`, ...
            words: for people.
        """
        with self._lock:
            if words is None:
                self._troubles.pop(what, None)
            elif what not in self._troubles or self._troubles[what][1] != words:
                self._troubles[what] = (self._clock(), words)

    def picture(self) -> tuple[int, bytes] | None:
        """Number and JPEG of the last picture."""
        with self._lock:
            self._looked_s = self._clock()
            return None if self._picture is None else (self._picture[0], self._picture[2])

    @property
    def watched(self) -> bool:
        """Whether a picture is worth making: somebody looks, or what a newcomer would see is old.

        Drawing and encoding a frame may cost more than a small model does.
        """
        now = self._clock()
        with self._lock:
            old = self._picture is None or now - self._picture[1] >= UNWATCHED_S
            return old or now - self._looked_s < WATCHED_S

    @property
    def rung(self) -> str | None:
        """That runs: the one decided on, or where nobody decides the one that answered last."""
        return self._rung if self._decision is None else self._decision.rung

    @property
    def decision(self) -> Decision | None:
        """The last one."""
        return self._decision

    @property
    def readings(self) -> Readings | None:
        """The last ones."""
        return self._readings

    def counts(self) -> dict[str, int]:
        """Since the start: `answered`, `dropped`, `moves`, `pictures`."""
        with self._lock:
            return dict(self._counted)

    def by(self) -> dict[str, int]:
        """Answers by who gave them; see `pipelines.nouns.BY`."""
        with self._lock:
            return dict(self._by)

    def snapshot(self) -> dict[str, Any]:
        """Everything, as JSON holds it. Ages in seconds, times since the epoch, latencies in ms."""
        now = self._clock()
        with self._lock:
            decision, readings, result = self._decision, self._readings, self._result
            return {
                "name": self.name,
                "source": self.source,
                "at": self._wall(),
                "up_s": now - self._started_s,
                "rung": self.rung,
                "wanted_rate": None if decision is None else decision.rate,
                "why": None if decision is None else self._why(decision),
                "rate": self._rate(now),
                "latency_ms": _distribution([1000 * took for _, took in self._answers]),
                "temperature": self._line("celsius", 1, now, self._forecast),
                "watts": self._line("watts", 2, now, None),
                "decisions": list(reversed(self._decisions)),
                "troubles": self._wrong(now),
                "board": None if readings is None else _board(readings),
                "seen": None if result is None else _seen(result, now),
                "written": None if self.written is None else self.written(),
                "picture": None if self._picture is None else [self._picture[0], now - self._picture[1]],
                "counts": dict(self._counted),
            }

    def _count(self, arrived_s: float, answered_s: float, by: str) -> None:
        self._answers.append((answered_s, max(0.0, answered_s - arrived_s)))
        self._counted["answered"] += 1
        self._by[by] = self._by.get(by, 0) + 1

    def _decide(self, decision: Decision, now: float) -> None:
        first = self._decision is None
        self._decision = decision
        ahead_s, celsius = decision.numbers.get("forecast_in_s"), decision.numbers.get("forecast_celsius")
        self._forecast = None
        if isinstance(ahead_s, float) and isinstance(celsius, float):
            self._forecast = (ahead_s, celsius)
        if decision.moved or first:
            self._counted["moves"] += decision.moved
            self._decisions.append(
                {
                    "number": self._counted["moves"],
                    "at": self._wall() - (now - decision.at_s),
                    "rung": decision.rung,
                    "rate": decision.rate,
                    "reason": decision.reason,
                    "why": self._why(decision),
                }
            )

    def _why(self, decision: Decision) -> str:
        return decision.reason if self._words is None else self._words(decision)

    def _rate(self, now: float) -> float:
        window = min(RATE_S, max(now - self._started_s, 1.0))
        recent = sum(1 for at, _ in self._answers if now - at <= window)
        if recent == self._answers.maxlen:  # more in the window than we remember
            window = max(now - self._answers[0][0], 1e-3)
        return recent / window

    def _line(self, what: str, column: int, now: float, forecast: tuple[float, float] | None) -> dict[str, Any]:
        latest: float | None = None if self._readings is None else getattr(self._readings, what)
        points = [(now - point[0], point[column]) for point in self._history if now - point[0] <= HISTORY_S]
        return {
            "now": latest,
            "limit": self._limits[what],
            "forecast": None if forecast is None or latest is None else list(forecast),
            "history": points,
        }

    def _wrong(self, now: float) -> list[dict[str, Any]]:
        """What is wrong now, in words; the source's silence is found here, since nobody publishes it."""
        found = [
            {"what": what, "words": words, "age_s": now - since} for what, (since, words) in self._troubles.items()
        ]
        if self.source is not None and "source" not in self._troubles:
            last = self._started_s if self._result is None else self._result.arrived_s
            if now - last > self._stale_s:
                words = "no picture yet" if self._result is None else "no new picture: what is shown is old"
                found.append({"what": "source", "words": words, "age_s": now - last})
        for fault in () if self._readings is None else self._readings.faults:
            said = f" (it said {fault.said})" if fault.said else ""
            found.append({"what": fault.sensor, "words": f"sensor {fault.kind}{said}", "age_s": None})
        return found


def _distribution(latencies_ms: Iterable[float]) -> dict[str, Any]:
    """Percentiles, and how many lie in each class of EDGES_MS; the last class has no end."""
    ordered = sorted(latencies_ms)
    counts = [0] * (len(EDGES_MS) + 1)
    place = 0
    for value in ordered:
        while place < len(EDGES_MS) and value > EDGES_MS[place]:
            place += 1
        counts[place] += 1

    def percentile(share: float) -> float | None:
        return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else None

    return {
        "n": len(ordered),
        "p50": percentile(0.5),
        "p90": percentile(0.9),
        "p99": percentile(0.99),
        "edges": list(EDGES_MS),
        "counts": counts,
    }


def _board(readings: Readings) -> dict[str, Any]:
    return {key: value for key, value in asdict(readings).items() if key not in ("at_s", "celsius", "watts", "faults")}


def _seen(result: Result, now: float) -> dict[str, Any]:
    answer = result.answer
    return {
        "frame": result.frame,
        "by": result.by,
        "rung": result.rung,
        "name": result.name,
        "age_s": now - result.arrived_s,
        "latency_ms": 1000 * (result.answered_s - result.arrived_s),
        "boxes": [{"label": box.label, "score": box.score, "track": box.track} for box in result.boxes[:BOXES]],
        "box_count": len(result.boxes),
        "top": None if answer is None else [{"label": label, "score": score} for _, label, score in answer.top],
    }
