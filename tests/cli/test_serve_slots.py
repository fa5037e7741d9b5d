"""A server on slots as a process: it waits for its first bundle, changes to another one, confirms it, and goes back."""

from __future__ import annotations

import contextlib
import os
import queue
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from typing import TYPE_CHECKING, Any

import pytest

from null_bundles import CHEAP, DEAR, MIDDLE, make_null_bundle
from slot_scenes import bring, make_bundles, make_slots, settle, sha256_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from shoestring.device.slots import Slots

pytest.importorskip("uvicorn", reason="serving needs uvicorn")
LINE_S = 90.0
"""For one line of a server on a machine that does many other things."""


@pytest.fixture(scope="module")
def bundles(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return make_bundles(tmp_path_factory.mktemp("bundles"))


class Server:
    """`shoestring VERB --slots ...` and what it says."""

    def __init__(self, verb: str, slots: Slots, *words: object, **environment: str) -> None:
        command = [sys.executable, "-m", "shoestring.cli.main", verb, "--slots", slots.root, *words]
        self.process = subprocess.Popen(
            [str(word) for word in command], stderr=subprocess.PIPE, text=True, env={**os.environ, **environment}
        )
        self._lines: queue.SimpleQueue[str] = queue.SimpleQueue()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self._lines.put(line)
        self._lines.put("")

    def until(self, words: str) -> str:
        """Everything up to the line that holds these words."""
        heard = ""
        while words not in heard:
            line = self._lines.get(timeout=LINE_S)
            assert line, f"it ended; heard:\n{heard}"
            heard += line
        return heard

    def end(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(60)


@pytest.fixture
def started() -> Iterator[Any]:
    servers: list[Server] = []

    def start(*words: Any, **environment: str) -> Server:
        servers.append(Server(*words, **environment))
        return servers[-1]

    yield start
    for one in servers:
        one.process.kill()
        one.process.wait(60)


def port_of(heard: str) -> int:
    return int(heard.rpartition("127.0.0.1:")[2].split("/")[0])


def confirmed(slots: Slots) -> None:
    """Wait until the active bundle is good."""
    last = time.monotonic() + LINE_S
    while slots.record().state != "good":
        assert time.monotonic() < last, slots.record()
        time.sleep(0.05)


def test_one_process_through_four_bundles(tmp_path, bundles, started) -> None:
    slots, broken = make_slots(tmp_path / "slots"), tmp_path / "broken.shoe"
    make_null_bundle(broken, wrong=(CHEAP, MIDDLE, DEAR))
    manager = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    manager.bind(str(tmp_path / "manager"))
    options = ("--port", "0", "--trial-seconds", "1", "--fps", "50")
    server = started("serve", slots, *options, NOTIFY_SOCKET=str(tmp_path / "manager"))
    server.until("has no bundle yet; waiting for one")

    slots.seen(0)  # the directory is there, and still no bundle
    server.until("no bundle can be started")
    bring(slots, bundles["one"])
    heard = server.until("page is at")
    assert f"bundle {sha256_of(bundles['one'])[:12]} of slot a, on trial, start 1" in heard
    confirmed(slots)

    bring(slots, bundles["two"])
    heard = server.until("page is at")
    assert f"the bundle {sha256_of(bundles['two'])[:12]} is active now" in heard
    assert "ending: nothing new is taken" in heard
    confirmed(slots)
    assert slots.begin().sha256 == sha256_of(bundles["two"])

    bring(slots, broken)  # somebody left the golden set out
    heard = server.until("page is at")
    assert "and the one before is active again" in heard
    assert f"bundle {sha256_of(bundles['two'])[:12]} of slot b, good" in heard
    assert [one.sha256 for one in slots.refused] == [sha256_of(broken)]
    with urllib.request.urlopen(f"http://127.0.0.1:{port_of(heard)}/v2/health/ready", timeout=30) as answer:
        assert answer.status == 200
    assert server.process.poll() is None  # the same process all the way
    assert server.end() == 0
    told = [line.partition("=")[0] for line in heard_by(manager)]
    # The manager gives it time while it waits, and is never told that it stops before it does.
    assert told[0] == "EXTEND_TIMEOUT_USEC"
    assert [word for word in told if word in ("READY", "WATCHDOG", "STOPPING")] == [
        "READY", "WATCHDOG", "READY", "WATCHDOG", "WATCHDOG", "READY", "STOPPING",
    ]  # fmt: skip


def heard_by(manager: socket.socket) -> list[str]:
    """Lines that a service manager was sent."""
    lines: list[str] = []
    manager.setblocking(False)
    with manager, contextlib.suppress(BlockingIOError):
        while True:
            lines += manager.recv(4096).decode().splitlines()
    return lines


def test_a_server_that_is_stopped_does_not_use_its_starts_up(tmp_path, bundles, started) -> None:
    slots = make_slots(tmp_path / "slots")
    settle(slots, bundles["one"])
    bring(slots, bundles["two"])
    server = started("serve", slots, "--port", "0", "--fps", "50")
    server.until("page is at")
    assert slots.record().starts == 1
    assert server.end() == 0
    assert slots.record().starts == 0
    server = started("serve", slots, "--port", "0", "--fps", "50")
    server.until("page is at")
    server.process.kill()
    server.process.wait(60)
    assert slots.record().starts == 1
