"""The command line as a function, a small task and one bundle that real measuring made."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest

import tiny
from shoestring.cli.main import main
from shoestring.costmodel import interleave
from shoestring.costmodel.measure import measure
from shoestring.fitting import candidates, mixing, tried

SECONDS_EACH = 0.02
BLOCK_MS = 1.0


@dataclass(frozen=True)
class Said:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def data(self) -> Any:
        """Stdout as one JSON document."""
        return json.loads(self.out)


Cli = Callable[..., Said]


def call(capture: Any, *words: object) -> Said:
    """Run a command in this process."""
    capture.readouterr()
    try:
        code = main([str(word) for word in words])
    except SystemExit as end:  # argparse: help, version, usage errors
        code = int(end.code or 0)
    said = capture.readouterr()
    return Said(code, said.out, said.err)


@pytest.fixture
def cli(capsys: pytest.CaptureFixture[str]) -> Cli:
    return partial(call, capsys)


@pytest.fixture(scope="session")
def task(tmp_path_factory: pytest.TempPathFactory) -> tiny.Task:
    return tiny.write_task(tmp_path_factory.mktemp("task"))


@pytest.fixture(scope="session")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache that the tests of this folder share: what one fit has made, the next ones take."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="session")
def measured(task: tiny.Task, kept: Path) -> Path:
    """A bundle whose costs were measured, quickly."""
    path = task.model.with_name("measured.shoe")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(candidates, "measure", partial(measure, seconds_each=SECONDS_EACH))
        patch.setattr(interleave, "BLOCK_MS", BLOCK_MS)
        patch.setattr(tried, "DEFAULT", ("onnxruntime",))
        words = ("fit", task.model, "--data", task.data, "--cache", kept / "measured", "-o", path)
        assert main([str(word) for word in words]) == 0
    return path


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Real measuring in short blocks."""
    monkeypatch.setattr(interleave, "BLOCK_MS", BLOCK_MS)


@pytest.fixture
def known(monkeypatch: pytest.MonkeyPatch, kept: Path) -> Iterator[Path]:
    """Costs are known instead of measured; the value is the cache that such fits share, the default of `fit`."""
    monkeypatch.setattr(candidates, "measure", tiny.known_costs)
    monkeypatch.setattr(mixing, "measure_layers", tiny.known_layer_times)
    monkeypatch.setattr(tried, "DEFAULT", ("onnxruntime",))
    monkeypatch.setenv("SHOESTRING_CACHE", str(kept / "known"))
    yield kept / "known"
