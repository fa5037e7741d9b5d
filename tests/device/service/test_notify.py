"""What the service manager hears."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from shoestring.device.service.notify import Heart, Notifier


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as ear:
        ear.bind(str(tmp_path / "notify"))
        ear.settimeout(0.0)
        yield ear


def heard(manager: socket.socket) -> list[str]:
    found = []
    while True:
        try:
            found.append(manager.recv(4096).decode())
        except BlockingIOError:
            return found


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def heart(manager: socket.socket, clock: Clock, *parts: str, limit_s: float = 30.0) -> Heart:
    environment = {"NOTIFY_SOCKET": manager.getsockname(), "WATCHDOG_USEC": str(int(1e6 * limit_s))}
    return Heart(Notifier(environment), *parts, clock=clock)


def test_it_says_when_it_is_ready_and_when_it_ends(manager):
    made = heart(manager, Clock(), "frames")
    made.ready()
    made.stopping()
    assert heard(manager) == ["READY=1", "STOPPING=1"]


def test_abstract_sockets():
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as ear:
        ear.bind("")  # the kernel picks an abstract name
        name = ear.getsockname().decode()
        Notifier({"NOTIFY_SOCKET": "@" + name[1:]}).tell("READY=1")
        ear.settimeout(5.0)
        assert ear.recv(100) == b"READY=1"


def test_signs_of_life_end_when_one_part_stands_still_and_come_back_with_it(manager):
    clock = Clock()
    made = heart(manager, clock, "frames", "governor")
    for _ in range(10):
        clock.now += 1.0
        made.beat("frames")
        made.beat("governor")
        assert heard(manager) == ["WATCHDOG=1"]
    signs = []
    for _ in range(60):
        clock.now += 1.0
        made.beat("governor")
        signs += heard(manager)
    assert signs == ["WATCHDOG=1"] * 15, "the loop hangs, and the manager must hear no more"
    made.beat("frames")
    assert heard(manager) == ["WATCHDOG=1"]


def test_a_part_that_ended_well_is_not_waited_for(manager):
    clock = Clock()
    made = heart(manager, clock, "frames", "governor")
    made.without("frames")
    made.beat("frames")
    clock.now += 100.0
    heard(manager)
    made.beat("governor")
    assert heard(manager) == ["WATCHDOG=1"]


def test_they_are_not_sent_with_every_frame(manager):
    clock = Clock()
    made = heart(manager, clock, "frames")
    for number in range(300):
        clock.now = 100.0 + number / 100
        made.beat("frames")
    assert len(heard(manager)) == 3


@pytest.mark.parametrize(
    "environment",
    [
        {},
        {"NOTIFY_SOCKET": "vsock:2:1234"},
        {"NOTIFY_SOCKET": "/nowhere/at/all", "WATCHDOG_USEC": "1000000"},
        {"NOTIFY_SOCKET": "/nowhere", "WATCHDOG_USEC": "1000000", "WATCHDOG_PID": "1"},
        {"NOTIFY_SOCKET": "/nowhere", "WATCHDOG_USEC": "never"},
    ],
)
def test_without_a_manager_that_waits_for_it_nothing_happens(environment):
    made = Heart(Notifier(environment, pid=7), "frames")
    made.ready()
    made.beat("frames")
    made.stopping()


def test_another_process_of_the_service_is_not_taken_for_us():
    assert Notifier({"NOTIFY_SOCKET": "/x", "WATCHDOG_USEC": "5", "WATCHDOG_PID": "8"}, pid=7).watchdog_s is None
    assert Notifier({"NOTIFY_SOCKET": "/x", "WATCHDOG_USEC": "5000000", "WATCHDOG_PID": "7"}, pid=7).watchdog_s == 5.0
