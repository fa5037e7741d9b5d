"""A real broker, mosquitto, on a free port of this machine, and somebody who listens to it."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path

import pytest

IN_CI = os.environ.get("CI") == "true"
PATIENCE_S = 30.0


def mosquitto() -> str:
    """Its path; skips the test without it, and fails it where all is meant to be there."""
    found = shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin:/usr/local/sbin")
    if found is None:
        (pytest.fail if IN_CI else pytest.skip)("the broker mosquitto is not installed")
    return found


def free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port: int = taken.getsockname()[1]
        return port


def until(true, what: str) -> None:
    """Wait until it is; fail with `what` when it never is."""
    by_s = time.monotonic() + PATIENCE_S
    while not true():
        assert time.monotonic() < by_s, what
        time.sleep(0.02)


class Mosquitto:
    """The broker. It keeps nothing on disk: what was retained is gone when it is killed.

    Args:
        folder: for its settings.
        lines: of its settings, beside the port and no strangers.
    """

    def __init__(self, folder: Path, *lines: str) -> None:
        self._program, self.port = mosquitto(), free_port()
        self._settings = folder / "mosquitto.conf"
        # "user root" has a meaning only where root starts it: it then may read the files of the test.
        known = lines or ("allow_anonymous true",)
        self._settings.write_text(
            "\n".join(("user root", f"listener {self.port} 127.0.0.1", "persistence false", *known)) + "\n"
        )
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> Mosquitto:
        self._process = subprocess.Popen(
            [self._program, "-c", self._settings], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        until(self._listens, "mosquitto does not listen")
        return self

    def kill(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.wait()

    def freeze(self) -> None:
        """It holds its connections and does nothing more."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def _listens(self) -> bool:
        with socket.socket() as probe:
            probe.settimeout(1.0)
            return probe.connect_ex(("127.0.0.1", self.port)) == 0


class Ear:
    """Hears everything that the broker has and gets.

    Attributes:
        heard: (topic, payload, whether it was retained), in order.
    """

    def __init__(self, port: int) -> None:
        from paho.mqtt import client as mqtt

        self.heard: list[tuple[str, str, bool]] = []
        self._client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2)
        self._client.reconnect_delay_set(1, 1)
        self._ready = False
        self._client.on_connect = lambda client, *rest: client.subscribe("#", qos=1)
        self._client.on_subscribe = self._subscribed
        self._client.on_message = self._hear
        self._client.connect("127.0.0.1", port)
        self._client.loop_start()
        until(lambda: self._ready, "the ear could not subscribe")

    def said(self, topic: str) -> list[str]:
        """Payloads of a topic, in order."""
        return [payload for heard, payload, _ in list(self.heard) if heard == topic]

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()

    def _subscribed(self, *rest: object) -> None:
        self._ready = True

    def _hear(self, client: object, data: object, message) -> None:
        self.heard.append((message.topic, message.payload.decode(), message.retain))
