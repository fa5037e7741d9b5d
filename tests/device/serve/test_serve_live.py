"""What the live page is told: bounded, honest about age, the same for every reader."""

from __future__ import annotations

import json
import threading

import pytest

from serving_scenes import BOXES, picture
from shoestring.device.answers import Answer
from shoestring.device.governor.nouns import Decision
from shoestring.device.pipelines.nouns import Result
from shoestring.device.sensors.readings import Fault, Readings
from shoestring.device.serve import LiveState
from shoestring.device.serve.live import ANSWERS, DECISIONS, EDGES_MS, HISTORY_S, STALE_S, STEP_S, WATCHED_S
from shoestring.device.serve.streams import EVENT_S


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


def make(**more: object) -> tuple[LiveState, Clock]:
    clock = Clock()
    return LiveState("m", clock=clock, wall=lambda: 5e9 + clock.now, **more), clock  # type: ignore[arg-type]


def result(number: int, arrived_s: float, took_s: float = 0.02, rung: str = "int8") -> Result:
    return Result(number, arrived_s, arrived_s + took_s, rung, "model", BOXES)


def test_a_new_state_knows_nothing_and_says_so() -> None:
    said = make()[0].snapshot()
    for unknown in ("rung", "why", "wanted_rate", "board", "seen", "picture"):
        assert said[unknown] is None
    assert said["temperature"] == {"now": None, "limit": None, "forecast": None, "history": []}
    assert (said["rate"], said["troubles"], said["decisions"]) == (0.0, [], [])
    assert said["latency_ms"]["p50"] is None
    json.dumps(said, allow_nan=False)


def test_what_was_published_is_told() -> None:
    live, clock = make(source="camera 0", celsius=80.0, watts=7.0, words=lambda decision: f"since {decision.reason}")
    answer = Answer("cat", 0, 0.9, ((0, "cat", 0.9), (1, "dog", 0.1)))
    live.publish(
        Result(3, 999.0, 999.05, "int8", "track", BOXES, answer),
        Decision(998.0, "int8", 5.0, "heat", True, {"forecast_celsius": 78.0, "forecast_in_s": 60.0}),
        Readings(1000.0, 71.5, 4.25, 0.9, battery_wh=12.5, on_battery=True),
        picture(0),
    )
    clock.now = 1001.0
    said = live.snapshot()
    assert (said["rung"], said["why"], said["wanted_rate"], said["source"]) == ("int8", "since heat", 5.0, "camera 0")
    assert said["temperature"] == {"now": 71.5, "limit": 80.0, "forecast": [60.0, 78.0], "history": [(1.0, 71.5)]}
    assert said["watts"]["now"] == 4.25
    assert said["board"]["battery_wh"] == 12.5
    assert said["picture"] == [1, 1.0]
    seen = said["seen"]
    assert (seen["frame"], seen["by"], seen["age_s"], seen["box_count"]) == (3, "track", 2.0, 3)
    assert seen["top"][0] == {"label": "cat", "score": 0.9}
    assert said["decisions"] == [
        {"number": 1, "at": 5e9 + 998.0, "rung": "int8", "rate": 5.0, "reason": "heat", "why": "since heat"}
    ]
    assert live.picture() == (1, picture(0))
    json.dumps(said, allow_nan=False)


@pytest.mark.parametrize("period_s", [0.05, 0.5])
def test_a_silent_source_is_told_within_two_seconds(period_s: float) -> None:
    live, clock = make(source="camera 0")
    for number in range(20):
        live.publish(result(number, clock.now))
        assert live.snapshot()["troubles"] == []
        clock.now += period_s
    silent_since = clock.now - period_s
    while not live.snapshot()["troubles"]:
        clock.now += EVENT_S
        assert clock.now < silent_since + 10
    assert clock.now - silent_since <= 2.0
    assert STALE_S + EVENT_S <= 2.0  # wherever in the period of events the silence falls
    assert live.snapshot()["troubles"][0]["what"] == "source"
    live.publish(result(99, clock.now))
    assert live.snapshot()["troubles"] == []


def test_a_source_that_is_slow_by_nature_is_not_called_silent() -> None:
    live, clock = make(source="folder", stale_s=30.0)
    live.publish(result(0, clock.now))
    clock.now += 20
    assert live.snapshot()["troubles"] == []
    assert make()[0].snapshot()["troubles"] == []  # without a source nobody is silent


