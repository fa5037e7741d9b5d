"""When things happen: by the monotonic clock alone."""

from __future__ import annotations

import itertools
import random
import socket
import threading
from contextlib import suppress
from dataclasses import replace

import pytest

from agents import Board, Collector, Table, hash_of, release
from proof_scale import SCALE
from shoestring.base.errors import UnreachableError
from shoestring.device.agent import running
from shoestring.device.agent.pacing import Pace
from shoestring.device.agent.pulse import PART, step
from shoestring.device.agent.running import GLANCE_S, Days, Post
from shoestring.device.agent.sending import LATER, Answer
from shoestring.device.service.notify import Heart, Notifier

EVERY_S = 900.0


class Life:
    """A board, its days, and two clocks."""

    def __init__(self, tmp_path, draw=lambda: 0.5) -> None:
        self.table = Table().says(release(1, 1), 1)
        self.board = Board(tmp_path / "slots", self.table)
        self.collector = Collector()
        pace = Pace(EVERY_S, draw)
        self.looks: list[float] = []
        agent = self.board.agent
        real = agent.look

        def look():
            self.looks.append(self.board.now_s)
            return real()

        agent.look = look
        post = Post(self.board.queue, self.collector, pace)
        self.days = Days(agent, pace, post, lambda: self.board.now_s, self.board.said.append)

    def run(self, seconds: float, wall=lambda wall_s, step_s: wall_s + step_s) -> None:
        until_s = self.board.now_s + seconds
        while self.board.now_s < until_s:
            wait_s = max(self.days.turn(), 0.001)
            assert wait_s <= GLANCE_S
            self.board.now_s += wait_s
            self.board.wall_s = wall(self.board.wall_s, wait_s)


def gaps(looks: list[float]) -> list[float]:
    return [later - earlier for earlier, later in itertools.pairwise(looks)]


def test_a_look_every_period_and_reports_as_they_come(tmp_path):
    life = Life(tmp_path)
    life.run(4 * EVERY_S)
    assert life.looks[0] == pytest.approx(1000.0 + EVERY_S / 2, abs=0.1)
    assert gaps(life.looks) == pytest.approx([EVERY_S] * 3, abs=0.1)
    assert life.collector.story == [("trial", hash_of(1))]
    life.board.slots.begin()
    life.board.slots.confirm()
    life.run(2 * GLANCE_S)
    assert life.collector.story == [("trial", hash_of(1)), ("good", hash_of(1))]


def wall_clocks(rng: random.Random):
    """A clock that starts anywhere, runs at any rate, and steps by years."""
    start = rng.choice((0.0, 1.0, 1_800_000_000.0 + rng.uniform(-10, 10) * 365.25 * 86_400))

    def wall(wall_s: float, step_s: float) -> float:
        if rng.random() < 0.05:
            return max(0.0, wall_s + rng.uniform(-10, 10) * 365.25 * 86_400)
        return max(0.0, wall_s + step_s * rng.uniform(-2, 2))

    return start, wall


def test_wall_clocks_that_lie_change_no_wait(tmp_path):
    true = Life(tmp_path / "true")
    true.run(3 * EVERY_S)
    for seed in range(3 * SCALE):
        rng = random.Random(seed)
        life = Life(tmp_path / f"{seed}")
        start, wall = wall_clocks(rng)
        life.board.wall_s = start
        life.run(3 * EVERY_S, wall)
        assert life.looks == true.looks
        assert life.collector.story == [("trial", hash_of(1))]


def test_failures_make_looks_rarer_and_success_brings_them_back(tmp_path):
    life = Life(tmp_path, lambda: 0.999)
    life.table.trouble = UnreachableError("no way")
    life.run(20 * EVERY_S)
    waits = gaps(life.looks)
    assert waits == sorted(waits)
    assert waits[0] == pytest.approx(30.0, abs=0.1)
    assert waits[-1] == pytest.approx(4 * EVERY_S, rel=0.01)
    life.table.trouble = None
    life.run(8 * EVERY_S)
    assert gaps(life.looks)[-1] == pytest.approx(1.1 * EVERY_S, rel=0.01)
    assert life.collector.story == [("unreachable", ""), ("trial", hash_of(1))]


def test_a_server_that_asks_for_patience_gets_it(tmp_path):
    life = Life(tmp_path)
    life.table.trouble = UnreachableError("busy", retry_after_s=5000.0)
    life.run(EVERY_S)
    life.run(4900.0)
    assert len(life.looks) == 1
    life.run(1000.0)
    assert len(life.looks) == 2


def test_reports_wait_while_nobody_takes_them_and_tries_become_rarer(tmp_path):
    life = Life(tmp_path)
    life.collector.away = True
    life.run(EVERY_S)
    assert life.board.queue.waiting == (1,)
    life.collector.away = False
    life.run(EVERY_S)
    assert life.board.queue.waiting == ()


def test_a_collector_that_asks_for_patience_gets_it(tmp_path):
    life = Life(tmp_path)
    tries = []

    class Busy(Collector):
        def send(self, data):
            tries.append(life.board.now_s)
            return Answer(LATER, "busy", 3000.0)

    life.days._post = replace(life.days._post, sender=Busy())
    life.run(5000.0)
    assert len(tries) == 2
    assert tries[1] - tries[0] >= 3000.0


def test_a_heartbeat_where_nothing_is_new(tmp_path, monkeypatch):
    assert running.HEARTBEAT_S == 86_400.0
    monkeypatch.setattr(running, "HEARTBEAT_S", 2 * EVERY_S)
    life = Life(tmp_path)
    life.run(7 * EVERY_S)
    assert life.collector.story == [("trial", hash_of(1))] * 4


def test_once_does_everything_now(tmp_path):
    life = Life(tmp_path)
    assert life.days.once().did == "activated"
    assert life.collector.story == [("trial", hash_of(1))]


@pytest.fixture
def manager(tmp_path):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as ear:
        ear.bind(str(tmp_path / "notify"))
        ear.settimeout(10.0)
        yield ear


def heart_of(manager: socket.socket, limit_s: float, clock) -> Heart:
    environment = {"NOTIFY_SOCKET": manager.getsockname(), "WATCHDOG_USEC": str(int(1e6 * limit_s))}
    return Heart(Notifier(environment), PART, clock=clock)


def test_a_long_step_gives_signs_of_life(manager):
    """A download of hours is no standstill: beats go on while the step is within its time."""
    now = [0.0]
    heart = heart_of(manager, 4.0, lambda: now[0])
    with step(heart, clock=lambda: now[0]):
        for _ in range(3):
            assert manager.recv(100) == b"WATCHDOG=1"
            now[0] += 1.5


def test_a_step_that_hangs_gives_no_more_signs(manager):
    """The saboteur of the rule above: time is over, so whoever watches restarts us."""
    now = [0.0]
    heart = heart_of(manager, 4.0, lambda: now[0])
    with step(heart, limit_s=10.0, clock=lambda: now[0]):
        assert manager.recv(100) == b"WATCHDOG=1"
        now[0] = 10.0
        for thread in threading.enumerate():
            if thread.name == "agent-pulse":
                thread.join(10.0)
                assert not thread.is_alive()


def test_waiting_gives_signs_too(tmp_path, manager):
    life = Life(tmp_path)
    life.days._heart = heart_of(manager, 150.0, lambda: life.board.now_s)
    manager.settimeout(0.0)
    for _ in range(20):
        life.run(2 * GLANCE_S)
        assert manager.recv(100) == b"WATCHDOG=1"
        with suppress(BlockingIOError):
            while manager.recv(100):
                pass
