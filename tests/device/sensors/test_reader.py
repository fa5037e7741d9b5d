"""Sensors that block are late; the others are read; nothing piles up."""

from __future__ import annotations

import threading
import time

import pytest

from shoestring.device.sensors.reader import MOST_LEFT, Answer, Reader, _answer, bench_s
from shoestring.device.sensors.source import GarbledError, Source

GOOD = Source("celsius", "good", lambda: 50.0)
DEADLINE_S = 0.1


class Blocking:
    """A sensor whose reads do not return before it is let go."""

    def __init__(self, name: str = "blocking") -> None:
        self.gate = threading.Event()
        self.reads = self.returned = 0
        self.source = Source("watts", name, self._read)

    def _read(self) -> float:
        self.reads += 1
        self.gate.wait(20)
        self.returned += 1
        return 3.0


class InlineReader:
    """Reads in the caller's own thread: what must not be."""

    def __init__(self, sources: tuple[Source, ...], deadline_s: float) -> None:
        self.sources = sources

    def look(self) -> dict[Source, Answer]:
        return {source: _answer(source) for source in self.sources}

    def close(self) -> None:
        pass


def returns_before_the_sensor(make: type[Reader] | type[InlineReader]) -> bool:
    blocking = Blocking()
    reader = make((blocking.source, GOOD), DEADLINE_S)
    letting_go = threading.Timer(1.0, blocking.gate.set)
    letting_go.start()
    reader.look()
    before = blocking.returned == 0
    letting_go.join()
    reader.close()
    return before


def until(true: object, seconds: float = 10.0) -> None:
    """Wait for another thread."""
    end = time.monotonic() + seconds
    while not true():  # type: ignore[operator]
        assert time.monotonic() < end
        time.sleep(0.005)


def test_a_look_does_not_wait_for_a_sensor_that_blocks() -> None:
    assert returns_before_the_sensor(Reader)
    assert not returns_before_the_sensor(InlineReader)


def test_the_others_are_read_in_the_same_look_and_in_later_ones() -> None:
    blocking = Blocking()
    reader = Reader((GOOD, blocking.source, Source("load", "behind", lambda: 0.5)), DEADLINE_S)
    for _ in range(20):
        answers = reader.look()
        assert [answer.value for answer in answers.values()] == [50.0, None, 0.5]
        assert answers[blocking.source].problem == "late"
    assert blocking.reads == 1
    assert reader.left_behind == 1
    blocking.gate.set()
    reader.close()


def test_a_sensor_that_comes_back_is_read_again() -> None:
    blocking = Blocking()
    reader = Reader((blocking.source, GOOD), DEADLINE_S)
    assert reader.look()[blocking.source].problem == "late"
    blocking.gate.set()
    until(lambda: reader.left_behind == 0)
    assert reader.look()[blocking.source] == Answer(3.0, "", "3")
    reader.close()


def test_threads_do_not_pile_up() -> None:
    before = threading.active_count()
    sensors = [Blocking(f"sensor {number}") for number in range(MOST_LEFT + 4)]
    reader = Reader([one.source for one in sensors], DEADLINE_S)
    for _ in range(10):
        assert all(answer.problem == "late" for answer in reader.look().values())
    assert reader.left_behind == MOST_LEFT
    assert threading.active_count() - before <= MOST_LEFT + 1
    assert sum(one.reads for one in sensors) == MOST_LEFT
    for one in sensors:
        one.gate.set()
    until(lambda: reader.left_behind == 0)
    assert all(answer.value == 3.0 for answer in reader.look().values())
    reader.close()
    until(lambda: threading.active_count() <= before)


def test_a_sensor_that_blocks_again_and_again_rests_longer() -> None:
    assert [bench_s(count) for count in (1, 2, 3, 4, 50)] == [0.0, 1.0, 2.0, 4.0, 64.0]
    blocking = Blocking()
    reader = Reader((blocking.source,), DEADLINE_S)
    for _ in range(2):
        blocking.gate.clear()
        reader.look()
        blocking.gate.set()
        until(lambda: reader.left_behind == 0)
    reads = blocking.reads
    assert reader.look()[blocking.source].problem == "late"
    assert blocking.reads == reads
    reader.close()


@pytest.mark.parametrize(
    ("error", "kind"),
    [(FileNotFoundError(2, "No such file"), "missing"), (PermissionError(13, "denied"), "missing"),
     (OSError(5, "Input/output error"), "missing"), (TimeoutError("slow"), "late"),
     (GarbledError("n/a"), "impossible")],
)  # fmt: skip
def test_each_way_to_fail_has_its_word(error: Exception, kind: str) -> None:
    def fail() -> float:
        raise error

    assert _answer(Source("celsius", "broken", fail)).problem == kind


def test_close_twice_and_forget() -> None:
    reader = Reader((GOOD,), DEADLINE_S)
    reader.look()
    reader.close()
    reader.close()
    reader.forget([GOOD])
    assert reader.look() == {}
