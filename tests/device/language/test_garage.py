"""Rungs are changed between answers only, within memory, in the order in which they were asked for."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import pytest

from null_writers import NullWriter
from serving_asks import until
from shoestring.base.errors import EngineDownError, EngineFaultError, ModelError
from shoestring.base.limits import MIB
from shoestring.device.language.garage import SPARE_BYTES, CancelledError, Garage

SIZES = {"small": 100 * MIB, "large": 200 * MIB, "huge": 900 * MIB}


class Board:
    """What is loaded takes memory."""

    def __init__(self, total: int, **more: int | None) -> None:
        self.total, self.made = total, []  # type: ignore[var-annotated]
        self.most = 0
        self.garage = Garage(self.make, SIZES, free_bytes=self.free, **more)  # type: ignore[arg-type]

    def make(self, rung: str) -> NullWriter:
        self.made.append(NullWriter(rung))
        self.most = max(self.most, self.taken())
        return self.made[-1]

    def taken(self) -> int:
        return sum(SIZES[writer.rung] for writer in self.made if not writer.closed)

    def free(self) -> int:
        return self.total - self.taken() + SPARE_BYTES

    def use(self, rung: str) -> None:
        with self.garage.lease(rung) as writer:
            assert writer.rung == rung  # type: ignore[attr-defined]
            assert not writer.closed  # type: ignore[attr-defined]


def in_thread(work: Callable[[], None]) -> threading.Thread:
    thread = threading.Thread(target=work)
    thread.start()
    return thread


def test_a_rung_is_loaded_once_and_two_where_memory_allows() -> None:
    board = Board(300 * MIB)
    for rung in ("small", "large", "small", "large"):
        board.use(rung)
    assert [writer.rung for writer in board.made] == ["small", "large"]
    assert board.garage.loaded == ("small", "large")
    assert board.garage.fits("small", "large")


def test_the_old_rung_makes_room_first_where_memory_is_short() -> None:
    board = Board(250 * MIB)
    assert not board.garage.fits("small", "large")
    for rung in ("small", "large", "small"):
        board.use(rung)
    assert len(board.made) == 3
    assert board.most <= 250 * MIB
    assert board.garage.loaded == ("small",)


def test_a_limit_of_ones_own_holds_as_the_machines_does() -> None:
    board = Board(10_000 * MIB, limit_bytes=250 * MIB)
    board.use("small")
    board.use("large")
    assert board.garage.loaded == ("large",)


def test_an_answer_under_way_keeps_its_rung_and_is_waited_for() -> None:
    board = Board(250 * MIB)
    with board.garage.lease("small") as writer:
        thread = in_thread(lambda: board.use("large"))
        time.sleep(0.05)
        assert thread.is_alive()
        assert not writer.closed  # type: ignore[attr-defined]
    thread.join(10)
    assert board.garage.loaded == ("large",)


def test_who_waits_for_another_rung_is_not_passed_by_those_who_come_later() -> None:
    board = Board(250 * MIB)
    order: list[str] = []

    def use(rung: str) -> None:
        with board.garage.lease(rung):
            order.append(rung)

    with board.garage.lease("small"):
        threads = [in_thread(lambda: use("large"))]
        until(lambda: len(board.garage._line) == 1)
        threads.append(in_thread(lambda: use("small")))
        until(lambda: len(board.garage._line) == 2)
    for thread in threads:
        thread.join(10)
    assert order == ["large", "small"]


def test_who_gives_up_while_waiting_lets_the_next_one_pass() -> None:
    board = Board(250 * MIB)
    gone = threading.Event()
    raised: list[BaseException] = []

    def wait() -> None:
        try:
            with board.garage.lease("large", gone.is_set):
                raise AssertionError("it was given up")
        except CancelledError as error:
            raised.append(error)

    with board.garage.lease("small"):
        thread = in_thread(wait)
        until(lambda: len(board.garage._line) == 1)
        gone.set()
        thread.join(10)
        board.use("small")
    assert len(raised) == 1


def test_an_engine_that_broke_is_replaced_and_one_that_refuses_is_not_kept() -> None:
    board = Board(1000 * MIB)
    with pytest.raises(EngineFaultError), board.garage.lease("small"):
        raise EngineFaultError("it crashed", "crashed")
    assert board.made[0].closed
    board.use("small")
    assert len(board.made) == 2

    def refuse(rung: str) -> NullWriter:
        raise ModelError("no such model")

    garage = Garage(refuse, SIZES)
    for _ in range(2):
        with pytest.raises(ModelError), garage.lease("small"):
            pass
    assert garage.loaded == ()


def test_a_rung_that_fits_nowhere_is_tried_alone() -> None:
    board = Board(300 * MIB)
    board.use("small")
    board.use("huge")
    assert board.garage.loaded == ("huge",)


def test_nothing_is_lent_after_the_end_and_what_is_lent_is_freed_when_it_comes_back() -> None:
    board = Board(300 * MIB)
    board.use("small")
    with board.garage.lease("small"):
        board.garage.close()
    board.garage.close()
    assert all(writer.closed for writer in board.made)
    with pytest.raises(EngineDownError), board.garage.lease("small"):
        pass


class Hasty(Garage):
    """The saboteur: it frees rungs that somebody writes with."""

    def _has_place(self, rung: str) -> bool:
        return True

    def _those_in_the_way(self, rung: str) -> list[str]:
        return list(self._loaded)


def test_a_garage_that_does_not_wait_is_caught() -> None:
    board = Board(250 * MIB)
    board.garage = Hasty(board.make, SIZES, free_bytes=board.free)
    with board.garage.lease("small") as writer:
        in_thread(lambda: board.use("large")).join(10)
        assert writer.closed  # type: ignore[attr-defined]
