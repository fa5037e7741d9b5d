"""The queue before the engine: who is served, who is dropped, and that everybody is told."""

from __future__ import annotations

import contextlib
import threading
from typing import Any

import pytest

from shoestring.base.errors import DataError, EngineError, EngineFaultError
from shoestring.device.serve.desk import KINDS, Desk, Job, Told
from shoestring.device.serve.sharing import Shared

SECONDS = 30.0


class Engine:
    """Waits at a gate."""

    def __init__(self) -> None:
        self.gate, self.entered, self.seen = threading.Event(), threading.Event(), []

    def infer(self, pixels: Any) -> Any:
        self.entered.set()
        assert self.gate.wait(SECONDS)
        self.seen.append(pixels)
        return pixels


class Asked:
    """Jobs by number, and what they were told."""

    def __init__(self, desk: Desk) -> None:
        self.desk, self.told = desk, {}
        self.all_told = threading.Condition()

    def put(self, number: int, work: Any = None, deadline_s: float = 100.0) -> Job[Any]:
        def tell(told: Told[Any]) -> None:
            with self.all_told:
                assert number not in self.told, "told twice"
                self.told[number] = told
                self.all_told.notify_all()

        job: Job[Any] = Job(work or (lambda engine: engine.infer(number)), deadline_s, tell)
        self.desk.submit(job)
        return job

    def kinds(self, count: int) -> dict[int, str]:
        with self.all_told:
            assert self.all_told.wait_for(lambda: len(self.told) >= count, SECONDS)
        return {number: told.kind for number, told in self.told.items()}


class DropsNewest(Desk):
    """The saboteur: refuses whoever comes last."""

    def submit(self, job: Job[Any]) -> None:
        if self.waiting >= 2:
            self.counts.dropped += 1
            job.tell(Told("dropped"))
        else:
            super().submit(job)


def overload(kind: type[Desk]) -> tuple[dict[int, str], list[int], int]:
    """Six requests for a queue of two while the first holds the engine."""
    engine = Engine()
    desk = kind(engine, 2, lambda: 0.0)
    asked = Asked(desk)
    desk.start()
    asked.put(0)
    assert engine.entered.wait(SECONDS)
    for number in range(1, 6):
        asked.put(number)
    waiting = desk.waiting
    engine.gate.set()
    kinds = asked.kinds(6)
    desk.close()
    assert waiting == 2
    return kinds, engine.seen, desk.counts.dropped


def test_the_oldest_is_dropped_and_counted() -> None:
    kinds, seen, dropped = overload(Desk)
    assert kinds == {0: "done", 1: "dropped", 2: "dropped", 3: "dropped", 4: "done", 5: "done"}
    assert (seen, dropped) == ([0, 4, 5], 3)
    assert set(kinds.values()) <= set(KINDS)


def test_a_queue_that_drops_the_newest_is_told_apart() -> None:
    kinds, seen, _ = overload(DropsNewest)
    assert (kinds[1], kinds[5], seen) == ("done", "dropped", [0, 1, 2])


def test_whoever_waited_too_long_or_went_away_does_not_cost_the_engine() -> None:
    now = [0.0]
    engine = Engine()
    desk = Desk(engine, 8, lambda: now[0])
    asked = Asked(desk)
    desk.start()
    asked.put(0)
    assert engine.entered.wait(SECONDS)
    asked.put(1, deadline_s=5.0)
    left = asked.put(2)
    asked.put(3, deadline_s=10.0)
    desk.forget(left)
    now[0] = 6.0
    engine.gate.set()
    assert asked.kinds(4) == {0: "done", 1: "late", 2: "gone", 3: "done"}
    assert engine.seen == [0, 3]
    assert (desk.counts.late, desk.counts.gone, desk.counts.done) == (1, 1, 2)
    desk.close()


def test_failures_are_told_and_counted_by_their_kind() -> None:
    def fail(error: Exception) -> Any:
        def work(engine: Any) -> None:
            raise error

        return work

    engine = Engine()
    engine.gate.set()
    desk = Desk(engine, 8)
    asked = Asked(desk)
    desk.start()
    later = 1e12
    asked.put(0, fail(EngineFaultError("broke", "hung")), later)
    asked.put(1, fail(EngineError("no")), later)
    asked.put(2, fail(DataError("not a picture")), later)
    asked.put(3, None, later)
    assert asked.kinds(4) == {0: "failed", 1: "failed", 2: "failed", 3: "done"}
    assert asked.told[3].result == 3
    assert isinstance(asked.told[2].error, DataError)
    assert desk.counts.failures == {"hung": 1, "refused": 1}
    desk.close()


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_defect_is_told_and_ends_the_desk() -> None:
    desk = Desk(Engine(), 8)
    asked = Asked(desk)
    desk.start()
    assert desk.alive
    asked.put(0, lambda engine: 1 / 0, 1e12)
    assert asked.kinds(1) == {0: "failed"}
    desk._thread.join(SECONDS)
    assert not desk.alive


def test_closing_tells_those_who_wait_and_finishes_what_runs() -> None:
    engine = Engine()
    desk = Desk(engine, 8, lambda: 0.0)
    asked = Asked(desk)
    desk.start()
    asked.put(0)
    assert engine.entered.wait(SECONDS)
    asked.put(1)
    assert not desk.idle
    threading.Timer(0.05, engine.gate.set).start()
    desk.close()
    assert asked.kinds(2) == {0: "done", 1: "dropped"}
    asked.put(2)
    assert asked.kinds(3)[2] == "dropped"
    assert desk.idle
    assert not desk.alive
    desk.close()


def test_a_shared_engine_serves_one_thread_at_a_time() -> None:
    """The saboteur beside it: without the lock two threads are inside at once."""

    class Narrow:
        def __init__(self) -> None:
            self.inside, self.most, self.gate = 0, 0, threading.Barrier(2)

        def infer(self, pixels: Any) -> Any:
            self.inside += 1
            self.most = max(self.most, self.inside)
            with contextlib.suppress(threading.BrokenBarrierError):
                self.gate.wait(2.0)  # both, or after a while one alone
            self.inside -= 1
            return pixels

    for wrap, most in ((Shared, 1), (lambda engine: engine, 2)):
        narrow = Narrow()
        engine = wrap(narrow)
        threads = [threading.Thread(target=engine.infer, args=(number,)) for number in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert narrow.most == most
