"""A server in a process of its own, for tests that speak real HTTP.

    python tests/serving.py '{"queue": 4}' [--seconds 0.1] [--every 5] [--scene well]

It prints its port as one line of JSON on stdout, and what it says on stderr.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from serving_scenes import SCENES
from shoestring.base.errors import EngineFaultError
from shoestring.device.serve import LiveState, Service, Settings, Token, build_app, run_server
from shoestring.domain.preprocess import Preprocess

ROOT = Path(__file__).parents[1]
SIDE = 8
LABELS = ("cat", "dog", "tree")


@dataclass(frozen=True)
class Said:
    """A reply."""

    outputs: np.ndarray
    rung: str = "int8"
    busy_s: float = 0.001
    stages: int = 1
    probabilities: bool = False


def outputs_of(pixels: np.ndarray, classes: int) -> np.ndarray:
    """What the engine below answers: sums that tell pixels apart, so that a mix-up is seen."""
    weights = np.arange(1, pixels.size + 1, dtype=np.float64)
    total = float((pixels.ravel() * weights).sum())
    return np.array([np.sin(total * (i + 1) / 1e3) for i in range(classes)], np.float32)


class PlainEngine:
    """Answers at once, after a while, or not at all."""

    def __init__(self, classes: int, seconds: float, every: int = 0) -> None:
        self.classes, self.seconds, self.every, self.calls = classes, seconds, every, 0

    def infer(self, pixels: np.ndarray) -> Said:
        assert pixels.dtype == np.uint8
        assert threading.current_thread().name == "desk"
        self.calls += 1
        if self.every and self.calls % self.every == 0:
            raise EngineFaultError("the engine crashed (signal 11); next try in 0.1 s", "crashed")
        if self.seconds:
            time.sleep(self.seconds)
        return Said(outputs_of(pixels, self.classes))


def make_spec(side: int = SIDE) -> Preprocess:
    return Preprocess(height=side, width=side)


def make_service(engine: Any = None, classes: int = 4, **more: Any) -> Service:
    engine = PlainEngine(classes, 0.0) if engine is None else engine
    live = more.pop("live", None) or LiveState("tiny")
    return Service("tiny", "1", engine, make_spec(more.pop("side", SIDE)), classes, LABELS, live=live, **more)


def settings_of(given: dict[str, Any]) -> Settings:
    """From JSON: port 0, and limits that tests do not run into."""
    given = {"port": 0, "client_rate": 1e6, "whole_rate": 1e6, **given}
    for name in ("certificate", "key"):
        if name in given:
            given[name] = Path(given[name])
    given["tokens"] = tuple(Token(*pair) for pair in given.get("tokens", ()))
    given["names"] = tuple(given.get("names", ()))
    return Settings(**given)


class Server:
    """A server in a process of its own.

    Args:
        settings: see `settings_of`.
        flags: of this file.
    """

    def __init__(self, settings: dict[str, Any], *flags: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, __file__, json.dumps(settings), *flags],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": str(ROOT / "src")},
        )
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError(self.process.communicate()[1].decode())
        self.port: int = json.loads(line)["port"]
        scheme = "https" if "certificate" in settings else "http"
        self.address = f"127.0.0.1:{self.port}"
        self.url = f"{scheme}://{self.address}"

    def ask(self) -> socket.socket:
        """A connection for bytes of one's own."""
        return socket.create_connection(("127.0.0.1", self.port), timeout=30)

    def end(self, sign: int = signal.SIGTERM) -> tuple[int, str]:
        """Tell it to end; returns its status and what it said."""
        if self.process.poll() is None:
            self.process.send_signal(sign)
        said = self.process.communicate(timeout=60)[1].decode()
        return self.process.returncode, said


@pytest.fixture
def serve() -> Iterator[Callable[..., Server]]:
    """Starts servers, and ends them."""
    started: list[Server] = []

    def start(settings: dict[str, Any] | None = None, *flags: str) -> Server:
        started.append(Server(settings or {}, *flags))
        return started[-1]

    yield start
    for one in started:
        if one.process.poll() is None:
            one.process.kill()
            one.process.communicate()


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("settings", type=json.loads)
    parser.add_argument("--seconds", type=float, default=0.0)
    parser.add_argument("--every", type=int, default=0, help="every n-th answer is a fault")
    parser.add_argument("--classes", type=int, default=4)
    parser.add_argument("--side", type=int, default=SIDE)
    parser.add_argument("--scene", choices=SCENES, help="what the live page shows")
    arguments = parser.parse_args()
    engine = PlainEngine(arguments.classes, arguments.seconds, arguments.every)
    settings = settings_of(arguments.settings)
    live = None if arguments.scene is None else SCENES[arguments.scene]()
    app = build_app(make_service(engine, arguments.classes, side=arguments.side, live=live), settings)
    run_server(app, settings, started=lambda port: print(json.dumps({"port": port}), flush=True))
    print(json.dumps({"calls": engine.calls}), flush=True)
    sys.exit(0)


if __name__ == "__main__":
    main()
