"""Live sources: the newest frame or none, silence told in time, lost cameras opened anew.

No camera is at hand: a fake one stands in, and with it the logic that keeps RTSP and V4L2 cameras going is tested.
"""

from __future__ import annotations

import queue
import threading

import numpy as np
import pytest

from shoestring.base.errors import DataError
from shoestring.device.pipelines.nouns import Frame
from shoestring.device.pipelines.sources import Stale
from shoestring.device.pipelines.sources.newest import Newest, Patience

QUICK = Patience(stale_s=0.02, oldest_s=1e9, retry_s=0.001, longest_retry_s=0.004, close_s=5.0)


class Clock:
    """A virtual clock."""

    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


class Camera:
    """Connections whose frames the test hands out: None loses the connection, an error breaks it."""

    def __init__(self, clock) -> None:
        self.rate = 25.0
        self.given: queue.Queue = queue.Queue()
        self.opened = self.closed = 0
        self.refusals = 0
        self.clock = clock
        self.taken = threading.Semaphore(0)

    def open(self) -> Camera:
        if self.refusals:
            self.refusals -= 1
            raise DataError("no route to the camera")
        self.opened += 1
        return self

    def read(self, number: int) -> Frame | None:
        self.taken.release()  # the frame before was put into its slot by now
        what = self.given.get(timeout=20)
        if isinstance(what, Exception):
            raise what
        return None if what is None else Frame(number, self.clock(), np.zeros((2, 2, 3), np.uint8), (2, 2), what)

    def close(self) -> None:
        self.closed += 1

    def give(self, *whats) -> None:
        """Hand out, and wait until the thread asks for more."""
        for what in whats:
            self.taken.acquire(timeout=20)
            self.given.put(what)
        self.taken.acquire(timeout=20)
        self.taken.release()


def start(patience: Patience = QUICK, again: bool = True, clock=None):
    clock = clock or Clock()
    camera = Camera(clock)
    return camera, Newest(camera.open, "fake", again=again, patience=patience, clock=clock), clock


def stop(camera: Camera, source: Newest) -> None:
    source._closed.set()  # before the connection is lost, or it would be opened anew
    camera.given.put(None)
    source.close()
    assert not source._thread.is_alive()


def test_only_the_newest_frame_is_answered_and_the_others_are_counted() -> None:
    camera, source, _ = start()
    camera.give("a", "b", "c")
    frames = iter(source)
    newest = next(frames)
    assert (newest.name, newest.number, source.dropped) == ("c", 2, 2)
    camera.give("d")
    assert next(frames).name == "d"
    assert source.live and source.rate == 25.0
    stop(camera, source)


def test_a_source_that_keeps_a_queue_would_be_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    def first_wins(self: Newest, frame: Frame) -> None:
        with self._changed:
            self._slot = self._slot or frame
            self._changed.notify_all()

    monkeypatch.setattr(Newest, "_put", first_wins)
    with pytest.raises(AssertionError):
        test_only_the_newest_frame_is_answered_and_the_others_are_counted()


def test_a_frame_that_grew_old_while_nobody_took_it_is_not_answered() -> None:
    camera, source, clock = start(Patience(stale_s=1.0, oldest_s=1.0))
    camera.give("old")
    clock.now_s += 5
    (said,) = [next(iter(source))]
    assert isinstance(said, Stale) and said.seconds == pytest.approx(5) and source.dropped == 1
    camera.give("new")
    assert next(iter(source)).name == "new"
    stop(camera, source)


def test_silence_is_told_within_two_seconds_and_again(monkeypatch: pytest.MonkeyPatch) -> None:
    camera, source, clock = start(Patience())
    camera.give("a")

    def wait(timeout: float | None = None) -> bool:
        assert timeout is not None and timeout <= 2
        clock.now_s += timeout
        return False

    monkeypatch.setattr(source._changed, "wait", wait)
    frames = iter(source)
    assert next(frames).name == "a"
    told = [next(frames) for _ in range(3)]
    assert [round(one.seconds, 6) for one in told] == [1.0, 2.0, 3.0]
    assert [one.at_s for one in told] == [101.0, 102.0, 103.0]
    monkeypatch.undo()
    camera.give("b")
    assert next(frames).name == "b"
    stop(camera, source)


def test_a_lost_connection_is_opened_anew_and_numbers_go_on() -> None:
    camera, source, _ = start()
    frames = iter(source)
    camera.give("a")
    assert next(frames).name == "a"
    camera.refusals = 3
    camera.give(None)  # waits until the camera was opened again, after three refusals
    camera.give("b")
    again = next(frame for frame in frames if isinstance(frame, Frame))
    assert (again.name, again.number) == ("b", 1)
    assert camera.opened == 2 and camera.closed == 1 and source.reopened == 4
    stop(camera, source)
    assert camera.closed == 2


def test_a_broken_frame_opens_the_connection_anew_and_says_why() -> None:
    camera, source, _ = start()
    camera.give("a", DataError("torn picture"), "b")
    assert next(iter(source)).name == "b" and camera.opened == 2
    stop(camera, source)


def test_what_the_camera_says_stands_in_the_silence(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock()
    camera = Camera(clock)
    camera.refusals = 10**9
    source = Newest(camera.open, "fake", patience=QUICK, clock=clock)
    while source.reopened < 3:
        pass
    clock.now_s += 1
    said = next(iter(source))
    assert isinstance(said, Stale) and said.reason == "no route to the camera"
    source.close()
    assert camera.opened == 0 and not source._thread.is_alive()


def test_pauses_grow_until_a_frame_comes_and_have_a_longest(monkeypatch: pytest.MonkeyPatch) -> None:
    pauses: list[float] = []
    clock = Clock()
    camera = Camera(clock)
    camera.refusals = 6
    done = threading.Event()
    honest = threading.Event.wait

    def wait(self: threading.Event, timeout: float | None = None) -> bool:
        if threading.current_thread().name == "grab fake":
            pauses.append(timeout or 0)
            if len(pauses) == 8:
                done.set()
                return honest(self, 20)
            return False
        return honest(self, timeout)

    camera.given.put("a")
    camera.given.put(None)
    camera.given.put(None)
    monkeypatch.setattr(threading.Event, "wait", wait)
    source = Newest(camera.open, "fake", patience=Patience(retry_s=0.5, longest_retry_s=4.0), clock=clock)
    assert honest(done, 20)
    assert pauses == [0.5, 1, 2, 4, 4, 4, 0.5, 1.0]
    source.close()


def test_a_file_played_in_real_time_ends_with_its_last_frame() -> None:
    camera, source, _ = start(again=False)
    frames = iter(source)
    camera.give("a")
    assert next(frames).name == "a"
    camera.given.put(None)
    assert [one for one in frames if isinstance(one, Frame)] == []
    assert camera.closed == 1
    source.close()


def test_a_reader_that_breaks_is_an_error_and_no_silence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threading, "excepthook", lambda _: None)
    camera, source, _ = start()
    camera.give("a")
    frames = iter(source)
    assert next(frames).name == "a"
    camera.given.put(RuntimeError("a bug"))
    with pytest.raises(DataError, match="broke"):
        list(frames)
    assert camera.closed == 1


def test_closing_wakes_a_consumer_that_waits() -> None:
    camera, source, _ = start(Patience(stale_s=1e6))
    got: list[object] = []
    consumer = threading.Thread(target=lambda: got.extend(source))
    consumer.start()
    source._closed.set()
    camera.given.put(None)
    source.close()
    source.close()
    consumer.join(20)
    assert not consumer.is_alive() and got == []
