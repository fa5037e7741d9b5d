"""A server of a model that writes in a process of its own, for tests that speak real HTTP.

    python tests/serving_writers.py '{"tokens": [...]}' [--seconds 0.01] [--slots 1] [--cascade]

It prints its port as one line of JSON on stdout.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from null_writers import CONTEXT, NullWriter
from serving import Server, settings_of
from shoestring.base.errors import EngineFaultError
from shoestring.device.language.app import WriterApp
from shoestring.device.language.encoder import EncoderApp, EncoderService
from shoestring.device.language.garage import Garage
from shoestring.device.language.jobs import Always, Chooser
from shoestring.device.language.nouns import Rungs
from shoestring.device.language.service import WriterService
from shoestring.device.serve import LiveState, run_server
from shoestring.device.serve.written import Tokens
from shoestring.domain.text import TokenCascade

RUNGS = ("small", "large")
NAME = "tiny-chat"
CASCADE = TokenCascade("small", "large", "mean-logprob", -0.5, 0.6, "made up for tests")
FREE_BYTES = 10**9


def make_service(
    *,
    seconds: float = 0.0,
    slots: int = 1,
    cascade: bool = False,
    chooser: Chooser | None = None,
    writers: list[NullWriter] | None = None,
    **more: Any,
) -> WriterService:
    """A service of null writers; `writers` collects those that were loaded."""
    made = [] if writers is None else writers

    def make(rung: str) -> NullWriter:
        unsure = {"small": lambda text: -2.0 if "hard" in text else -0.1}
        made.append(NullWriter(rung, seconds=seconds, logprob=unsure.get(rung, lambda _: -0.1)))
        return made[-1]

    tokens = Tokens()
    return WriterService(
        NAME,
        Rungs(RUNGS, {"small": 100, "large": 200}, more.pop("chat", True), CONTEXT),
        Garage(make, {"small": 100, "large": 200}, free_bytes=lambda: FREE_BYTES),
        chooser or Always("large"),
        LiveState(NAME, written=tokens.snapshot),
        tokens,
        slots,
        CASCADE if cascade else None,
        **more,
    )


class NullEncoder:
    """Vectors that tell texts apart: lengths, letters, and a one."""

    def embed(self, texts: Sequence[str]) -> np.ndarray:
        if "!die" in texts:
            raise EngineFaultError("the engine crashed (signal 11)", "crashed")
        return np.array([[len(text), sum(map(ord, text)) / 1000, 1.0] for text in texts], np.float32)

    def classify(self, texts: Sequence[str]) -> list[tuple[str, float]]:
        return [("long" if len(text) > 10 else "short", 0.5 + len(text) / 1000) for text in texts]

    def count(self, texts: Sequence[str]) -> tuple[int, tuple[int, ...]]:
        words = [len(text.split()) for text in texts]
        return sum(min(count, 5) for count in words), tuple(i for i, count in enumerate(words) if count > 5)


def make_encoder(*, classifies: bool = False) -> EncoderService:
    return EncoderService(NAME, "int8", NullEncoder(), None if classifies else 3, LiveState(NAME))


class WriterServer(Server):
    """As `Server`, of this file."""

    def __init__(self, settings: dict[str, Any] | None = None, *flags: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, __file__, json.dumps(settings or {}), *flags],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={
                **os.environ,
                "PYTHONPATH": os.pathsep.join((str(Path(__file__).parents[1] / "src"), str(Path(__file__).parent))),
            },
        )
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError(self.process.communicate()[1].decode())
        self.port = json.loads(line)["port"]
        self.address = f"127.0.0.1:{self.port}"
        self.url = f"http://{self.address}"


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("settings", type=json.loads)
    parser.add_argument("--seconds", type=float, default=0.0, help="a token")
    parser.add_argument("--slots", type=int, default=1)
    parser.add_argument("--cascade", action="store_true")
    parser.add_argument("--limits", type=json.loads, default={})
    parser.add_argument("--encoder", choices=("embeds", "classifies"))
    arguments = parser.parse_args()
    settings = settings_of({"connections": 512, "client_connections": 512, **arguments.settings})
    if arguments.encoder is not None:
        encoder = EncoderApp(make_encoder(classifies=arguments.encoder == "classifies"), settings)
        run_server(encoder, settings, started=lambda port: print(json.dumps({"port": port}), flush=True))
        return
    service = make_service(seconds=arguments.seconds, slots=arguments.slots, cascade=arguments.cascade)
    app = WriterApp(service, settings, **arguments.limits)
    run_server(app, settings, started=lambda port: print(json.dumps({"port": port}), flush=True))
    left = [thread.name for thread in threading.enumerate() if thread.name.startswith("answer")]
    print(json.dumps({"threads": left}), flush=True)
    service.garage.close()


if __name__ == "__main__":
    main()