def test_a_lost_sensor_leaves_a_gap_and_no_forecast() -> None:
    live, clock = make(celsius=80.0)
    foreseen = Decision(clock.now, "int8", 5.0, "heat", True, {"forecast_celsius": 70.0, "forecast_in_s": 60.0})
    live.publish(None, foreseen, Readings(clock.now, 60.0))
    assert live.snapshot()["temperature"]["forecast"] == [60.0, 70.0]
    clock.now += STEP_S
    fault = Fault("celsius", "impossible", "-89")
    live.publish(readings=Readings(clock.now, None, faults=(fault,)))
    said = live.snapshot()
    assert said["temperature"]["history"] == [(STEP_S, 60.0), (0.0, None)]
    assert (said["temperature"]["now"], said["temperature"]["forecast"]) == (None, None)
    assert said["troubles"] == [{"what": "celsius", "words": "sensor impossible (it said -89)", "age_s": None}]


def test_pictures_are_asked_for_while_somebody_looks_and_seldom_otherwise() -> None:
    live, clock = make()
    made = 0
    for tenth in range(1000):
        clock.now = 1000.0 + tenth / 10
        if live.watched:
            live.publish(picture_jpeg=b"x")
            made += 1
    assert made == 10
    for tenth in range(1000, 1100):
        clock.now = 1000.0 + tenth / 10
        assert live.picture() is not None
        assert live.watched
    clock.now += WATCHED_S
    live.publish(picture_jpeg=b"y")
    assert not live.watched


def test_memory_is_bounded_whatever_comes() -> None:
    live, clock = make()
    for number in range(3000):
        clock.now += 1.0
        decision = Decision(clock.now, f"r{number}", 1.0, "x", True, {})
        live.publish(result(number, clock.now), decision, Readings(clock.now, 50.0, 3.0), b"jpeg")
        live.trouble("engine", f"failure {number}")
    said = live.snapshot()
    assert len(said["decisions"]) == DECISIONS
    assert said["decisions"][0]["rung"] == "r2999"
    assert said["latency_ms"]["n"] == ANSWERS
    assert len(said["temperature"]["history"]) <= HISTORY_S / STEP_S
    assert max(age for age, _ in said["temperature"]["history"]) <= HISTORY_S
    assert len(said["troubles"]) == 1
    assert said["counts"] == {"answered": 3000, "dropped": 0, "moves": 3000, "pictures": 3000}
    assert len(json.dumps(said)) < 40_000


def test_only_moves_and_the_first_decision_are_listed() -> None:
    live, clock = make()
    for second in range(100):
        clock.now += 1
        live.publish(decision=Decision(clock.now, "int8", 5.0, "steady", second == 50, {}))
    said = live.snapshot()
    assert [one["at"] for one in said["decisions"]] == [5e9 + 1051.0, 5e9 + 1001.0]
    assert said["counts"]["moves"] == 1


def test_the_rate_is_that_of_the_last_ten_seconds() -> None:
    live, clock = make()
    for _ in range(600):
        clock.now += 0.05
        live.answered(clock.now - 0.01, clock.now, "int8")
    assert live.snapshot()["rate"] == pytest.approx(20.0, rel=0.02)
    for _ in range(4000):  # more in ten seconds than are remembered
        clock.now += 0.001
        live.answered(clock.now - 0.01, clock.now, "int8")
    assert live.snapshot()["rate"] == pytest.approx(1000.0, rel=0.02)
    clock.now += 60
    assert live.snapshot()["rate"] == 0.0


def test_the_distribution_is_that_of_the_latencies() -> None:
    live, clock = make()
    for took_ms in [0.5, 1.0, 1.5, 3.0, 30.0, 7000.0, *[4.0] * 94]:
        live.answered(clock.now - took_ms / 1000, clock.now, "int8")
    said = live.snapshot()["latency_ms"]
    counts = dict(zip([*EDGES_MS, "more"], said["counts"], strict=True))
    assert sum(said["counts"]) == said["n"] == 100
    assert (counts[1.0] + counts[2.0], counts[5.0], counts[50.0], counts["more"]) == (3, 95, 1, 1)
    assert said["p50"] == pytest.approx(4.0)
    assert said["p90"] == pytest.approx(4.0)
    assert said["p99"] == pytest.approx(7000.0)


def test_many_threads_may_write_and_read() -> None:
    live, _ = make(source="camera 0")
    errors = []

    def work(number: int) -> None:
        try:
            for step in range(300):
                live.publish(result(step, 1000.0), Decision(1000.0, "r", 1.0, "x", step % 3 == 0, {}), None, b"x")
                live.trouble(f"t{number}", None if step % 2 else "words")
                json.dumps(live.snapshot())
        except RuntimeError as error:
            errors.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert live.counts()["answered"] == 1200
