"""The loop between source, pipeline, engine and governor, with a scripted world."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import numpy as np
import pytest

from shoestring.base.errors import DataError, EngineDownError, EngineFaultError, StorageError
from shoestring.device.governor.nouns import Decision, Work
from shoestring.device.live.listeners import REST_S, Listener, Listeners
from shoestring.device.live.loop import TRIES, Loop
from shoestring.device.live.tally import Tally
from shoestring.device.live.ticker import Ticker
from shoestring.device.pipelines.nouns import Frame, Result
from shoestring.device.pipelines.pipeline import Pipeline, Reading, Sparing
from shoestring.device.pipelines.sources.protocol import Stale
from shoestring.device.sensors.readings import Readings
from shoestring.device.supervise.nouns import Reply
from shoestring.domain.head import Head, Part
from shoestring.domain.preprocess import Preprocess

SPEC = Preprocess(height=8, width=8)
HEAD = Head("ssd", (Part("boxes", (1, 4)), Part("scores", (1, 2))), 2)


class World:
    """A clock that only moves when somebody waits."""

    def __init__(self) -> None:
        self.now = 100.0

    def clock(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


class Script:
    """A source that gives what it was told, `gap_s` apart."""

    def __init__(self, world: World, items: list[str], *, live: bool, gap_s: float = 0.1) -> None:
        self.world, self.items, self.live, self.gap_s = world, items, live, gap_s
        self.rate, self.dropped = 1 / gap_s, 0

    def __iter__(self) -> Iterator[Frame | Stale]:
        for number, item in enumerate(self.items):
            if item == "stale":
                self.world.now += 1.0
                yield Stale(self.world.now, 1.0, "no signal")
                continue
            if item == "lost":
                self.dropped += 1
                continue
            if self.live:
                self.world.now += self.gap_s
            yield Frame(number, self.world.now, np.full((8, 8, 3), number, np.uint8), (8, 8))

    def close(self) -> None:
        pass


class Brain:
    """An engine that answers, or fails as told."""

    def __init__(self, faults: dict[int, Exception] | None = None, count: int = 4) -> None:
        self.faults, self.count = faults or {}, count
        self.calls, self.switched, self.tended = 0, list[str](), 0
        self._failed: list[tuple[str, int]] = []
        self.rungs, self.running = (), "a"

    def switch(self, rung: str) -> None:
        self.switched.append(rung)
        self.running = rung

    def infer(self, pixels: np.ndarray) -> Reply:
        assert pixels.shape == (8, 8, 3)
        self.calls += 1
        if self.calls in self.faults:
            self._failed.append((self.running, 1))
            raise self.faults[self.calls]
        outputs = np.array([0.1, 0.1, 0.5, 0.5, 0.9, 0.1], np.float32) if self.count == 6 else np.arange(self.count)
        return Reply(outputs.astype(np.float32), self.running, 0.01, 1, False)

    def tend(self) -> None:
        self.tended += 1

    def take_failures(self) -> tuple[tuple[str, int], ...]:
        failed, self._failed = tuple(self._failed), []
        return failed

    def close(self) -> None:
        pass


class Still:
    def look(self) -> Readings:
        return Readings(0.0)

    def close(self) -> None:
        pass


class Fixed:
    """Decides one thing after the other, the last one for ever."""

    def __init__(self, *decisions: tuple[str | None, float]) -> None:
        self.decisions = decisions

    def start(self) -> int:
        return 0

    def decide(self, state: int, readings: Readings, work: Work, now_s: float) -> tuple[int, Decision]:
        rung, rate = self.decisions[min(state, len(self.decisions) - 1)]
        return state + 1, Decision(now_s, rung, rate, "test", False)


class Ear(Listener):
    name = "ear"

    def __init__(self) -> None:
        self.results: list[Result] = []
        self.lost = 0
        self.troubles: list[tuple[str, str | None]] = []

    def result(self, frame: Frame, result: Result) -> None:
        assert frame.number == result.frame
        self.results.append(result)

    def dropped(self, count: int) -> None:
        self.lost += count

    def trouble(self, what: str, words: str | None) -> None:
        self.troubles.append((what, words))


class Scene:
    def __init__(self, items: list[str], *decisions: tuple[str | None, float], live: bool = True, **engine: object):
        self.world, self.ear, self.tally = World(), Ear(), Tally()
        head = HEAD if engine.get("count") == 6 else None
        self.engine = Brain(**engine)
        self.ticker = Ticker(Fixed(*decisions), Still(), self.tally, clock=self.world.clock)
        pipeline = Pipeline(Reading(SPEC, ("x", "y"), head), Sparing(), clock=self.world.clock)
        self.loop = Loop(
            Script(self.world, items, live=live),
            pipeline,
            self.engine,
            self.ticker,
            self.tally,
            Listeners([self.ear], self.world.clock),
            clock=self.world.clock,
            sleep=self.world.sleep,
        )
        self.stop = threading.Event()

    def run(self) -> Scene:
        self.loop.run(self.stop)
        self.ticker.close()
        return self


def test_every_frame_of_a_camera_is_answered_by_the_rung_that_was_decided() -> None:
    scene = Scene(["frame"] * 5, ("a", 100.0)).run()
    assert [result.frame for result in scene.ear.results] == [0, 1, 2, 3, 4]
    assert scene.engine.switched == ["a"]
    assert all(result.by == "model" and result.rung == "a" for result in scene.ear.results)
    assert scene.tally.take().answered == 5 and scene.ear.lost == 0 and scene.ear.troubles == []


def test_frames_above_the_rate_are_dropped_and_counted_when_live() -> None:
    scene = Scene(["frame"] * 20, ("a", 5.0)).run()
    assert len(scene.ear.results) == 10 and scene.ear.lost == 10
    work = scene.tally.take()
    assert (work.answered, work.dropped) == (10, 10)


def test_frames_of_a_file_wait_for_the_rate() -> None:
    scene = Scene(["frame"] * 6, ("a", 5.0), live=False).run()
    assert len(scene.ear.results) == 6 and scene.ear.lost == 0
    assert scene.world.now - 100.0 == pytest.approx(1.0, abs=0.1)


def test_a_tracker_answers_where_the_model_may_not() -> None:
    scene = Scene(["frame"] * 4, ("a", 5.0), count=6).run()
    assert [result.by for result in scene.ear.results] == ["model", "track", "model", "track"]
    assert scene.ear.lost == 0 and scene.tally.take().answered == 2
    assert all(len(result.boxes) == 1 for result in scene.ear.results)


def test_rest_is_rest_and_a_file_goes_on_after_it() -> None:
    live = Scene(["frame"] * 3, (None, 0.0)).run()
    assert live.engine.calls == 0 and live.ear.lost == 3
    file = Scene(["frame"] * 3, (None, 0.0), ("b", 100.0), live=False)

    def sleep(seconds: float) -> None:
        file.world.sleep(seconds)
        file.ticker.tick()

    file.loop._sleep = sleep
    file.run()
    assert [result.rung for result in file.ear.results] == ["b"] * 3


def test_an_engine_that_is_down_costs_frames_and_is_told_until_it_is_well() -> None:
    down = EngineDownError("the engine is being started", "crashed", 0.5)
    scene = Scene(["frame"] * 4, ("a", 100.0), faults={2: down, 3: down}).run()
    assert [result.frame for result in scene.ear.results] == [0, 3] and scene.ear.lost == 2
    words = "the engine is being started"
    assert scene.ear.troubles == [("engine", words), ("engine", words), ("engine", None)]
    assert scene.tally.take().failed == (("a", 2),)


def test_a_file_waits_for_the_engine_and_loses_nothing() -> None:
    down = EngineDownError("the engine is being started", "crashed", 0.5)
    scene = Scene(["frame"] * 2, ("a", 100.0), live=False, faults={1: down, 2: down, 3: down}).run()
    assert [result.frame for result in scene.ear.results] == [0, 1]
    assert scene.engine.tended >= 3


def test_a_frame_that_breaks_engines_is_let_go() -> None:
    broken = {number: EngineFaultError("it crashed", "crashed") for number in range(1, TRIES + 1)}
    scene = Scene(["frame"] * 2, ("a", 100.0), live=False, faults=dict(broken)).run()
    assert [result.frame for result in scene.ear.results] == [1] and scene.ear.lost == 1


def test_a_frame_that_cannot_be_decoded_is_let_go() -> None:
    scene = Scene(["frame"] * 3, ("a", 100.0))
    decide = scene.loop._pipeline.decide

    def broken(frame: Frame) -> str:
        if frame.number == 1:
            raise DataError("half a picture")
        return decide(frame)

    scene.loop._pipeline.decide = broken  # type: ignore[method-assign]
    scene.run()
    assert [result.frame for result in scene.ear.results] == [0, 2] and scene.ear.lost == 1
    assert scene.ear.troubles == [("engine", "half a picture"), ("engine", None)]


def test_an_engine_that_never_comes_back_ends_the_loop() -> None:
    scene = Scene(["frame"], ("a", 100.0), faults={1: EngineDownError("no rung is left", "crashed", None)})
    with pytest.raises(EngineDownError, match="no rung is left"):
        scene.run()


def test_a_silent_source_is_told_and_its_own_drops_count() -> None:
    scene = Scene(["frame", "stale", "lost", "lost", "frame"], ("a", 100.0)).run()
    assert scene.ear.troubles == [("source", "no picture for 1 s: no signal"), ("source", None)]
    assert scene.ear.lost == 2 and scene.engine.tended == 1


def test_it_stops_when_asked() -> None:
    scene = Scene(["frame"] * 100, ("a", 100.0))
    scene.ear.result = lambda frame, result: scene.stop.set()  # type: ignore[method-assign]
    scene.run()
    assert scene.engine.calls == 1


def test_a_listener_with_a_full_disk_rests_and_the_others_go_on() -> None:
    world, good = World(), Ear()

    class Full(Ear):
        name = "results"
        full = True

        def result(self, frame: Frame, result: Result) -> None:
            if self.full:
                raise StorageError("no space left")
            super().result(frame, result)

    bad = Full()
    several = Listeners([bad, good], world.clock)
    frame = Frame(0, 0.0, np.zeros((8, 8, 3), np.uint8), (8, 8))
    result = Result(0, 0.0, 0.1, "a", "model")
    several.result(frame, result)
    several.result(frame, result)
    assert len(good.results) == 2 and good.troubles == [("results", "no space left")]
    bad.full = False
    several.result(frame, result)
    assert bad.results == [], "it rests"
    world.now += REST_S
    several.result(frame, result)
    assert len(bad.results) == 1 and good.troubles[-1] == ("results", None)
